//! A generic OTP-style supervisor over ractor: child specs, strategies, intensity, ordered shutdown, observation.
//!
//! An actor that fails is not repaired; it is thrown away and started anew from a known state. Who does that, how often, in
//! which order and with whom it takes down is the business of its **supervisor**. This crate is Erlang's, for
//! [ractor](https://docs.rs/ractor): the same rules (checked event by event against OTP's own supervisor), the same words,
//! and three things that OTP leaves out: delays, readiness and suspension.
//!
//! # Break something
//!
//! Here is a counter that cannot count beyond two. Its supervisor starts it again, and the world goes on:
//!
//! ```
//! use mlx_tree_supervision::{ChildSpec, Slot, Supervisor};
//! use ractor::{Actor, ActorProcessingErr, ActorRef};
//!
//! struct Counter;
//!
//! impl Actor for Counter {
//!     type Msg = ();
//!     type State = u32;
//!     type Arguments = ();
//!
//!     async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<u32, ActorProcessingErr> {
//!         Ok(0)
//!     }
//!
//!     async fn handle(&self, _: ActorRef<()>, (): (), count: &mut u32) -> Result<(), ActorProcessingErr> {
//!         *count += 1;
//!         assert!(*count <= 2, "three is too much for me");
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A slot is the address of a child that survives its restarts.
//! let slot = Slot::new();
//! let supervisor = Supervisor::one_for_one()
//!     .child(ChildSpec::actor_in(&slot, "counter", |_context| (Counter, ())))
//!     .start()
//!     .await?;
//!
//! for _ in 0..3 {
//!     slot.actor().expect("it runs").send_message(())?;
//! }
//! slot.watch().wait_for(|now| now.as_ref().is_some_and(|(epoch, _)| epoch.get() == 2)).await?;
//!
//! let status = supervisor.snapshot().await?;
//! let counter = status.child("counter").expect("it is there");
//! assert_eq!(counter.restarts, 1);
//! assert_eq!(counter.last_exit.as_ref().unwrap().reason.to_string(), "panic: three is too much for me");
//! # supervisor.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Break it too often
//!
//! A supervisor that restarts for ever hides a fault that only its own supervisor, or a person, can cure. So there is a
//! **restart intensity**: by default one restart in five seconds. The next one is too many, and the supervisor stops its
//! other children, newest first, and ends:
//!
//! ```
//! use mlx_tree_supervision::test_util::{Act, MockChild};
//! use mlx_tree_supervision::{Supervisor, SupervisorExit};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let supervisor = Supervisor::one_for_one()
//!     .child(MockChild::spec("bystander", [Act::Ready]))
//!     .child(MockChild::spec("culprit", [Act::Crash, Act::Crash]))
//!     .start()
//!     .await?;
//!
//! match supervisor.closed().await {
//!     SupervisorExit::IntensityExceeded { child, .. } => assert_eq!(child, "culprit"),
//!     other => panic!("{other}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Break it slowly
//!
//! What fails because something else is not there yet needs time rather than haste. A child may have a policy of its own, and
//! then waits, or is suspended, without keeping the supervisor from its work. Give it a [`Backoff`], or anything that can
//! [`Decide`]. And a child that has *started* need not be *ready*: it can say so itself, within a deadline. The clock of this
//! story is tokio's paused one, so its two minutes take no time:
//!
//! ```
//! use std::time::Duration;
//! use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
//! use mlx_tree_supervision::{Backoff, Supervisor};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut events = EventRecorder::new();
//! let script = [Act::Crash, Act::NeverReady, Act::ReadyAfter(Duration::from_secs(7))];
//! let supervisor = Supervisor::one_for_one()
//!     .events_into(events.sender())
//!     .child(
//!         MockChild::spec("server", script)
//!             .ready_within(Duration::from_secs(100))
//!             .backoff(Backoff::default()), // 2, 4, 8 … 60 s
//!     )
//!     .start()
//!     .await?;
//!
//! let epoch = supervisor.wait_ready("server").await?;
//! assert_eq!(epoch.get(), 3);
//! let ready = events.wait_for("child.ready", "server").await;
//! assert_eq!(ready.at.since_origin().as_secs(), 2 + 100 + 4 + 7);
//! # supervisor.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Break it together
//!
//! Children that cannot do without each other go down together. Under [`rest_for_one`](Supervisor::rest_for_one) a failure
//! takes those with it that were started after, and so may depend on it; under [`one_for_all`](Supervisor::one_for_all), all:
//!
//! ```
//! use std::time::Duration;
//! use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
//! use mlx_tree_supervision::Supervisor;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut events = EventRecorder::new();
//! let supervisor = Supervisor::rest_for_one()
//!     .events_into(events.sender())
//!     .child(MockChild::spec("database", []))
//!     .child(MockChild::spec("cache", [Act::CrashAfter(Duration::from_secs(1))]))
//!     .child(MockChild::spec("web", []))
//!     .start()
//!     .await?;
//!
//! events.wait_for("child.exited", "cache").await;
//! let stopped = events.wait_for("child.stopped", "web").await;
//! assert_eq!(stopped.epoch.get(), 1);
//! assert_eq!(supervisor.wait_ready("web").await?.get(), 2);
//! assert_eq!(supervisor.wait_ready("database").await?.get(), 1);
//! # supervisor.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Stop it
//!
//! [`SupervisorHandle::stop`] ends the children in reverse order, each by its own rule: asked, and killed if it takes too long
//! ([`Shutdown`]). Whoever presses Ctrl-C a second time gets [`SupervisorHandle::kill_now`]. A supervisor whose own actor is
//! stopped by somebody else does the same; one that is killed takes its children with it.
//!
//! # How it is built
//!
//! [`crate::core`] is the supervisor as a pure machine: inputs in, effects out, no clock, no actor. The actor around it never awaits
//! in a handler; starts, stops and timers are begun, and what comes of them is the next input. So a supervisor can always be
//! asked how things stand, also while a child hangs in its start.
//!
//! *Invariant:* two incarnations of one child never run at the same time. \
//! *Invariant:* what an incarnation says after its end has no effect; all it says carries its [`Epoch`]. \
//! *Invariant:* no decision rests on an event that was broadcast; the events are for watching.
//!
//! Semantics, tables and the deliberate differences to OTP are in `docs/SUPERVISION.md`. Who comes from Akka, Kubernetes or
//! systemd finds the words they know in `docs/COMING_FROM.md`, and policies to match among the re-exports: [`ExitRules`],
//! [`BackoffPolicy`], [`Schedule`], [`Decide::with_limit`].

pub mod core;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/COMING_FROM.md")]
mod coming_from {}

mod context;
mod error;
mod event;
mod exit;
mod handle;
mod id;
mod panic;
mod rules;
mod shell;
mod slot;
mod spec;
mod stable;
mod start;
mod status;
mod supervisor;
#[cfg(feature = "test-util")]
pub mod test_util;

pub use crate::core::{ChildRules, RuleChange};
pub use context::ChildContext;
pub use error::{
    ChangeRulesError, DeleteChildError, InvalidSpec, RestartChildError, ResumeChildError, StartChildError, StartError,
    SupervisorGone, SuspendChildError, TerminateChildError, WaitReadyError,
};
pub use event::{EventKind, Report, ReportContext, ReportReason, SupervisorEvent};
pub use exit::{ExitReason, Failure, FailureKind, Severity, SharedError, SupervisedExit};
pub use handle::{StartedChild, SupervisorHandle};
pub use id::{ChildId, Epoch};
pub use mlx_tree_policy::{
    Backoff, BackoffPolicy, Decide, Decision, Ending, ExitAction, ExitRules, ExitSet, ExitStatus, Intensity,
    JitterSeed, Monotonic, OnExit, OnLimit, Reset, RestartMode, RestartSteps, Schedule,
};
pub use rules::{AutoShutdown, ChildKind, OnIntensityExceeded, Readiness, Restart, Shutdown, Significance, Strategy};
pub use slot::Slot;
pub use spec::ChildSpec;
pub use stable::{Sent, Stable, StableError, Unavailable, Undelivered};
pub use status::{ChildCounts, ChildState, ChildStatus, LastExit, SupervisorExit, SupervisorPhase, SupervisorStatus};
pub use supervisor::Supervisor;
