//! The verbs where there are several servers: each is about all of them, and each server takes it in its own way.

use mlx_tree::Tree;
use mlx_tree::control::{Done, Refusal, Verb};
use mlx_tree::tree::{ServerHandle, VerbError};
use tokio::task::JoinSet;

use super::run::refusal;

/// What a verb asks of each server.
#[derive(Debug, Clone, Copy)]
enum Each {
    Start,
    Stop,
    Restart,
    Drain,
    Reset,
}

/// Has `verb` carried out on all servers at once; `None` for one that is not about servers.
pub(crate) async fn perform(tree: &Tree, verb: Verb) -> Option<Result<Done, Refusal>> {
    let (each, said) = match verb {
        Verb::Start => (Each::Start, "are ready, or asleep until they are wanted"),
        Verb::Stop => (Each::Stop, "are stopped; `mlx-tree start` lets them run again"),
        Verb::Restart => (Each::Restart, "have been restarted; those that sleep go on sleeping"),
        Verb::Reset => (Each::Reset, "have a clean record"),
        Verb::Drain => {
            (Each::Drain, "have finished what they had, and are stopped; `mlx-tree start` lets them run again")
        }
        Verb::Reload | Verb::Shutdown => return None,
    };
    let count = tree.servers().len();
    let mut under_way = JoinSet::new();
    for server in tree.servers() {
        let server = server.clone();
        under_way.spawn(async move { (server.name().to_owned(), carry_out(each, &server).await) });
    }
    let mut refused = None;
    for (name, outcome) in under_way.join_all().await {
        if let Err(error) = outcome {
            let refusal = refusal(&error);
            refused = Some(Refusal { message: format!("{name}: {}", refusal.message), ..refusal });
        }
    }
    Some(match refused {
        Some(refusal) => Err(refusal),
        None => Ok(Done::new(verb, format!("{count} servers {said}"))),
    })
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
