//! Inputs to the machine, effects from the machine.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mlx_tree_policy::{Monotonic, Severity};
use ractor::{ActorId, ActorRef, SpawnErr, SupervisionEvent};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::core::{self, Answer, Effect, Input, Key, Ticket};
use crate::exit::SupervisedExit;
use crate::start::{Body, Incarnation};
use crate::{
    ChildContext, ChildId, ChildState, Epoch, EventKind, ExitReason, Failure, FailureKind, StartError, Strategy,
    SupervisorEvent, SupervisorExit, SupervisorHandle, WaitReadyError,
};

use super::actors::Actors;
use super::clock::Clock;
use super::publish::{self, PUBLISHED_AT_ONCE};
use super::{Announce, Answered, Arguments, Message, Payload, Running, Shared, StartFailure, log};

pub(crate) struct Driver {
    pub(super) core: core::Supervisor<Payload>,
    effects: Vec<Effect>,
    myself: ActorRef<Message>,
    handle: SupervisorHandle,
    pub(super) shared: Arc<Shared>,
    announce: Announce,
    actors: Actors,
    calls: HashMap<Ticket, oneshot::Sender<Answered>>,
    next_ticket: u64,
    waiting_for_ready: HashMap<ChildId, Vec<oneshot::Sender<Result<Epoch, WaitReadyError>>>>,
    clock: Clock,
    alarm: Option<Alarm>,
    next_seq: u64,
    changed: Changed,
    publication: Publication,
    pub(super) exit: Option<SupervisorExit>,
}

struct Alarm {
    at: Monotonic,
    task: AbortHandle,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Changed {
    No,
    Yes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Publication {
    None,
    Scheduled,
}

// === impl Driver ===

impl Driver {
    pub(super) fn new(myself: ActorRef<Message>, arguments: Arguments) -> Self {
        let Arguments { core, shared, clock, announce } = arguments;
        Self {
            core,
            effects: Vec::with_capacity(16),
            handle: SupervisorHandle::new(myself.clone(), shared.clone()),
            myself,
            shared,
            announce,
            actors: Actors::default(),
            calls: HashMap::new(),
            next_ticket: 0,
            waiting_for_ready: HashMap::new(),
            clock: Clock::starting_at(clock),
            alarm: None,
            next_seq: 0,
            changed: Changed::Yes,
            publication: Publication::None,
            exit: None,
        }
    }

    pub(super) fn boot(&mut self) {
        if let Announce::Parent(obituary) = &self.announce {
            // From here on the actor is linked, and ractor tells the parent of its end.
            obituary.not_needed();
        }
        self.step(Input::Boot);
    }

    pub(super) fn message(&mut self, message: Message) {
        match message {
            Message::Ready { key, epoch } => self.step(Input::Ready { key, epoch }),
            Message::SubtreeStarted { key, epoch } => self.step(Input::Started { key, epoch }),
            Message::StartFailed { key, epoch, why } => self.start_failed(key, epoch, why),
            Message::Wake => {
                self.alarm = None;
                self.step(Input::Wake);
            }
            Message::Call { call, reply } => {
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                self.calls.insert(ticket, reply);
                self.step(Input::Call { ticket, call });
            }
            Message::WaitReady { id, reply } => self.wait_ready(id, reply),
            Message::Snapshot { reply } => {
                let status = self.publish();
                let _ = reply.send(status);
            }
            Message::Publish => {
                self.publication = Publication::None;
                self.publish();
            }
            Message::Stop => self.step(Input::Stop),
            Message::KillNow => self.step(Input::KillNow),
        }
    }

    pub(super) fn supervision_event(&mut self, event: SupervisionEvent) {
        match event {
            SupervisionEvent::ActorStarted(cell) => {
                let Some(key) = self.actors.get(cell.get_id()) else { return };
                let running = self.core.payload_mut(key).and_then(|payload| payload.running.as_ref());
                // A subtree says itself when it has started.
                if let Some(Running { epoch, body: Body::Actor, .. }) = running {
                    let epoch = *epoch;
                    self.step(Input::Started { key, epoch });
                }
            }
            SupervisionEvent::ActorTerminated(cell, state, reason) => {
                // The state of the child ends here, now, and not when this supervisor next has time.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
                self.actor_ended(cell.get_id(), |_| ExitReason::from_termination(reason.as_deref()));
            }
            SupervisionEvent::ActorFailed(cell, error) => self.actor_ended(cell.get_id(), |running| {
                let kind = if running.panicked.get() { FailureKind::Panic } else { FailureKind::Error };
                ExitReason::Failed(Failure::from_error(kind, error))
            }),
            SupervisionEvent::ProcessGroupChanged(_) => {}
        }
    }

    fn actor_ended(&mut self, actor: ActorId, reason: impl FnOnce(&Running) -> ExitReason) {
        // A stranger that was linked to us is none of our business (OTP: the EXIT of an unknown pid).
        let Some(key) = self.actors.remove(actor) else { return };
        let Some(payload) = self.core.payload_mut(key) else { return };
        let Some(running) = payload.running.take_if(|running| running.cell.get_id() == actor) else { return };
        let epoch = running.epoch;
        let _ = payload.start.call(|start| start.ended(epoch));
        let reason = match running.body.failed_boot() {
            Some(failure) => ExitReason::Failed(failure),
            None => reason(&running),
        };
        self.step(Input::Exited { key, epoch, reason });
    }

    fn start_failed(&mut self, key: Key, epoch: Epoch, why: StartFailure) {
        let Some(payload) = self.core.payload_mut(key) else { return };
        if let Some(running) = payload.running.take_if(|running| running.epoch == epoch) {
            self.actors.remove(running.cell.get_id());
        }
        let _ = payload.start.call(|start| start.ended(epoch));
        let failed = |message| Failure::new(FailureKind::StartFailed, Severity::Transient, message);
        let reason = match why {
            StartFailure::Panic(text) => ExitReason::Failed(failed(format!("panic: {text}"))),
            StartFailure::Killed => ExitReason::Killed,
            StartFailure::Error(error) => {
                if error.downcast_ref::<SupervisedExit>().is_some_and(SupervisedExit::is_ignore) {
                    return self.step(Input::Ignored { key, epoch });
                }
                ExitReason::Failed(Failure::from_error(FailureKind::StartFailed, error))
            }
        };
        self.step(Input::Exited { key, epoch, reason });
    }

    fn step(&mut self, input: Input<Payload>) {
        if self.exit.is_some() {
            return;
        }
        let now = self.clock.now();
        let mut effects = std::mem::take(&mut self.effects);
        self.core.step(now, input, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect, now);
        }
        self.effects = effects;
        self.set_alarm(now);
        if self.changed == Changed::Yes {
            self.changed = Changed::No;
            self.publish_change();
            if !self.waiting_for_ready.is_empty() {
                self.tell_who_waits();
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, now: Monotonic) {
        match effect {
            Effect::Spawn { key, epoch } => self.spawn(key, epoch),
            Effect::Stop { key, .. } => {
                if let Some(running) = self.core.payload_mut(key).and_then(|payload| payload.running.as_ref()) {
                    running.stop();
                }
            }
            Effect::Kill { key, .. } => {
                if let Some(running) = self.core.payload_mut(key).and_then(|payload| payload.running.as_ref()) {
                    running.cell.kill();
                }
            }
            Effect::Reply { ticket, answer } => self.reply(ticket, answer),
            Effect::Event { child, epoch, kind } => self.event(child, epoch, kind, now),
            Effect::Booted => self.announce(Ok(())),
            Effect::Exit(exit) => self.finish(exit),
        }
    }

    fn spawn(&mut self, key: Key, epoch: Epoch) {
        let Some(id) = self.core.id(key).cloned() else { return };
        let context = ChildContext { id, key, epoch, supervisor: self.handle.clone() };
        let supervisor = self.myself.get_cell();
        let Some(payload) = self.core.payload_mut(key) else { return };
        match payload.start.call(|start| start.start(context, supervisor)) {
            Ok(Ok(Incarnation { cell, panicked, body })) => {
                self.actors.insert(cell.get_id(), key);
                payload.running = Some(Running { epoch, cell, panicked, body });
            }
            // Through the mailbox, so that a child that fails for ever leaves room for others.
            Ok(Err(error)) => {
                let error = match error {
                    SpawnErr::StartupFailed(error) => error,
                    error @ (SpawnErr::ActorAlreadyStarted | SpawnErr::ActorAlreadyRegistered(_)) => error.into(),
                };
                self.tell_myself(Message::StartFailed { key, epoch, why: StartFailure::Error(error) });
            }
            Err(panic) => self.tell_myself(Message::StartFailed { key, epoch, why: StartFailure::Panic(panic) }),
        }
    }

    fn tell_myself(&self, message: Message) {
        let _ = self.myself.send_message(message);
    }

    fn reply(&mut self, ticket: Ticket, answer: Answer) {
        let Some(reply) = self.calls.remove(&ticket) else { return };
        // Some requests change a state without an event (a waiting child that is terminated), and whoever reads the answer
        // must find it in the status.
        self.publish_change();
        let actor = match &answer {
            Answer::Started { key, .. } => {
                let payload = self.core.payload_mut(*key);
                payload.and_then(|payload| payload.running.as_ref()).map(|running| running.cell.clone())
            }
            _ => None,
        };
        // Who asked may have stopped listening.
        let _ = reply.send(Answered { answer, actor });
    }

    fn event(&mut self, child: Option<ChildId>, epoch: Epoch, kind: EventKind, at: Monotonic) {
        self.changed = Changed::Yes;
        log::write(self.shared.name(), child.as_ref(), epoch, &kind);
        let seq = self.next_seq;
        self.next_seq += 1;
        if self.shared.is_observed() {
            let supervisor = self.shared.name().clone();
            self.shared.emit(SupervisorEvent { seq, at, supervisor, child, epoch, kind });
        }
    }

    fn wait_ready(&mut self, id: ChildId, reply: oneshot::Sender<Result<Epoch, WaitReadyError>>) {
        match self.readiness(&id) {
            Some(answer) => {
                let _ = reply.send(answer);
            }
            None => self.waiting_for_ready.entry(id).or_default().push(reply),
        }
    }

    /// Whether a child is ready or will not become so by itself; `None` while it may.
    fn readiness(&self, id: &ChildId) -> Option<Result<Epoch, WaitReadyError>> {
        if self.exit.is_some() {
            return Some(Err(WaitReadyError::SupervisorGone));
        }
        let Some(child) = self.core.child(id.as_str()) else { return Some(Err(WaitReadyError::NotFound)) };
        match child.state {
            ChildState::Ready => Some(Ok(child.epoch)),
            ChildState::Suspended { reason, .. } => Some(Err(WaitReadyError::Suspended { reason })),
            ChildState::Down if self.core.is_busy() || self.group_waits() => None,
            ChildState::Down => Some(Err(WaitReadyError::Down)),
            ChildState::Starting
            | ChildState::Up
            | ChildState::Stopping
            | ChildState::Stuck
            | ChildState::Waiting { .. } => None,
        }
    }

    /// Whether a child that is down may be so because its group waits for a restart, or for a stuck member.
    fn group_waits(&self) -> bool {
        match self.core.config().strategy {
            Strategy::OneForOne | Strategy::Dynamic => false,
            Strategy::OneForAll | Strategy::RestForOne => {
                self.core.children().any(|child| matches!(child.state, ChildState::Waiting { .. } | ChildState::Stuck))
            }
        }
    }

    fn tell_who_waits(&mut self) {
        let settled: Vec<_> = self
            .waiting_for_ready
            .keys()
            .filter_map(|id| self.readiness(id).map(|answer| (id.clone(), answer)))
            .collect();
        for (id, answer) in settled {
            for reply in self.waiting_for_ready.remove(&id).into_iter().flatten() {
                let _ = reply.send(answer.clone());
            }
        }
    }

    fn announce(&mut self, outcome: Result<(), StartError>) {
        match (std::mem::replace(&mut self.announce, Announce::Nobody), outcome) {
            (Announce::Starter(starter), outcome) => {
                let _ = starter.send(outcome);
            }
            (Announce::Parent(obituary), Ok(())) => {
                obituary.subtree_started();
            }
            // The parent hears of the end, and reads the reason from the shared exit.
            (Announce::Parent(_), Err(_)) | (Announce::Nobody, _) => {}
        }
    }

    fn finish(&mut self, exit: SupervisorExit) {
        self.exit = Some(exit);
        // OTP: a supervisor that gives up exits with reason shutdown, whatever made it do so.
        self.myself.stop(Some("shutdown".to_owned()));
    }

    /// The last thing that happens, in whatever way the actor ends.
    pub(super) fn close(&mut self) {
        let exit = self.exit.clone().unwrap_or(SupervisorExit::Killed);
        if let Some(alarm) = self.alarm.take() {
            alarm.task.abort();
        }
        self.announce(Err(match &exit {
            SupervisorExit::StartFailed { child, reason } => {
                StartError::Child { child: child.clone(), reason: reason.clone() }
            }
            SupervisorExit::Stopped
            | SupervisorExit::IntensityExceeded { .. }
            | SupervisorExit::Escalated { .. }
            | SupervisorExit::AutoShutdown { .. }
            | SupervisorExit::Killed => StartError::Stopped,
        }));
        self.calls.clear();
        self.waiting_for_ready.clear();
        if self.shared.exit().is_none() {
            let mut status = publish::snapshot(self.shared.name(), &self.core, self.clock.now());
            status.phase = crate::SupervisorPhase::Stopped;
            self.shared.publish(Arc::new(status));
            self.shared.close(exit);
        }
    }

    fn set_alarm(&mut self, now: Monotonic) {
        let Some(at) = self.core.next_deadline() else { return };
        match &self.alarm {
            // It rings early; then there is nothing to do yet, and it is set again.
            Some(alarm) if alarm.at <= at => return,
            Some(alarm) => alarm.task.abort(),
            None => {}
        }
        let (myself, span) = (self.myself.clone(), at.saturating_since(now));
        let task = tokio::spawn(async move {
            tokio::time::sleep(span).await;
            let _ = myself.send_message(Message::Wake);
        });
        self.alarm = Some(Alarm { at, task: task.abort_handle() });
    }

    fn publish(&mut self) -> Arc<crate::SupervisorStatus> {
        let status = Arc::new(publish::snapshot(self.shared.name(), &self.core, self.clock.now()));
        self.shared.publish(status.clone());
        status
    }

    fn publish_change(&mut self) {
        let children = self.core.counts().specs;
        if children <= PUBLISHED_AT_ONCE {
            self.publish();
        } else if self.publication == Publication::None && self.shared.status_is_watched() {
            self.publication = Publication::Scheduled;
            let myself = self.myself.clone();
            tokio::spawn(async move {
                tokio::time::sleep(publish::interval(children)).await;
                let _ = myself.send_message(Message::Publish);
            });
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.close();
    }
}

// === impl Running ===

impl Running {
    pub(super) fn stop(&self) {
        match &self.body {
            Body::Actor => self.cell.stop(Some("shutdown".to_owned())),
            // ractor's stop would take it out of its own message flow.
            Body::Subtree(handle) => handle.request_stop(),
        }
    }
}

// === impl Body ===

impl Body {
    /// Why a subtree did not come up, if that is how it ended.
    fn failed_boot(&self) -> Option<Failure> {
        match self {
            Self::Actor => None,
            Self::Subtree(handle) => match handle.exit_now()? {
                exit @ SupervisorExit::StartFailed { .. } => {
                    Some(Failure::new(FailureKind::StartFailed, Severity::Transient, exit.to_string()))
                }
                SupervisorExit::Stopped
                | SupervisorExit::IntensityExceeded { .. }
                | SupervisorExit::Escalated { .. }
                | SupervisorExit::AutoShutdown { .. }
                | SupervisorExit::Killed => None,
            },
        }
    }
}
