//! Supervision as stories, through real actors, on a paused clock.

use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
use mlx_tree_supervision::{Backoff, ChildState, Supervisor};

#[tokio::test(start_paused = true)]
async fn a_child_that_crashes_six_times_is_ready_after_all_its_delays() {
    let mut events = EventRecorder::new();
    let script = [Act::Crash; 6].into_iter().chain([Act::Ready]);
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("server", script).backoff(Backoff::default()))
        .start()
        .await
        .unwrap();
    assert_eq!(supervisor.wait_ready("server").await.unwrap().get(), 7);
    let ready = events.wait_for("child.ready", "server").await;
    assert_eq!(ready.at.since_origin(), Duration::from_secs(2 + 4 + 8 + 16 + 32 + 60), "{}", events.story());
    let status = supervisor.status();
    assert_eq!(status.borrow().child("server").unwrap().state, ChildState::Ready);
    assert_eq!(status.borrow().child("server").unwrap().restarts, 6);
    supervisor.stop().await;
    assert_eq!(status.borrow().child("server").unwrap().state, ChildState::Down);
}
