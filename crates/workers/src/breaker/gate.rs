//! The restart gate: the one place where a server's failures are counted and its restarts granted.
//!
//! Two parties hold it. The supervisor asks it about every failure, as a [`Decide`]; the [`BreakerActor`](super::BreakerActor)
//! moves it from open to half-open when the time has come. Its state lives in neither of them, so it survives a crash of
//! either; and it is written down, so that killing mlx-tree is no way round the limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mlx_tree_api::Kind;
use mlx_tree_policy::{
    BreakerState, Decide, Decision, Failure, InvalidPolicy, JitterSeed, JournalEntry, Monotonic, Refused,
    RestartPolicy, RestartPolicyConfig, RestartRecord, RestartSnapshot, Ruling, Standing,
};
use tokio::sync::watch;

use crate::SERVER;
use crate::bus::Bus;
use crate::clock::Clock;

/// Counts failures and grants restarts. Cheap to clone; all clones are one gate.
#[derive(Clone)]
pub struct RestartGate {
    shared: Arc<Shared>,
}

struct Shared {
    policy: Mutex<RestartPolicy>,
    snapshot: watch::Sender<RestartSnapshot>,
    clock: Clock,
    bus: Bus,
    label: Arc<str>,
}

// === impl RestartGate ===

impl RestartGate {
    /// The gate of the server in a tree of one: [`RestartGate::of`] the child [`SERVER`].
    ///
    /// # Errors
    /// [`InvalidPolicy`] if the numbers in `config` make no sense together.
    pub fn new(
        config: RestartPolicyConfig,
        history: Option<&RestartRecord>,
        clock: Clock,
        bus: Bus,
    ) -> Result<Self, InvalidPolicy> {
        Self::of(SERVER, config, history, clock, bus)
    }

    /// A gate that goes on where `history` ends, or starts without one. Its events are stamped with `label`.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if the numbers in `config` make no sense together.
    pub fn of(
        label: &str,
        config: RestartPolicyConfig,
        history: Option<&RestartRecord>,
        clock: Clock,
        bus: Bus,
    ) -> Result<Self, InvalidPolicy> {
        // Where the jitter begins need not be a secret, only different from one machine and start to the next.
        let seed = JitterSeed(clock.now().since_origin().subsec_nanos().into());
        let policy = match history {
            Some(record) => RestartPolicy::from_record(config, seed, record, clock.now())?,
            None => RestartPolicy::new(config, seed)?,
        };
        let (snapshot, _) = watch::channel(policy.snapshot(clock.now()));
        Ok(Self { shared: Arc::new(Shared { policy: Mutex::new(policy), snapshot, clock, bus, label: label.into() }) })
    }

    /// What there is to show, and word of each change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<RestartSnapshot> {
        self.shared.snapshot.subscribe()
    }

    /// What there is to show now.
    #[must_use]
    pub fn snapshot(&self) -> RestartSnapshot {
        self.policy().snapshot(self.shared.clock.now())
    }

    /// The latest decisions, oldest first.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.policy().journal().iter().cloned().collect()
    }

    /// The history, to be written down.
    #[must_use]
    pub fn record(&self) -> RestartRecord {
        self.policy().record()
    }

    /// Whether the server may be started now, by a tree that has just been started itself.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.policy().standing(self.shared.clock.now())
    }

    /// Goes from open to half-open if the time has come; the caller then has one start to give away.
    ///
    /// # Errors
    /// [`Refused`] if it is not open, not due, or has its trial under way.
    pub fn half_open(&self) -> Result<(), Refused> {
        self.change(|policy, now| policy.half_open(now)).map(drop)
    }

    /// Goes back to open if the trial is undecided at its deadline; whether it did.
    #[must_use]
    pub fn expire_trial(&self) -> bool {
        self.change(RestartPolicy::expire_trial).is_some()
    }

    /// Goes by other numbers from now on; see [`RestartPolicy::set_config`].
    ///
    /// # Errors
    /// [`InvalidPolicy`] if they make no sense together; the old ones go on then.
    pub fn set_config(&self, config: RestartPolicyConfig) -> Result<(), InvalidPolicy> {
        if self.config() == config {
            return Ok(());
        }
        self.change(|policy, now| policy.set_config(config, now))
    }

    /// The numbers that it goes by.
    #[must_use]
    pub fn config(&self) -> RestartPolicyConfig {
        *self.policy().config()
    }

    /// Forgets everything, by an operator's order.
    pub fn reset(&self) {
        self.change(RestartPolicy::reset);
    }

    /// Changes the policy, then tells everybody what has changed.
    fn change<T>(&self, change: impl FnOnce(&mut RestartPolicy, Monotonic) -> T) -> T {
        let now = self.shared.clock.now();
        let mut policy = self.policy();
        let before = policy.breaker().as_str();
        let answer = change(&mut policy, now);
        let snapshot = policy.snapshot(now);
        if before != snapshot.breaker.as_str() {
            let epoch = policy.journal().last().and_then(|entry| entry.epoch).unwrap_or(0);
            self.shared.bus.emit(
                &self.shared.label,
                epoch,
                self.moved(&snapshot.breaker, policy.journal().last(), now),
            );
        }
        // Sent under the lock, so that nobody sees an older state after a newer one.
        self.shared.snapshot.send_replace(snapshot);
        answer
    }

    fn moved(&self, to: &BreakerState, why: Option<&JournalEntry>, now: Monotonic) -> Kind {
        match to {
            BreakerState::Closed => {
                let reset = why.is_some_and(|entry| entry.decision == Ruling::Reset);
                Kind::BreakerClosed { reason: if reset { "reset" } else { "recovered" }.to_owned() }
            }
            BreakerState::Open { until, reason, .. } => Kind::BreakerOpened {
                reason: reason.to_string(),
                open_for_s: until.map(|until| until.saturating_since(now).as_secs_f64()),
            },
            BreakerState::HalfOpen { .. } => Kind::BreakerHalfOpened,
        }
    }

    fn policy(&self) -> MutexGuard<'_, RestartPolicy> {
        self.shared.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The supervisor's clock need not be ours; the gate goes by its own.
impl Decide for RestartGate {
    fn on_failure(&mut self, failure: Failure<'_>, _now: Monotonic) -> Decision {
        let decision = self.change(|policy, now| policy.on_failure(failure, now));
        if let Decision::Restart { after } = &decision {
            let consecutive = self.snapshot().consecutive_failures;
            self.shared.bus.emit(&self.shared.label, failure.epoch, Kind::RestartGranted { consecutive });
            self.shared.bus.emit(
                &self.shared.label,
                failure.epoch,
                Kind::RestartDelayed { delay_s: after.as_secs_f64() },
            );
        }
        decision
    }

    fn on_ready(&mut self, epoch: u64, _now: Monotonic) -> Option<Duration> {
        self.change(|policy, now| policy.on_ready(epoch, now))
    }

    fn on_stable(&mut self, epoch: u64, _now: Monotonic) -> Option<Duration> {
        self.change(|policy, now| policy.on_stable(epoch, now))
    }

    fn on_end(&mut self, epoch: u64, _now: Monotonic) {
        self.change(|policy, now| policy.on_end(epoch, now));
    }
}
