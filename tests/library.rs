//! mlx-tree as a library: a tree in one's own program, with a child of one's own, over a real process.

use std::error::Error;
use std::time::Duration;

use mlx_tree::api::{ChildState, Phase};
use mlx_tree::ractor::{Actor, ActorProcessingErr, ActorRef};
use mlx_tree::settings::{Environment, Flag, Settings, Sources, load};
use mlx_tree::supervision::{Backoff, ChildSpec, SupervisorExit};
use mlx_tree::tree::VerbError;
use mlx_tree::{StartError, Tree};
use tempfile::TempDir;

/// As in docs/EXTENDING.md.
struct Heartbeat {
    file: std::path::PathBuf,
}

impl Heartbeat {
    fn child_spec(file: std::path::PathBuf) -> ChildSpec {
        ChildSpec::actor("heartbeat", move |_context| (Heartbeat { file: file.clone() }, ()))
            .backoff(Backoff::default())
    }
}

impl Actor for Heartbeat {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(myself.send_message(())?)
    }

    async fn handle(&self, myself: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        std::fs::write(&self.file, "alive")?;
        let _timer = myself.send_after(Duration::from_millis(50), || ());
        Ok(())
    }
}

/// The settings of a tree over the stand-in, in a directory of its own.
fn settings(home: &TempDir, flags: &[&str]) -> Result<Settings, Box<dyn Error>> {
    let command = [env!("CARGO_BIN_EXE_mlx-tree"), "stand-in", "--host", "{host}", "--port", "{port}"];
    let sources = Sources::new(Environment::capture())
        .flag(Flag::text("test", "state_dir", home.path().join("state").display().to_string()))
        .flag(Flag::text("test", "server.port", "0"))
        .flag(Flag::text("test", "gateway.listen", "127.0.0.1:0"))
        .flag(Flag::list("test", "server.command", command.iter().chain(flags).copied()));
    Ok(load(&sources)?.settings)
}

#[tokio::test]
async fn a_tree_with_a_child_of_ones_own_starts_is_shown_and_stops() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("heartbeat");
    let tree = Tree::new(settings(&home, &[])?).child(Heartbeat::child_spec(file.clone())).start().await?;
    let status = tree.status().await;
    assert_eq!(status.phase, Phase::Ready);
    let ids: Vec<_> = status.children.iter().map(|child| child.id.as_str()).collect();
    assert_eq!(ids, ["server", "health", "breaker", "gateway", "heartbeat"]);
    assert_eq!(status.children[4].state, ChildState::Ready);
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(tree.metrics().await.contains("\nmlx_tree_server_up{server=\"server\"} 1\n"), "a library counts too");
    assert_eq!(tree.trend().servers.len(), 1);
    tree.stop().await;
    assert!(matches!(tree.closed().await, SupervisorExit::Stopped));
    Ok(())
}

#[tokio::test]
async fn two_trees_of_one_program_do_not_know_of_each_other() -> Result<(), Box<dyn Error>> {
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let first = Tree::new(settings(&one, &[])?).start().await?;
    let second = Tree::new(settings(&two, &[])?).start().await?;
    first.stop_server().await?;
    assert_eq!((first.status().await.phase, second.status().await.phase), (Phase::Stopped, Phase::Ready));
    for tree in [first, second] {
        tree.stop().await;
        tree.closed().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_leaves_nothing_running() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let flags = ["--exit-after", "0", "--code", "3", "--last-words", "ValueError: no such thing"];
    let Err(error) = Tree::new(settings(&home, &flags)?).start().await else { panic!("it cannot be ready") };
    let StartError::Server(VerbError::NotReady { reason, .. }) = &error else { panic!("{error:?}") };
    assert!(reason.contains("exited with code 3: ValueError: no such thing"), "{reason}");
    // The state directory is free again. Its history is not forgotten: starting anew is no way round the backoff.
    let tree = Tree::new(settings(&home, &[])?).launch().await?;
    let Err(VerbError::NotReady { reason, .. }) = tree.ready().await else { panic!("it is held back") };
    assert_eq!(reason, "held back for the failures of an earlier run");
    tree.restart_server().await?;
    assert_eq!(tree.status().await.phase, Phase::Ready);
    tree.stop().await;
    tree.closed().await;
    Ok(())
}
