//! The observation path: numbers and stamps each event, remembers the latest, and hands them to whoever watches.
//!
//! *Architecture Invariant:* no decision rides on this bus. A slow watcher loses events and is told how many; the control
//! path (actor messages and `watch` channels) never does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mlx_tree_api::{Event, Fold, Kind, Level, Sample};
use tokio::sync::broadcast;

/// How many events are kept for those who come late, and how far a live watcher may lag.
const REMEMBERED: usize = 1024;

/// Numbers, stamps, remembers and distributes events. Cheap to clone; all clones are one bus.
#[derive(Debug, Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

struct Shared {
    log: Mutex<Log>,
    folds: RwLock<Vec<Arc<dyn Fold>>>,
    live: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Log {
    seq: u64,
    recent: VecDeque<Arc<Event>>,
}

// === impl Bus ===

impl Bus {
    /// A bus of its own, with nothing on it.
    #[must_use]
    pub fn new() -> Self {
        let (live, _) = broadcast::channel(REMEMBERED);
        Self { shared: Arc::new(Shared { log: Mutex::default(), folds: RwLock::default(), live }) }
    }

    /// Publishes that `kind` happened to incarnation `epoch` of `child`, as an event and as a structured log record.
    pub fn emit(&self, child: &str, epoch: u64, kind: Kind) {
        self.publish(child, None, epoch, kind);
    }

    /// The same of something that `child` has done about incarnation `epoch` of `server`.
    pub fn emit_about(&self, server: &str, child: &str, epoch: u64, kind: Kind) {
        self.publish(child, Some(server.to_owned()), epoch, kind);
    }

    fn publish(&self, child: &str, server: Option<String>, epoch: u64, kind: Kind) {
        let event = {
            let mut log = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.seq += 1;
            let event = Arc::new(Event {
                seq: log.seq,
                at: jiff::Timestamp::now().to_string(),
                child: child.to_owned(),
                epoch,
                server,
                kind,
            });
            if log.recent.len() == REMEMBERED {
                log.recent.pop_front();
            }
            log.recent.push_back(Arc::clone(&event));
            // Sent under the lock, so that every watcher sees the numbers in order.
            let _ = self.shared.live.send(Arc::clone(&event));
            self.each(|fold| fold.event(&event));
            event
        };
        record(&event);
    }

    /// Hands every event and every sample from now on to `fold` too, in their order and with none lost.
    pub fn attach(&self, fold: Arc<dyn Fold>) {
        self.shared.folds.write().unwrap_or_else(PoisonError::into_inner).push(fold);
    }

    /// Hands a measurement to those who add it up. Costs next to nothing when nobody does.
    pub fn sample(&self, sample: &Sample<'_>) {
        self.each(|fold| fold.sample(sample));
    }

    fn each(&self, tell: impl Fn(&dyn Fold)) {
        for fold in self.shared.folds.read().unwrap_or_else(PoisonError::into_inner).iter() {
            tell(&**fold);
        }
    }

    /// The events from now on. A watcher that lags by more than 1,024 events is told how many it lost.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.shared.live.subscribe()
    }

    /// The remembered events with a number above `seq`, oldest first, and then the events from now on, with none lost or
    /// doubled in between.
    #[must_use]
    pub fn replay_after(&self, seq: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let log = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        let past = log.recent.iter().filter(|event| event.seq > seq).cloned().collect();
        (past, self.shared.live.subscribe())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

/// The same event for log shippers: one structured record each.
fn record(event: &Event) {
    macro_rules! at {
        ($level:ident) => {
            tracing::$level!(
                target: "mlx_tree::event",
                seq = event.seq,
                child = event.child.as_str(),
                server = event.server.as_deref(),
                epoch = event.epoch,
                event = event.kind.name(),
                detail = ?event.kind,
            )
        };
    }
    match event.kind.level() {
        Level::Debug => at!(debug),
        Level::Info => at!(info),
        Level::Warn => at!(warn),
        Level::Error => at!(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_watcher_sees_every_event_once_and_in_order() {
        let bus = Bus::new();
        bus.emit("server", 1, Kind::HealthMonitoring);
        bus.emit("server", 1, Kind::ServerLoading);
        let (past, mut live) = bus.replay_after(1);
        bus.emit("server", 2, Kind::ServerLoading);
        assert_eq!(past.iter().map(|event| event.seq).collect::<Vec<_>>(), [2]);
        let next = live.recv().await.expect("the bus is open");
        assert_eq!((next.seq, next.epoch), (3, 2));
    }

    #[derive(Default)]
    struct Sum(Mutex<Vec<String>>);

    impl Fold for Sum {
        fn event(&self, event: &Event) {
            self.0.lock().expect("not poisoned").push(format!("{} {}", event.seq, event.kind.name()));
        }

        fn sample(&self, sample: &Sample<'_>) {
            self.0.lock().expect("not poisoned").push(format!("{sample:?}"));
        }
    }

    #[test]
    fn a_fold_hears_everything_in_order() {
        let (bus, sum) = (Bus::new(), Arc::new(Sum::default()));
        bus.emit("server", 1, Kind::ServerLoading);
        bus.attach(Arc::clone(&sum) as Arc<dyn Fold>);
        for _ in 0..2 * REMEMBERED {
            bus.emit("server", 1, Kind::HealthMonitoring);
        }
        bus.sample(&Sample::Tokens { server: "server", count: 3 });
        let heard = sum.0.lock().expect("not poisoned");
        assert_eq!(heard.len(), 2 * REMEMBERED + 1);
        assert_eq!(heard[0], "2 health.monitoring");
        assert_eq!(heard[2 * REMEMBERED], r#"Tokens { server: "server", count: 3 }"#);
    }

    #[test]
    fn memory_is_bounded() {
        let bus = Bus::new();
        for _ in 0..REMEMBERED + 10 {
            bus.emit("server", 1, Kind::ServerLoading);
        }
        let (past, _) = bus.replay_after(0);
        assert_eq!((past.len(), past[0].seq), (REMEMBERED, 11));
    }
}
