//! How a group is brought to its end: TERM, grace, KILL, and the word for when not even that helps.
//!
//! ```text
//!            stop                 grace over, kill              5 s
//!  Running ────────▶ Stopping ───────────────────▶ Killing ───────────▶ Stuck
//!     │                stop: joins, earlier end counts   └─ KILL again every 250 ms / 1 s ─┘
//!     └──────────────────────── kill ───────────────▶
//! ```
//!
//! Pure: it takes the time and says what to do. The exit itself is no input; it ends the machine.

use std::time::Duration;

use tokio::time::Instant;

use crate::exit::Asked;
use crate::launch::Grace;

/// From the first KILL until the group counts as stuck.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(5);

/// KILL is sent again, for processes that were forked meanwhile.
const AGAIN: Duration = Duration::from_millis(250);
const AGAIN_WHEN_STUCK: Duration = Duration::from_secs(1);

/// The machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody has asked.
    Running,
    /// TERM was sent.
    Stopping { kill_at: Instant },
    /// KILL was sent.
    Killing { since: Instant, again_at: Instant },
    /// KILL was sent, in vain.
    Stuck { since: Instant, again_at: Instant },
}

/// What the driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Nothing,
    /// Send TERM, then CONT, to the group.
    Terminate,
    /// Send KILL to the group.
    Kill,
    /// Say that the group is stuck, and send KILL once more.
    ReportStuck,
}

// === impl Ending ===

impl Ending {
    /// Somebody wants the group to end within `grace`.
    #[must_use]
    pub(super) fn on_stop(&mut self, grace: Grace, now: Instant) -> Step {
        let wanted = now + grace.length();
        match *self {
            Self::Running => {
                *self = Self::Stopping { kill_at: wanted };
                Step::Terminate
            }
            Self::Stopping { kill_at } => {
                *self = Self::Stopping { kill_at: kill_at.min(wanted) };
                Step::Nothing
            }
            Self::Killing { .. } | Self::Stuck { .. } => Step::Nothing,
        }
    }

    /// Somebody wants the group to end now.
    #[must_use]
    pub(super) fn on_kill(&mut self, now: Instant) -> Step {
        match *self {
            Self::Running | Self::Stopping { .. } => {
                *self = Self::Killing { since: now, again_at: now + AGAIN };
                Step::Kill
            }
            Self::Killing { .. } | Self::Stuck { .. } => Step::Nothing,
        }
    }

    /// [`Ending::deadline`] may have come.
    #[must_use]
    pub(super) fn on_time(&mut self, now: Instant) -> Step {
        match *self {
            Self::Running => Step::Nothing,
            Self::Stopping { kill_at } if now < kill_at => Step::Nothing,
            Self::Stopping { .. } => self.on_kill(now),
            Self::Killing { since, .. } if now >= since + STUCK_AFTER => {
                *self = Self::Stuck { since, again_at: now + AGAIN_WHEN_STUCK };
                Step::ReportStuck
            }
            Self::Killing { again_at, .. } | Self::Stuck { again_at, .. } if now < again_at => Step::Nothing,
            Self::Killing { since, .. } => {
                *self = Self::Killing { since, again_at: now + AGAIN };
                Step::Kill
            }
            Self::Stuck { since, .. } => {
                *self = Self::Stuck { since, again_at: now + AGAIN_WHEN_STUCK };
                Step::Kill
            }
        }
    }

    /// When [`Ending::on_time`] wants to be called next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Running => None,
            Self::Stopping { kill_at } => Some(kill_at),
            Self::Killing { since, again_at } => Some(again_at.min(since + STUCK_AFTER)),
            Self::Stuck { again_at, .. } => Some(again_at),
        }
    }

    /// How an exit that comes now was asked for.
    pub(super) fn asked(&self) -> Asked {
        match self {
            Self::Running => Asked::No,
            Self::Stopping { .. } => Asked::Stop,
            Self::Killing { .. } | Self::Stuck { .. } => Asked::Kill,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grace(seconds: u64) -> Grace {
        Grace::new(Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_stop_joins_the_first_and_can_only_shorten_it() {
        let start = Instant::now();
        let mut ending = Ending::Running;
        assert_eq!(ending.on_stop(grace(10), start), Step::Terminate);
        assert_eq!(ending.on_stop(grace(60), start), Step::Nothing);
        assert_eq!(ending.deadline(), Some(start + Duration::from_secs(10)));
        assert_eq!(ending.on_stop(grace(3), start), Step::Nothing);
        assert_eq!(ending.deadline(), Some(start + Duration::from_secs(3)));
        assert_eq!(ending.on_time(start + Duration::from_secs(3)), Step::Kill);
        assert_eq!(ending.asked(), Asked::Kill);
    }

    #[tokio::test(start_paused = true)]
    async fn five_seconds_after_kill_the_group_counts_as_stuck_and_is_killed_on() {
        let start = Instant::now();
        let mut ending = Ending::Running;
        assert_eq!(ending.on_kill(start), Step::Kill);
        let mut kills = 0;
        while let Some(at) = ending.deadline() {
            match ending.on_time(at) {
                Step::Kill => kills += 1,
                Step::ReportStuck => {
                    assert_eq!(at, start + STUCK_AFTER);
                    break;
                }
                other => panic!("{other:?} at its own deadline"),
            }
        }
        assert_eq!(kills, 19);
        let again = ending.deadline().expect("it goes on");
        assert_eq!(ending.on_time(again), Step::Kill);
    }

    #[derive(Debug, Clone, Copy)]
    enum Input {
        Stop(u64),
        Kill,
        Wait(u64),
    }

    fn inputs() -> impl Strategy<Value = Vec<Input>> {
        let input =
            prop_oneof![(0_u64..20_000).prop_map(Input::Stop), Just(Input::Kill), (0_u64..8_000).prop_map(Input::Wait)];
        proptest::collection::vec(input, 0..40)
    }

    proptest! {
        /// TERM at most once and never after KILL; once asked, KILL within the shortest grace;
        /// firmness never goes back; there is always a next deadline once asked.
        #[test]
        fn whatever_is_asked_in_whatever_order_the_end_only_comes_closer(inputs in inputs()) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
            let _inside = runtime.enter();
            let mut now = Instant::now();
            let mut ending = Ending::Running;
            let (mut terms, mut killed, mut latest) = (0, false, None::<Instant>);
            for input in inputs {
                let before = ending.asked();
                let steps = match input {
                    Input::Stop(ms) => {
                        let wanted = now + Duration::from_millis(ms);
                        latest = Some(latest.map_or(wanted, |at| at.min(wanted)));
                        vec![ending.on_stop(Grace::new(Duration::from_millis(ms)), now)]
                    }
                    Input::Kill => { latest = Some(latest.map_or(now, |at| at.min(now))); vec![ending.on_kill(now)] }
                    Input::Wait(ms) => {
                        let until = now + Duration::from_millis(ms);
                        let mut steps = Vec::new();
                        while let Some(at) = ending.deadline().filter(|at| *at <= until) {
                            now = now.max(at);
                            steps.push(ending.on_time(now));
                        }
                        now = until;
                        steps
                    }
                };
                for step in steps {
                    match step {
                        Step::Terminate => { terms += 1; prop_assert!(!killed); }
                        Step::Kill => killed = true,
                        Step::ReportStuck => prop_assert!(killed),
                        Step::Nothing => {}
                    }
                }
                prop_assert!(ending.asked() >= before);
                prop_assert!(terms <= 1);
                prop_assert_eq!(ending.deadline().is_some(), latest.is_some());
                if let Some(at) = latest.filter(|_| !killed) {
                    prop_assert!(ending.deadline() <= Some(at));
                }
            }
        }
    }
}
