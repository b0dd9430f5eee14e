//! What is known of one connection: whether it has a request, since when, and until when that may go on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Limits;

/// A caller that has taken nothing for so long gives way to one who asks.
const NOT_READING: Duration = Duration::from_secs(1);

/// Shared by the connection's parts and the accept loop.
#[derive(Debug)]
pub(super) struct Link {
    state: Mutex<State>,
    changed: Notify,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when nothing could be written.
    blocked: Option<Instant>,
}

/// See the diagram of the module above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Busy,
    Penance,
    /// The answer is on its way out.
    Writing,
}

// === impl Link ===

impl Link {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let state = State { phase: Phase::Idle, since: now, blocked: None };
        Self { state: Mutex::new(state), changed: Notify::new(), limits }
    }

    /// Bytes have come.
    pub(super) fn heard(&self) {
        self.step(|phase| match phase {
            Phase::Idle => Phase::Head,
            Phase::Head | Phase::Busy | Phase::Penance | Phase::Writing => phase,
        });
    }

    /// A whole head has come.
    pub(super) fn begin(&self) {
        self.step(|_| Phase::Busy);
    }

    /// Its request has to wait for being refused.
    pub(super) fn repent(&self) {
        self.step(|_| Phase::Penance);
    }

    /// The whole answer is with the HTTP library.
    pub(super) fn answered(&self) {
        self.step(|phase| match phase {
            Phase::Busy | Phase::Penance => Phase::Writing,
            Phase::Idle | Phase::Head | Phase::Writing => phase,
        });
    }

    /// All that was written is with the operating system.
    pub(super) fn flushed(&self) {
        self.step(|phase| match phase {
            Phase::Writing => Phase::Idle,
            Phase::Idle | Phase::Head | Phase::Busy | Phase::Penance => phase,
        });
    }

    /// Nothing can be written.
    pub(super) fn blocked(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.blocked.is_none() {
            state.blocked = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    /// Something could be written.
    pub(super) fn moved(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.blocked.take().is_some() {
            self.changed.notify_one();
        }
    }

    /// Since when it could give way to another connection, if it can.
    pub(super) fn spare_since(&self) -> Option<Instant> {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.phase {
            Phase::Idle | Phase::Head | Phase::Penance => Some(state.since),
            Phase::Busy | Phase::Writing => state.blocked.filter(|since| since.elapsed() > NOT_READING),
        }
    }

    /// Resolves when the connection has taken longer than it may.
    pub(super) async fn overdue(&self) {
        loop {
            let deadline = self.deadline();
            let passed = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = passed => return,
                () = self.changed.notified() => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let phase = match state.phase {
            Phase::Idle => Some(state.since + self.limits.idle),
            Phase::Head => Some(state.since + self.limits.head),
            Phase::Busy | Phase::Penance | Phase::Writing => None,
        };
        let blocked = state.blocked.map(|since| since + self.limits.blocked);
        phase.into_iter().chain(blocked).min()
    }

    fn step(&self, next: impl FnOnce(Phase) -> Phase) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let phase = next(state.phase);
        if phase != state.phase {
            (state.phase, state.since) = (phase, Instant::now());
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until it is closed, all else unchanged.
    fn left(link: &Link) -> Option<u64> {
        link.deadline().map(|at| at.duration_since(Instant::now()).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_patience() {
        let link = Link::new(Limits::default(), Instant::now());
        assert_eq!(left(&link), Some(75));
        tokio::time::advance(Duration::from_secs(20)).await;
        link.heard();
        assert_eq!(left(&link), Some(10));
        tokio::time::advance(Duration::from_secs(4)).await;
        link.heard();
        assert_eq!(left(&link), Some(6), "a byte now and then does not buy time");
        link.begin();
        assert_eq!((left(&link), link.spare_since()), (None, None));
        link.blocked();
        tokio::time::advance(Duration::from_secs(9)).await;
        link.blocked();
        assert_eq!(left(&link), Some(21));
        assert!(link.spare_since().is_some(), "it does not read");
        link.moved();
        assert_eq!(left(&link), None);
        link.answered();
        assert_eq!(link.spare_since(), None, "the end of the answer is still on its way");
        link.flushed();
        assert_eq!((left(&link), link.spare_since()), (Some(75), Some(Instant::now())));
        link.overdue().await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_refusal_gives_way() {
        let link = Link::new(Limits::default(), Instant::now());
        link.heard();
        link.begin();
        link.flushed();
        assert_eq!(link.spare_since(), None, "what was flushed was not an answer");
        link.repent();
        assert_eq!(link.spare_since(), Some(Instant::now()));
    }
}
