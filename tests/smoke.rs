//! The shortest story: it starts, serves, is shown, and stops.

mod support;

use mlx_tree_api::{Phase, ServerState};
use support::Setup;

#[tokio::test]
async fn a_demo_starts_serves_is_shown_and_stops_without_a_trace() {
    let tree = Setup::demo(&[]).start();
    let status = tree.ready(1).await;
    assert_eq!((status.state, status.phase), (ServerState::Running, Phase::Ready));
    assert_eq!(status.server.kind, "demo (not MLX)");
    let (exit, picture, _) = tree.command(&["status"]);
    assert!(exit.success() && picture.contains("demo, not MLX"), "{picture}");
    tree.stop().await;
}

#[tokio::test]
async fn a_killed_server_comes_back_as_another_process() {
    let tree = Setup::demo(&[]).start();
    let first = tree.ready(1).await.process_pid.expect("it runs");
    support::send(first, nix::sys::signal::Signal::SIGKILL);
    let status = tree.ready(2).await;
    assert_ne!(status.process_pid, Some(first));
    assert_eq!(status.restart_count, 1);
    assert_eq!(status.last_exit.expect("there was one").signal, Some(9));
    tree.stop().await;
}
