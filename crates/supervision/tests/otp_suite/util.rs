//! What the cases share.

use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
use mlx_tree_supervision::{
    ChildSpec, EventKind, ExitReason, Intensity, StartedChild, Supervisor, SupervisorEvent, SupervisorHandle,
};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};

pub(crate) const S: fn(u64) -> Duration = Duration::from_secs;
pub(crate) const MS: fn(u64) -> Duration = Duration::from_millis;

/// An actor that does nothing.
pub(crate) struct Idle;

impl Actor for Idle {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// A child that stays up.
pub(crate) fn steady(id: &str) -> ChildSpec {
    MockChild::spec(id, [])
}

/// A child that fails after one second, and whose next incarnation stays up.
pub(crate) fn fails_once(id: &str) -> ChildSpec {
    MockChild::spec(id, [Act::CrashAfter(S(1))])
}

/// Allows restarts without end.
pub(crate) fn patient() -> Intensity {
    Intensity::new(1_000_000, S(3600))
}

pub(crate) async fn start(supervisor: Supervisor) -> (SupervisorHandle, EventRecorder) {
    let events = EventRecorder::new();
    let handle = supervisor.events_into(events.sender()).start().await.unwrap();
    (handle, events)
}

pub(crate) async fn add(supervisor: &SupervisorHandle, spec: ChildSpec) -> ActorCell {
    match supervisor.start_child(spec).await.unwrap() {
        StartedChild::Running { actor, .. } => actor,
        StartedChild::Ignored => panic!("it was ignored"),
    }
}

/// The children and their states: `a:ready b:down`.
pub(crate) async fn states(supervisor: &SupervisorHandle) -> String {
    let children = supervisor.which_children().await.unwrap();
    let states: Vec<_> = children.iter().map(|child| format!("{}:{}", child.id, child.state.as_str())).collect();
    states.join(" ")
}

/// The children and their incarnations: `a1 b2`.
pub(crate) async fn epochs(supervisor: &SupervisorHandle) -> String {
    let children = supervisor.which_children().await.unwrap();
    let epochs: Vec<_> = children.iter().map(|child| format!("{}{}", child.id, child.epoch)).collect();
    epochs.join(" ")
}

/// Lets everything that is under way happen.
pub(crate) async fn later(after: Duration) {
    tokio::time::sleep(after).await;
}

pub(crate) fn exit_reasons(events: &[SupervisorEvent]) -> Vec<String> {
    let ends = events.iter().filter_map(|event| match &event.kind {
        EventKind::ChildExited { reason } | EventKind::ChildStopped { reason } => {
            Some(format!("{} {}", event.child.as_ref().unwrap(), short(reason)))
        }
        _ => None,
    });
    ends.collect()
}

fn short(reason: &ExitReason) -> &'static str {
    reason.code()
}

/// What was reported: `child_terminated a: mock crash`.
pub(crate) fn reports(events: &[SupervisorEvent]) -> Vec<String> {
    let reports = events.iter().filter_map(|event| match &event.kind {
        EventKind::Report(report) => {
            Some(format!("{} {}: {}", report.context.as_str(), event.child.as_ref().unwrap(), report.reason))
        }
        _ => None,
    });
    reports.collect()
}
