//! A policy's history in plain types, so that it survives the process: killing the supervisor is no way round the limit.

use std::time::Duration;

use crate::{BreakerState, InvalidPolicy, JitterSeed, Monotonic, RestartPolicy, RestartPolicyConfig, Trip, TripCause};

/// What a later process of the same boot has to know. All times are spans since the driver's origin, which has to be the
/// same for both (the machine's boot).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartRecord {
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// How often the breaker has opened since the last success.
    pub openings: u32,
    /// The restarts that count towards the intensity, oldest first.
    pub restarts: Vec<Duration>,
    /// When the delayed restart that was granted last is due.
    pub pending: Option<Duration>,
    /// The breaker's state.
    pub state: RecordedState,
}

/// [`BreakerState`] in plain types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedState {
    /// Everything may be tried.
    Closed,
    /// Nothing may be tried.
    Open {
        /// When a trial is due; `None` means not before a reset.
        until: Option<Duration>,
        /// How many openings came before this one.
        cycle: u32,
        /// Which guard it was.
        cause: TripCause,
        /// The failure that set it off.
        detail: String,
    },
    /// A trial was under way.
    HalfOpen {
        /// When it began.
        since: Duration,
        /// When it would have been given up.
        deadline: Duration,
    },
}

impl RestartPolicy {
    /// The history as it stands. The journal and the epochs are not part of it: a new process counts its incarnations anew.
    #[must_use]
    pub fn record(&self) -> RestartRecord {
        RestartRecord {
            consecutive_failures: self.breaker.consecutive_failures(),
            openings: self.breaker.openings(),
            restarts: self.window.admitted().map(Monotonic::since_origin).collect(),
            pending: self.pending.map(Monotonic::since_origin),
            state: match self.breaker.state() {
                BreakerState::Closed => RecordedState::Closed,
                BreakerState::Open { until, cycle, reason } => RecordedState::Open {
                    until: until.map(Monotonic::since_origin),
                    cycle: *cycle,
                    cause: reason.cause,
                    detail: reason.detail.clone(),
                },
                BreakerState::HalfOpen { since, deadline } => {
                    RecordedState::HalfOpen { since: since.since_origin(), deadline: deadline.since_origin() }
                }
            },
        }
    }

    /// A policy that goes on where `record` ends.
    ///
    /// A record from another boot must not come here: its times mean nothing. What it says is taken with care all the same:
    /// restarts in the future are dropped, and no wait is longer than the longest that the configuration knows, unless an
    /// operator ordered it. A trial
    /// whose outcome nobody saw neither passed nor failed: the breaker is open again for the span it had, counted from the
    /// trial's start, so that at most one start falls into each span however often the process is killed.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if the numbers in `config` make no sense together.
    pub fn from_record(
        config: RestartPolicyConfig,
        jitter: JitterSeed,
        record: &RestartRecord,
        now: Monotonic,
    ) -> Result<Self, InvalidPolicy> {
        let mut policy = Self::new(config, jitter)?;
        let mut restarts: Vec<Monotonic> = record.restarts.iter().copied().map(Monotonic::new).collect();
        restarts.retain(|&at| at <= now);
        restarts.sort_unstable();
        // If the limit has become smaller, the newest restarts are the ones that matter.
        let excess = restarts.len().saturating_sub(config.intensity.max_restarts as usize);
        for at in restarts.drain(..).skip(excess) {
            let _ = policy.window.admit(at);
        }
        policy.pending = record.pending.map(|due| Monotonic::new(due).min(now + config.backoff.max()));
        let state = match &record.state {
            RecordedState::Closed => BreakerState::Closed,
            RecordedState::Open { until, cycle, cause, detail } => {
                let longest = match cause {
                    // An operator may have meant any span.
                    TripCause::Forced => Monotonic::new(Duration::MAX),
                    TripCause::ConsecutiveFailures
                    | TripCause::IntensityExceeded
                    | TripCause::PermanentFailure
                    | TripCause::TrialFailed
                    | TripCause::TrialTimedOut => now + config.breaker.open_max,
                };
                BreakerState::Open {
                    until: until.map(|until| Monotonic::new(until).min(longest)),
                    cycle: *cycle,
                    reason: Trip { cause: *cause, detail: detail.clone() },
                }
            }
            RecordedState::HalfOpen { since, .. } => {
                let cycle = record.openings.saturating_sub(1);
                let since = Monotonic::new(*since).min(now);
                BreakerState::Open {
                    until: Some(since + policy.breaker.open_span(cycle)),
                    cycle,
                    reason: Trip {
                        cause: TripCause::TrialTimedOut,
                        detail: "nobody saw how the trial ended".to_owned(),
                    },
                }
            }
        };
        policy.breaker.restore(state, record.consecutive_failures, record.openings);
        Ok(policy)
    }
}
