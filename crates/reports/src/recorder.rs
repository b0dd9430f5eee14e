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
use crate::report::{Machine, Report};
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
        Self::start_with(shelf, limits, subjects, AFTER)
    }

    fn start_with(shelf: Shelf, limits: Limits, subjects: Vec<Subject>, after: Duration) -> Arc<Self> {
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
        tokio::spawn(write_when_due(Arc::clone(&shared), asked, after));
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

/// Notes ends at once, for mlx-tree itself may be ended in the next moment, and writes all that is news `after` that.
async fn write_when_due(shared: Arc<Shared>, mut asked: mpsc::Receiver<oneshot::Sender<()>>, after: Duration) {
    let mut due = None;
    loop {
        let waiting = tokio::select! {
            () = shared.news.notified() => {
                due = due.or_else(|| Some(tokio::time::Instant::now() + after));
                elsewhere(&shared, Shared::note).await;
                continue;
            }
            () = reached(due) => None,
            ask = asked.recv() => match ask {
                Some(ask) => Some(ask),
                None => return,
            },
        };
        due = None;
        elsewhere(&shared, Shared::write).await;
        if let Some(ask) = waiting {
            let _ = ask.send(());
        }
    }
}

/// Never, if there is no such moment.
async fn reached(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Does what blocks where it is in nobody's way.
async fn elsewhere(shared: &Arc<Shared>, work: fn(&Shared)) {
    let shared = Arc::clone(shared);
    // Reports are no reason to do anything but go on.
    let _ = spawn_blocking(move || work(&shared)).await;
}

// === impl Shared ===

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what is known of ends that nothing is written of. Blocks.
    fn note(&self) {
        let unnoted = self.ledger().unnoted();
        for (id, lines, epoch) in unnoted {
            let lines = lines(epoch, LINES);
            let report = self.ledger().noted(&id, lines);
            if let Some(report) = report {
                self.keep(&report);
            }
        }
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
            self.keep(&report);
        }
    }

    fn keep(&self, report: &Report) {
        match self.shelf.keep(report, self.limits) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome;
    use mlx_tree_api::{AttemptEnd, Kind};

    /// Longer than any test runs.
    const NEVER: Duration = Duration::from_secs(3600);

    fn event(seq: u64, kind: Kind) -> Event {
        Event {
            seq,
            at: format!("2026-01-01T00:00:{seq:02}Z"),
            child: "server".to_owned(),
            epoch: 1,
            server: None,
            kind,
        }
    }

    fn down() -> Kind {
        let (reason, message) = ("killed".to_owned(), "signal SIGKILL (9)".to_owned());
        Kind::ServerExited { reason, code: None, signal: Some(9), message, cause: None }
    }

    #[tokio::test]
    async fn an_end_is_written_down_at_once_and_completed_in_its_place() {
        let state = tempfile::tempdir().expect("a directory");
        let shelf = Shelf::open(state.path()).expect("a shelf");
        let subject = Subject {
            child: "server".to_owned(),
            name: "server".to_owned(),
            kind: "mlx_lm".to_owned(),
            model: "m".to_owned(),
            lines: Arc::new(|_, _| vec!["its last words".to_owned()]),
        };
        let limits = Limits { keep: 10, max_bytes: 1 << 20 };
        let recorder = Recorder::start_with(shelf.clone(), limits, vec![subject], NEVER);
        let (server, request) = ("server", "r");
        recorder.event(&event(1, Kind::ServerSpawned { pid: 7, url: String::new() }));
        recorder.sample(&Sample::AttemptBegan { server, epoch: 1, request });
        recorder.event(&event(2, down()));
        let first = loop {
            let (reports, unreadable) = shelf.read().expect("listed");
            assert!(unreadable.is_empty(), "whole or not there: {unreadable:?}");
            match &reports[..] {
                [report] => break report.clone(),
                [] => tokio::time::sleep(Duration::from_millis(5)).await,
                more => panic!("{more:?}"),
            }
        };
        assert_eq!((first.pid, first.reason.as_str()), (Some(7), "killed"));
        assert_eq!(first.last_lines, ["its last words"]);
        assert_eq!(first.events.len(), 2, "what led to it: {:?}", first.events);
        assert_eq!(first.requests[0].outcome, Outcome::Open, "nobody knows yet");
        assert_eq!(first.machine, Machine::default(), "how the machine is a moment later, nobody knows yet");

        recorder.event(&event(3, Kind::RestartGranted { consecutive: 1 }));
        recorder.sample(&Sample::AttemptBegan { server, epoch: 2, request });
        recorder.sample(&Sample::AttemptEnded { server, epoch: 2, request, end: AttemptEnd::Answered });
        recorder.flush().await;
        let (reports, _) = shelf.read().expect("listed");
        let [whole] = &reports[..] else { panic!("one end, one report: {reports:?}") };
        assert_eq!(whole.id, first.id);
        assert!(whole.decision.is_some() && whole.requests[0].outcome == Outcome::Answered, "{whole:?}");
        assert_ne!(whole.machine, Machine::default());
    }
}
