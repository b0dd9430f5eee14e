//! What comes in: taken at once, or kept in order until the operation in progress is over.

use crate::{ChildState, Epoch, EventKind, ExitReason, SupervisorPhase};

use super::child::{AfterStuck, State, StopCause, StopStage};
use super::operation::Operation;
use super::{Answer, Call, Input, Key, QueryOrder, StopWaits, Supervisor, Ticket};

/// What waits. The same things, in the same order, as in the mailbox of OTP's supervisor.
pub(super) enum Mail<P> {
    /// A child has ended; how, stands with the child.
    Exit {
        key: Key,
        epoch: Epoch,
    },
    /// OTP's `try_again_restart`.
    Retry {
        key: Key,
    },
    Call {
        ticket: Ticket,
        call: Call<P>,
    },
    Stop,
}

impl<P> Supervisor<P> {
    pub(super) fn take(&mut self, input: Input<P>) {
        match input {
            Input::Boot => self.boot(),
            Input::Started { key, epoch } => {
                if let Some(index) = self.current(key, epoch) {
                    self.started(index);
                }
            }
            Input::Ignored { key, epoch } => {
                if let Some(index) = self.current(key, epoch) {
                    self.ignored(index);
                }
            }
            Input::Ready { key, epoch } => {
                if let Some(index) = self.current(key, epoch) {
                    self.ready(index);
                }
            }
            Input::Exited { key, epoch, reason } => {
                if let Some(index) = self.current(key, epoch) {
                    self.heard_exit(index, reason);
                }
            }
            Input::Wake => {
                while let Some(index) = self.table.pop_due(self.now) {
                    self.due(index);
                }
            }
            Input::Call { ticket, call } => match call {
                Call::Which | Call::Count | Call::Rules(_) if self.config.queries == QueryOrder::AtOnce => {
                    self.call(ticket, call);
                }
                call => self.mail.push_back(Mail::Call { ticket, call }),
            },
            Input::Stop => {
                self.mail.push_back(Mail::Stop);
                self.stop_waits = StopWaits::Yes;
                self.hurry();
            }
            Input::KillNow => self.kill_now(),
        }
    }

    /// Reads the mail for as long as nothing is in progress.
    pub(super) fn read_mail(&mut self) {
        while matches!(self.operation, Operation::Idle) && self.phase == SupervisorPhase::Running {
            match self.mail.pop_front() {
                None => break,
                Some(Mail::Exit { key, epoch }) => self.read_exit(key, epoch),
                Some(Mail::Retry { key }) => self.retry(key),
                Some(Mail::Call { ticket, call }) => self.call(ticket, call),
                Some(Mail::Stop) => self.begin_shutdown(crate::SupervisorExit::Stopped),
            }
        }
    }

    /// The child, if it is still known and this is its current incarnation.
    fn current(&self, key: Key, epoch: Epoch) -> Option<u32> {
        let index = self.table.index(key)?;
        let node = &self.table[index];
        (node.epoch == epoch && node.is_active()).then_some(index)
    }

    pub(super) fn heard_exit(&mut self, index: u32, reason: ExitReason) {
        if self.awaited == Some(index) {
            return self.awaited_ended(index, reason);
        }
        if matches!(self.operation, Operation::Parallel(_)) {
            return self.parallel_ended(index, reason);
        }
        if let State::Stuck { then } = &self.table[index].state {
            match then {
                AfterStuck::Rest | AfterStuck::Forget | AfterStuck::Start | AfterStuck::Suspend { .. } => {
                    let then = then.clone();
                    return self.stuck_ended(index, then, reason);
                }
                AfterStuck::Fail => {}
            }
        }
        if self.phase == SupervisorPhase::Running && matches!(self.operation, Operation::Idle) {
            return self.exited(index, reason);
        }
        self.table.change(index, |node| node.unread_exit = Some(Box::new(reason)));
        self.table.set_deadline(index, None);
        let (key, epoch) = (self.table.key(index), self.table[index].epoch);
        self.mail.push_back(Mail::Exit { key, epoch });
    }

    fn read_exit(&mut self, key: Key, epoch: Epoch) {
        let Some(index) = self.table.index(key) else { return };
        if self.table[index].epoch != epoch {
            return;
        }
        // Somebody who stopped the child meanwhile has read it (OTP flushes the EXIT then).
        if let Some(reason) = self.table.change(index, |node| node.unread_exit.take()) {
            self.exited(index, *reason);
        }
    }

    fn due(&mut self, index: u32) {
        match &self.table[index].state {
            State::Down | State::Suspended { .. } | State::Stuck { .. } => {}
            State::Starting(_) => self.start_overdue(index),
            State::Up => self.not_ready_in_time(index),
            State::Ready => self.stable(index),
            State::Stopping { stage: StopStage::Asked, .. } => self.kill(index),
            State::Stopping { stage: StopStage::Killed, why } => {
                let then = match why {
                    StopCause::Asked => AfterStuck::Rest,
                    StopCause::StartTimeout => AfterStuck::Fail,
                };
                self.stuck(index, then);
            }
            State::Waiting { .. } => {
                let key = self.table.key(index);
                self.mail.push_back(Mail::Retry { key });
            }
        }
    }

    pub(super) fn children_answer(&self) -> Answer {
        Answer::Children(self.children().collect())
    }

    pub(super) fn state_of(&self, index: u32) -> ChildState {
        self.table[index].state.public()
    }

    /// Forgets a child that is down.
    pub(super) fn forget(&mut self, index: u32) {
        self.event(index, EventKind::ChildRemoved);
        let _ = self.table.remove(index);
    }
}
