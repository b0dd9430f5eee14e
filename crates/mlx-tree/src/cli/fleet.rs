//! The verbs where there are several servers: each is about all of them, and each server takes it in its own way.

mod rollout;

use mlx_tree::Tree;
use mlx_tree::control::{Done, Refusal, Verb};
use mlx_tree::tree::{ServerHandle, VerbError};
use tokio::task::JoinSet;

use super::run::refusal;

pub(crate) use rollout::Rollout;

/// What a verb asks of each server at once.
#[derive(Debug, Clone, Copy)]
enum Each {
    Start,
    Stop,
    Restart,
    Drain,
    Reset,
}

/// A server by its name, and what it could not do.
type Failed = (String, VerbError);

/// Has `verb` carried out on all servers; `None` for one that is not about servers.
pub(crate) async fn perform(tree: &Tree, rollout: &Rollout, verb: Verb) -> Option<Result<Done, Refusal>> {
    let (each, said) = match verb {
        Verb::Start => (Each::Start, "are ready, or asleep until they are wanted"),
        Verb::Stop => (Each::Stop, "are stopped; `mlx-tree start` lets them run again"),
        Verb::Restart => return Some(rollout.perform(tree).await),
        Verb::Reset => (Each::Reset, "have a clean record"),
        Verb::Drain => {
            (Each::Drain, "have finished what they had, and are stopped; `mlx-tree start` lets them run again")
        }
        Verb::Reload | Verb::Shutdown => return None,
    };
    let failed = at_once(each, tree.servers()).await;
    Some(match failed.last() {
        Some(failed) => Err(refused(failed)),
        None => Ok(Done::new(verb, format!("{} servers {said}", tree.servers().len()))),
    })
}

fn refused((name, error): &Failed) -> Refusal {
    let refusal = refusal(error);
    Refusal { message: format!("{name}: {}", refusal.message), ..refusal }
}

/// Has it done at all of `servers` side by side, and answers who could not.
async fn at_once<'a>(each: Each, servers: impl IntoIterator<Item = &'a ServerHandle>) -> Vec<Failed> {
    let mut under_way = JoinSet::new();
    for server in servers {
        let server = server.clone();
        under_way.spawn(async move { (server.name().to_owned(), carry_out(each, &server).await) });
    }
    let outcomes = under_way.join_all().await;
    outcomes.into_iter().filter_map(|(name, outcome)| Some((name, outcome.err()?))).collect()
}

async fn carry_out(each: Each, server: &ServerHandle) -> Result<(), VerbError> {
    match each {
        Each::Start => server.allow().await,
        Each::Stop => server.stop().await,
        Each::Restart => server.restart_if_up().await,
        Each::Drain => server.drain().await,
        Each::Reset => {
            server.reset().await;
            Ok(())
        }
    }
}
