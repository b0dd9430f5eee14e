//! The handle: everything that can be asked of a running supervisor.

use std::fmt;
use std::sync::Arc;

use mlx_tree_policy::{Intensity, Monotonic};
use ractor::{ActorCell, ActorRef};
use tokio::sync::{broadcast, oneshot, watch};

use crate::core::{Answer, Call, ChildRules, Refusal, RuleChange};
use crate::shell::{Answered, Message, Payload, Shared};
use crate::{
    ChangeRulesError, ChildCounts, ChildId, ChildSpec, ChildStatus, DeleteChildError, Epoch, RestartChildError,
    ResumeChildError, StartChildError, SupervisorEvent, SupervisorExit, SupervisorGone, SupervisorStatus,
    SuspendChildError, TerminateChildError, WaitReadyError,
};

/// A running supervisor. Cheap to clone; dropping it has no effect on the supervisor.
///
/// Changes are made one after the other, in the order they were asked for; while a start or a stop is in progress they wait.
/// Dropping the future of a change does not take it back. Questions are answered at once.
#[derive(Clone)]
pub struct SupervisorHandle(Arc<Inner>);

struct Inner {
    actor: ActorRef<Message>,
    shared: Arc<Shared>,
}

/// What came of a start that was asked for.
#[derive(Debug, Clone)]
pub enum StartedChild {
    /// The child runs.
    Running {
        /// Its incarnation.
        epoch: Epoch,
        /// Its actor.
        actor: ActorCell,
    },
    /// It had nothing to start ([`SupervisedExit::ignore`](crate::SupervisedExit::ignore)); it stays down, or is forgotten
    /// if it is temporary or dynamic.
    Ignored,
}

// === impl SupervisorHandle ===

impl SupervisorHandle {
    pub(crate) fn new(actor: ActorRef<Message>, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Inner { actor, shared }))
    }

    /// The supervisor's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.shared.name()
    }

    /// The supervisor's own actor, for linking and monitoring. Stop it through the handle.
    #[must_use]
    pub fn actor(&self) -> ActorCell {
        self.0.actor.get_cell()
    }

    /// Adds a child after all others and starts it. Resolves when it has started.
    ///
    /// # Errors
    /// [`StartChildError`]; nothing is remembered of a child that did not start.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<StartedChild, StartChildError> {
        let answered = self.call(Call::Start(Box::new(spec.into_core()))).await;
        match answered.ok_or(StartChildError::SupervisorGone)? {
            Answered { answer: Answer::Started { epoch, .. }, actor: Some(actor) } => {
                Ok(StartedChild::Running { epoch, actor })
            }
            Answered { answer: Answer::Ignored, .. } => Ok(StartedChild::Ignored),
            Answered { answer: Answer::Refused(refusal), .. } => Err(match refusal {
                Refusal::AlreadyPresent => StartChildError::AlreadyPresent,
                Refusal::MaxChildren => StartChildError::MaxChildren,
                Refusal::Invalid(invalid) => StartChildError::Invalid(invalid),
                Refusal::Failed(reason) => StartChildError::Failed(reason),
                _ => StartChildError::AlreadyStarted,
            }),
            _ => Err(StartChildError::SupervisorGone),
        }
    }

    /// Stops a child by its own shutdown rule; resolves when it has ended. `Ok` if it was down already.
    ///
    /// Its siblings are not affected and no restart is counted. The spec is kept (restart or delete the child then), unless
    /// the child is temporary or dynamic. A restart that was due is off.
    ///
    /// # Errors
    /// [`TerminateChildError`].
    pub async fn terminate_child(&self, id: impl Into<ChildId>) -> Result<(), TerminateChildError> {
        match self.answer(Call::Terminate { id: id.into(), only: None }).await {
            Some(Answer::Done) => Ok(()),
            Some(Answer::Refused(Refusal::Stuck)) => Err(TerminateChildError::Stuck),
            Some(Answer::Refused(_)) => Err(TerminateChildError::NotFound),
            _ => Err(TerminateChildError::SupervisorGone),
        }
    }

    /// Starts a child that is down. Resolves when it has started. No restart is counted.
    ///
    /// # Errors
    /// [`RestartChildError`]; a child that did not start stays down.
    pub async fn restart_child(&self, id: impl Into<ChildId>) -> Result<StartedChild, RestartChildError> {
        let answered = self.call(Call::Restart(id.into())).await;
        match answered.ok_or(RestartChildError::SupervisorGone)? {
            Answered { answer: Answer::Started { epoch, .. }, actor: Some(actor) } => {
                Ok(StartedChild::Running { epoch, actor })
            }
            Answered { answer: Answer::Ignored, .. } => Ok(StartedChild::Ignored),
            Answered { answer: Answer::Refused(refusal), .. } => Err(match refusal {
                Refusal::Running | Refusal::Stuck => RestartChildError::Running,
                Refusal::Restarting => RestartChildError::Restarting,
                Refusal::Dynamic => RestartChildError::Dynamic,
                Refusal::Failed(reason) => RestartChildError::Failed(reason),
                _ => RestartChildError::NotFound,
            }),
            _ => Err(RestartChildError::SupervisorGone),
        }
    }

    /// Forgets a child that is down.
    ///
    /// # Errors
    /// [`DeleteChildError`].
    pub async fn delete_child(&self, id: impl Into<ChildId>) -> Result<(), DeleteChildError> {
        match self.answer(Call::Delete(id.into())).await {
            Some(Answer::Done) => Ok(()),
            Some(Answer::Refused(Refusal::Running)) => Err(DeleteChildError::Running),
            Some(Answer::Refused(Refusal::Restarting)) => Err(DeleteChildError::Restarting),
            Some(Answer::Refused(Refusal::Dynamic)) => Err(DeleteChildError::Dynamic),
            Some(Answer::Refused(_)) => Err(DeleteChildError::NotFound),
            _ => Err(DeleteChildError::SupervisorGone),
        }
    }

    /// Changes rules of a child, running or not: what OTP does by an upgrade of its spec. A start or a stop that is in progress
    /// goes on by the old ones.
    ///
    /// # Errors
    /// [`ChangeRulesError`]; nothing is changed then.
    pub async fn change_rules(&self, id: impl Into<ChildId>, change: RuleChange) -> Result<(), ChangeRulesError> {
        match self.answer(Call::Change { id: id.into(), change }).await {
            Some(Answer::Done) => Ok(()),
            Some(Answer::Refused(Refusal::Temporary)) => Err(ChangeRulesError::Temporary),
            Some(Answer::Refused(Refusal::Invalid(invalid))) => Err(ChangeRulesError::Invalid(invalid)),
            Some(Answer::Refused(_)) => Err(ChangeRulesError::NotFound),
            _ => Err(ChangeRulesError::SupervisorGone),
        }
    }

    /// Keeps another restart intensity from now on. The restarts that have been counted stay counted.
    ///
    /// # Errors
    /// [`SupervisorGone`].
    pub async fn change_intensity(&self, intensity: Intensity) -> Result<(), SupervisorGone> {
        match self.answer(Call::Intensity(intensity)).await {
            Some(Answer::Done) => Ok(()),
            _ => Err(SupervisorGone),
        }
    }

    /// Starts a suspended or waiting child now. Resolves when its start has begun; see [`SupervisorHandle::wait_ready`].
    ///
    /// Its policy is not told, so what it counts goes on counting. In a group strategy the group starts with it.
    ///
    /// # Errors
    /// [`ResumeChildError`].
    pub async fn resume_child(&self, id: impl Into<ChildId>) -> Result<(), ResumeChildError> {
        match self.answer(Call::Resume(id.into())).await {
            Some(Answer::Done) => Ok(()),
            Some(Answer::Refused(Refusal::NotSuspended(state))) => Err(ResumeChildError::NotSuspended(state)),
            Some(Answer::Refused(_)) => Err(ResumeChildError::NotFound),
            _ => Err(ResumeChildError::SupervisorGone),
        }
    }

    /// Stops a child if it runs, and keeps it down until it is resumed. Resolves when it has ended. Its siblings are not
    /// affected; no restart is counted.
    ///
    /// # Errors
    /// [`SuspendChildError`].
    pub async fn suspend_child(
        &self,
        id: impl Into<ChildId>,
        reason: impl Into<Arc<str>>,
    ) -> Result<(), SuspendChildError> {
        self.suspend_child_until(id, reason, None).await
    }

    /// As [`SupervisorHandle::suspend_child`], and says in the status when the suspension is expected to end. Nothing happens
    /// by itself at that time.
    ///
    /// # Errors
    /// [`SuspendChildError`].
    pub async fn suspend_child_until(
        &self,
        id: impl Into<ChildId>,
        reason: impl Into<Arc<str>>,
        until: impl Into<Option<Monotonic>>,
    ) -> Result<(), SuspendChildError> {
        let call = Call::Suspend { id: id.into(), reason: reason.into(), until: until.into() };
        match self.answer(call).await {
            Some(Answer::Done) => Ok(()),
            Some(Answer::Refused(Refusal::Stuck)) => Err(SuspendChildError::Stuck),
            Some(Answer::Refused(Refusal::Temporary)) => Err(SuspendChildError::Temporary),
            Some(Answer::Refused(_)) => Err(SuspendChildError::NotFound),
            _ => Err(SuspendChildError::SupervisorGone),
        }
    }

    /// The children, in start order (OTP lists the newest first).
    ///
    /// # Errors
    /// [`SupervisorGone`].
    pub async fn which_children(&self) -> Result<Vec<ChildStatus>, SupervisorGone> {
        match self.answer(Call::Which).await {
            Some(Answer::Children(children)) => Ok(children),
            _ => Err(SupervisorGone),
        }
    }

    /// How many children there are.
    ///
    /// # Errors
    /// [`SupervisorGone`].
    pub async fn count_children(&self) -> Result<ChildCounts, SupervisorGone> {
        match self.answer(Call::Count).await {
            Some(Answer::Counts(counts)) => Ok(counts),
            _ => Err(SupervisorGone),
        }
    }

    /// The rules that a child lives by (OTP's `get_childspec`), or `None` if there is no such child.
    ///
    /// # Errors
    /// [`SupervisorGone`].
    pub async fn child_rules(&self, id: impl Into<ChildId>) -> Result<Option<ChildRules>, SupervisorGone> {
        match self.answer(Call::Rules(id.into())).await {
            Some(Answer::Rules(rules)) => Ok(Some(rules)),
            Some(Answer::Refused(_)) => Ok(None),
            _ => Err(SupervisorGone),
        }
    }

    /// Resolves with the epoch of the incarnation that is ready: at once, or at the next one that becomes so, however many
    /// restarts that takes.
    ///
    /// # Errors
    /// [`WaitReadyError`] as soon as the child is down, suspended or gone, so that waiting for it would be in vain.
    pub async fn wait_ready(&self, id: impl Into<ChildId>) -> Result<Epoch, WaitReadyError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::WaitReady { id: id.into(), reply });
        answer.await.unwrap_or(Err(WaitReadyError::SupervisorGone))
    }

    /// How things stand now, exactly. Linear in the number of children.
    ///
    /// # Errors
    /// [`SupervisorGone`]; the last status is still in [`SupervisorHandle::status`].
    pub async fn snapshot(&self) -> Result<Arc<SupervisorStatus>, SupervisorGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Snapshot { reply });
        answer.await.map_err(|_| SupervisorGone)
    }

    /// The status as it changes; the latest value is always there to read, also after the supervisor has ended.
    ///
    /// With up to 64 children every change is published. With more it is published at intervals that grow with their number
    /// (100 ms for up to 10,000), and only while somebody holds a receiver, so that watching costs a restart nothing. The
    /// first value then may be old, or without children; use [`SupervisorHandle::snapshot`] for the exact state.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<SupervisorStatus>> {
        let receiver = self.0.shared.watch();
        let published = receiver.borrow().children.len();
        // Too many to be published at every change, or too many to have been published at all.
        if published > crate::shell::PUBLISHED_AT_ONCE || published == 0 {
            self.send(Message::Publish);
        }
        receiver
    }

    /// What happens from now on. A receiver that falls behind by more than 1024 events misses the oldest and is told how many.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<SupervisorEvent> {
        self.0.shared.subscribe()
    }

    /// Stops the children in reverse order, each by its own shutdown rule, then the supervisor. Resolves when all have
    /// ended. May be called more than once; dropping the future does not call it off.
    pub async fn stop(&self) -> SupervisorExit {
        self.request_stop();
        self.closed().await
    }

    /// Kills every child at once, whatever is in progress, then ends the supervisor. For the second Ctrl-C.
    ///
    /// Resolves when all have ended, or the kill grace has passed.
    pub async fn kill_now(&self) -> SupervisorExit {
        self.send(Message::KillNow);
        self.closed().await
    }

    /// Resolves when the supervisor and all its children have ended, however that came about, and says why.
    pub async fn closed(&self) -> SupervisorExit {
        self.0.shared.closed().await
    }

    pub(crate) fn request_stop(&self) {
        self.send(Message::Stop);
    }

    pub(crate) fn exit_now(&self) -> Option<SupervisorExit> {
        self.0.shared.exit()
    }

    /// Messages to a supervisor that has ended are dropped.
    pub(crate) fn send(&self, message: Message) {
        let _ = self.0.actor.send_message(message);
    }

    async fn call(&self, call: Call<Payload>) -> Option<Answered> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Call { call, reply });
        answer.await.ok()
    }

    async fn answer(&self, call: Call<Payload>) -> Option<Answer> {
        self.call(call).await.map(|answered| answered.answer)
    }
}

impl fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorHandle").field("name", &self.name()).finish_non_exhaustive()
    }
}
