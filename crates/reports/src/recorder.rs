//! Hears everything, and writes reports off the control path.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mlx_tree_api::{Event, Fold, Sample};
use mlx_tree_process::{machine, usage};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::spawn_blocking;

use crate::ledger::{Ledger, News, Subject};
use crate::report::Machine;
use crate::shelf::{Limits, Shelf};

/// So long after an end the last lines have arrived, and what was decided is known.
const AFTER: Duration = Duration::from_secs(1);

/// So many last lines are asked for.
const LINES: usize = 50;

/// Nobody waits longer for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// The black box of a tree. To be attached to its bus; ends when that is gone.
pub struct Recorder {
    shared: Arc<Shared>,
    flush: mpsc::Sender<oneshot::Sender<()>>,
}

struct Shared {
    ledger: Mutex<Ledger>,
    began: Instant,
    news: Notify,
    shelf: Shelf,
    limits: Limits,
    /// Kills for want of memory, as counted last.
    kills: Mutex<Option<u64>>,
    /// Whether the last report could not be written: said once.
    failing: AtomicBool,
}

// === impl Recorder ===

impl Recorder {
    /// Begins to record ends of `subjects`, on the runtime that this is called on.
    #[must_use]
    pub fn start(shelf: Shelf, limits: Limits, subjects: Vec<Subject>) -> Arc<Self> {
        let (flush, asked) = mpsc::channel(4);
        let shared = Arc::new(Shared {
            ledger: Mutex::new(Ledger::new(subjects)),
            began: Instant::now(),
            news: Notify::new(),
            shelf,
            limits,
            kills: Mutex::new(usage::oom_kills()),
            failing: AtomicBool::new(false),
        });
        tokio::spawn(write_when_due(Arc::clone(&shared), asked));
        Arc::new(Self { shared, flush })
    }

    /// Resolves when all that is known is written down, or after two seconds.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        let asked = async {
            if self.flush.send(done).await.is_ok() {
                let _ = written.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, asked).await;
    }
}

impl Fold for Recorder {
    fn event(&self, event: &Event) {
        let news = self.shared.ledger().on_event(event, self.shared.began.elapsed());
        // A server that has just come up makes the count of kills worth another look.
        if news == News::Some || matches!(event.kind, mlx_tree_api::Kind::ServerReady { .. }) {
            self.shared.news.notify_one();
        }
    }

    fn sample(&self, sample: &Sample<'_>) {
        // There is one of these for each token, and nothing here is about tokens.
        if matches!(sample, Sample::Tokens { .. } | Sample::Probed { .. }) {
            return;
        }
        if self.shared.ledger().on_sample(sample, self.shared.began.elapsed()) == News::Some {
            self.shared.news.notify_one();
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("shelf", &self.shared.shelf).finish_non_exhaustive()
    }
}

async fn write_when_due(shared: Arc<Shared>, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
    loop {
        let mut waiting = tokio::select! {
            () = shared.news.notified() => None,
            ask = asked.recv() => match ask {
                Some(ask) => Some(ask),
                None => return,
            },
        };
        if waiting.is_none() {
            tokio::select! {
                () = tokio::time::sleep(AFTER) => {}
                ask = asked.recv() => waiting = ask,
            }
        }
        let work = Arc::clone(&shared);
        // Reports are no reason to do anything but go on.
        let _ = spawn_blocking(move || work.write()).await;
        if let Some(ask) = waiting {
            let _ = ask.send(());
        }
    }
}

// === impl Shared ===

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gathers what is missing, and writes what is new. Blocks.
    fn write(&self) {
        let killed = self.new_kills();
        let ungathered = self.ledger().ungathered();
        if !ungathered.is_empty() {
            let machine = look_at_machine(killed);
            for (id, lines, epoch) in ungathered {
                let lines = lines(epoch, LINES);
                self.ledger().gathered(&id, lines, &machine);
            }
        }
        let reports = self.ledger().take_news(self.began.elapsed());
        for report in reports {
            match self.shelf.keep(&report, self.limits) {
                Ok(()) => self.failing.store(false, Ordering::Relaxed),
                Err(error) if self.failing.swap(true, Ordering::Relaxed) => {
                    tracing::debug!(target: "mlx_tree::reports", id = report.id, %error, "another report is lost");
                }
                Err(error) => {
                    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(target: "mlx_tree::reports", id = report.id, why, "{error}: a report is lost");
                }
            }
        }
    }

    /// How many kills for want of memory there were since this was asked last.
    fn new_kills(&self) -> Option<u64> {
        let mut last = self.kills.lock().unwrap_or_else(PoisonError::into_inner);
        let now = usage::oom_kills();
        let before = std::mem::replace(&mut *last, now);
        Some(now?.saturating_sub(before?))
    }
}

fn look_at_machine(oom_kills: Option<u64>) -> Machine {
    let memory = machine::memory();
    Machine {
        system: machine::system(),
        memory_total: memory.map(|memory| memory.total),
        memory_available: memory.and_then(|memory| memory.available),
        memory_limit: machine::memory_limit(),
        oom_kills,
    }
}
