//! A child that plays a script: one act for each incarnation.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{ChildContext, ChildId, ChildSpec, Slot, SupervisedExit};

/// What one incarnation of a [`MockChild`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Becomes ready at once and stays up. Ends when asked to.
    Ready,
    /// Becomes ready after this time and stays up.
    ReadyAfter(Duration),
    /// Stays up and never becomes ready.
    NeverReady,
    /// Starts, and fails at once.
    Crash,
    /// Starts, becomes ready, and fails after this time.
    CrashAfter(Duration),
    /// Starts, and fails at once with an error that no retry can cure.
    CrashForGood,
    /// Starts, and panics at once.
    Panic,
    /// Starts, becomes ready, and ends normally at once.
    ExitNormal,
    /// Starts, becomes ready, and ends normally after this time.
    ExitNormalAfter(Duration),
    /// Becomes ready, and does not end when asked to: it has to be killed.
    HangInStop,
    /// Never becomes ready, and does not end when asked to: it has to be killed.
    Wedged,
    /// Becomes ready, and takes this long to end when asked to.
    StopAfter(Duration),
    /// Becomes ready, and fails when asked to end.
    CrashInStop,
    /// Does not come out of `pre_start`: it has to be killed.
    HangInStart,
    /// Has nothing to start.
    IgnoreStart,
    /// Does not start.
    FailStart,
    /// Panics in `pre_start`.
    PanicInStart,
}

/// An actor that plays one [`Act`].
#[derive(Debug)]
pub struct MockChild {
    act: Act,
    context: ChildContext,
}

/// What a [`MockChild`] can be told by a test: to end, in one way or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MockMessage {
    /// Becomes ready.
    Ready,
    /// Fails.
    Crash,
    /// Fails with an error that no retry can cure.
    CrashForGood,
    /// Panics.
    Panic,
    /// Ends normally.
    ExitNormal,
    /// Ends with reason shutdown, unasked.
    ExitShutdown,
}

/// The error that a [`MockChild`] fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("mock crash")]
struct MockCrash;

// === impl MockChild ===

impl MockChild {
    /// A child that plays `script`, one act for each incarnation. When the script is over, it becomes ready and stays up.
    ///
    /// It has an explicit readiness with a start timeout of 600 s.
    pub fn spec<S>(id: impl Into<ChildId>, script: S) -> ChildSpec
    where
        S: IntoIterator<Item = Act>,
        S::IntoIter: Send + 'static,
    {
        ChildSpec::actor(id, Self::playing(script)).ready_within(Duration::from_secs(600))
    }

    /// As [`MockChild::spec`], and `slot` always holds the incarnation that runs.
    pub fn spec_in<S>(slot: &Slot<MockMessage>, id: impl Into<ChildId>, script: S) -> ChildSpec
    where
        S: IntoIterator<Item = Act>,
        S::IntoIter: Send + 'static,
    {
        ChildSpec::actor_in(slot, id, Self::playing(script)).ready_within(Duration::from_secs(600))
    }

    fn playing<S>(script: S) -> impl FnMut(ChildContext) -> (Self, ()) + Send + 'static
    where
        S: IntoIterator<Item = Act>,
        S::IntoIter: Send + 'static,
    {
        let mut script = script.into_iter();
        move |context| (Self { act: script.next().unwrap_or(Act::Ready), context }, ())
    }

    /// Tells itself `message` once `after` has passed.
    fn later(myself: &ActorRef<MockMessage>, after: Duration, message: MockMessage) {
        if after.is_zero() {
            let _ = myself.send_message(message);
        } else {
            // Ends with the timer; a message to an actor that has ended is dropped.
            let _timer = myself.send_after(after, move || message);
        }
    }
}

impl Actor for MockChild {
    type Msg = MockMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        match self.act {
            Act::HangInStart => std::future::pending().await,
            Act::IgnoreStart => Err(SupervisedExit::ignore().into()),
            Act::FailStart => Err(MockCrash.into()),
            Act::PanicInStart => panic!("mock panic in pre_start"),
            Act::Ready
            | Act::ReadyAfter(_)
            | Act::NeverReady
            | Act::Crash
            | Act::CrashAfter(_)
            | Act::CrashForGood
            | Act::Panic
            | Act::ExitNormal
            | Act::ExitNormalAfter(_)
            | Act::HangInStop
            | Act::Wedged
            | Act::StopAfter(_)
            | Act::CrashInStop => Ok(()),
        }
    }

    async fn post_start(&self, myself: ActorRef<Self::Msg>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match self.act {
            Act::Ready | Act::HangInStop | Act::StopAfter(_) | Act::CrashInStop => self.context.ready(),
            Act::ReadyAfter(after) => Self::later(&myself, after, MockMessage::Ready),
            Act::Crash => Self::later(&myself, Duration::ZERO, MockMessage::Crash),
            Act::CrashForGood => Self::later(&myself, Duration::ZERO, MockMessage::CrashForGood),
            Act::CrashAfter(after) => {
                self.context.ready();
                Self::later(&myself, after, MockMessage::Crash);
            }
            Act::Panic => Self::later(&myself, Duration::ZERO, MockMessage::Panic),
            Act::ExitNormal => {
                self.context.ready();
                Self::later(&myself, Duration::ZERO, MockMessage::ExitNormal);
            }
            Act::ExitNormalAfter(after) => {
                self.context.ready();
                Self::later(&myself, after, MockMessage::ExitNormal);
            }
            Act::NeverReady
            | Act::Wedged
            | Act::HangInStart
            | Act::IgnoreStart
            | Act::FailStart
            | Act::PanicInStart => {}
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            MockMessage::Ready => self.context.ready(),
            MockMessage::Crash => return Err(MockCrash.into()),
            MockMessage::CrashForGood => return Err(SupervisedExit::permanent(MockCrash).into()),
            MockMessage::Panic => panic!("mock panic"),
            MockMessage::ExitNormal => myself.stop(None),
            MockMessage::ExitShutdown => myself.stop(Some("shutdown".to_owned())),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Self::Msg>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match self.act {
            Act::HangInStop | Act::Wedged => std::future::pending().await,
            Act::StopAfter(after) => tokio::time::sleep(after).await,
            Act::CrashInStop => return Err(MockCrash.into()),
            _ => {}
        }
        Ok(())
    }
}
