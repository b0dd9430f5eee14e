//! The owner task: it alone has the child, so that nothing that happens to a handle can leak it.

use std::any::Any;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::ending::{Ending, Step};
use super::leader::Leader;
use super::sweep::sweep;
use super::{Condition, Stuck};
use crate::exit::Exit;
use crate::launch::Grace;
use crate::marks::Marks;
use crate::os;
use crate::output::reader::Reading;
use crate::signal::Signal;

/// What a handle may want.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    /// End within this grace.
    Stop(Grace),
    /// End now.
    Kill,
}

/// Values that live as long as the group; `None` once it is gone.
pub(super) type Held = Arc<Mutex<Option<Vec<Box<dyn Any + Send>>>>>;

/// Everything that belongs to one life.
pub(super) struct Owner {
    pub(super) leader: Leader,
    pub(super) started: Instant,
    pub(super) marks: Marks,
    pub(super) drop_grace: Grace,
    pub(super) wishes: mpsc::UnboundedReceiver<Wish>,
    pub(super) condition: watch::Sender<Condition>,
    pub(super) reading: Reading,
    pub(super) held: Held,
}

// === impl Owner ===

impl Owner {
    /// Runs until the group is gone. If the task is dropped before, [`Leader`]'s drop kills the group.
    pub(super) async fn run(mut self) {
        let ending = self.await_exit().await;
        let lived = self.started.elapsed();
        // The leader is a zombie now, and keeps the number of the group for us until `reap`.
        let survivors = sweep(&self.leader, &self.marks).await;
        for survivor in &survivors {
            tracing::warn!(pid = survivor.pid, command = %survivor.command, "a process outlived its group");
        }
        let (how, core) = self.leader.reap();
        self.reading.finish().await;
        let exit = Exit { how, asked: ending.asked(), core, lived, survivors };
        tracing::debug!(group = self.leader.identity().pid, %exit, "the group is gone");
        // First the lock and the control group, then what others held, then the news.
        drop(self.leader);
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(held);
        self.condition.send_replace(Condition::Gone(exit));
    }

    /// Carries out wishes until the leader has exited.
    async fn await_exit(&mut self) -> Ending {
        let mut ending = Ending::Running;
        let mut handles = true;
        let mut exited = pin!(os::child_ended(self.leader.identity().pid));
        loop {
            let timer = async {
                match ending.deadline() {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let step = tokio::select! {
                biased;
                () = &mut exited => return ending,
                wish = self.wishes.recv(), if handles => match wish {
                    Some(Wish::Stop(grace)) => ending.on_stop(grace, Instant::now()),
                    Some(Wish::Kill) => ending.on_kill(Instant::now()),
                    // The last handle is gone: nobody can want anything else any more.
                    None => {
                        handles = false;
                        ending.on_stop(self.drop_grace, Instant::now())
                    }
                },
                () = timer => ending.on_time(Instant::now()),
            };
            self.carry_out(step, &ending);
        }
    }

    fn carry_out(&self, step: Step, ending: &Ending) {
        match step {
            Step::Nothing => {}
            Step::Terminate => {
                self.leader.signal(Signal::Term);
                // A frozen process takes no TERM before it runs again.
                self.leader.signal(Signal::Continue);
            }
            Step::Kill | Step::ReportStuck => self.leader.signal(Signal::Kill),
        }
        let condition = match *ending {
            Ending::Running => Condition::Running,
            Ending::Stopping { .. } => Condition::Stopping,
            Ending::Killing { .. } => Condition::Killing,
            Ending::Stuck { since, .. } => {
                Condition::Stuck(Stuck { pid: self.leader.identity().pid, since_kill: since.elapsed() })
            }
        };
        if let Step::ReportStuck = step {
            tracing::error!(
                group = self.leader.identity().pid,
                "the group does not end after KILL: it hangs in the kernel"
            );
        }
        self.condition.send_if_modified(|now| {
            let changed = std::mem::discriminant(now) != std::mem::discriminant(&condition);
            *now = condition;
            changed
        });
    }
}
