//! `[restart]` and `[breaker]`: when the server is restarted, and when that is given up for a while.

use std::time::Duration;

use mlx_tree_policy::{Backoff, Intensity};

use crate::plan::Diff;
use crate::reader::Section;
use crate::value::{Choice, choice, integer, number, span};

/// When the server is restarted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RestartSettings {
    /// After which ends.
    pub policy: RestartMode,
    /// How often at most.
    pub intensity: Intensity,
    /// After which delay.
    pub backoff: Backoff,
    /// How long a run must stay ready to be a success.
    pub stable_after: Duration,
}

/// After which ends a child is restarted (OTP's restart type).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartMode {
    /// After every end (Kubernetes: Always).
    Permanent,
    /// After every end but a normal one (Kubernetes: OnFailure).
    Transient,
    /// Never (Kubernetes: Never).
    Temporary,
}

/// When restarting is given up for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    /// So many failed restarts in a row open it.
    pub failure_threshold: u32,
    /// How long the first opening lasts.
    pub open_for: Duration,
    /// Each further one lasts so many times longer.
    pub open_growth: f64,
    /// None lasts longer.
    pub open_max: Duration,
    /// How long the trial must stay ready to close it.
    pub probation: Duration,
}

/// No number of restarts or failures is larger.
const U32: std::ops::RangeInclusive<i128> = 0..=u32::MAX as i128;
const POSITIVE: std::ops::RangeInclusive<i128> = 1..=u32::MAX as i128;

// === impl RestartSettings ===

impl RestartSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let policy = section.read("policy", choice);
        let intensity = Intensity::new(section.read("max_restarts", integer(U32)), section.read("period", span));
        let initial = section.read("backoff_initial", span);
        let max = section.read("backoff_max", span);
        let jitter = section.read("jitter", number(0.0..=1.0));
        let stable_after = section.read("stable_after", span);
        // Of a backoff's rules only this one involves two keys, and the others have been checked.
        let backoff = Backoff::new(initial, max, jitter).unwrap_or_else(|_| {
            section.conflict(
                "backoff_initial",
                "backoff_max",
                "the first delay is longer than the longest one",
                "restart.backoff_initial must not be longer than restart.backoff_max",
            );
            Backoff::default()
        });
        Self { policy, intensity, backoff, stable_after }
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { policy, intensity, backoff, stable_after } = self;
        diff.live("policy", policy, &new.policy);
        diff.live("max_restarts", &intensity.max_restarts, &new.intensity.max_restarts);
        diff.live("period", &intensity.period, &new.intensity.period);
        diff.live("backoff_initial", &backoff.initial(), &new.backoff.initial());
        diff.live("backoff_max", &backoff.max(), &new.backoff.max());
        diff.live("jitter", &backoff.jitter(), &new.backoff.jitter());
        diff.live("stable_after", stable_after, &new.stable_after);
    }
}

// === impl BreakerSettings ===

impl BreakerSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let settings = Self {
            failure_threshold: section.read("failure_threshold", integer(POSITIVE)),
            open_for: section.read("open_for", span),
            open_growth: section.read("open_growth", number(1.0..=f64::INFINITY)),
            open_max: section.read("open_max", span),
            probation: section.read("probation", span),
        };
        if settings.open_for > settings.open_max {
            section.conflict(
                "open_for",
                "open_max",
                "the first opening is longer than the longest one",
                "breaker.open_for must not be longer than breaker.open_max",
            );
        }
        settings
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { failure_threshold, open_for, open_growth, open_max, probation } = self;
        diff.live("failure_threshold", failure_threshold, &new.failure_threshold);
        diff.live("open_for", open_for, &new.open_for);
        diff.live("open_growth", open_growth, &new.open_growth);
        diff.live("open_max", open_max, &new.open_max);
        diff.live("probation", probation, &new.probation);
    }
}

// === impl RestartMode ===

impl Choice for RestartMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("permanent", Self::Permanent),
        ("transient", Self::Transient),
        ("temporary", Self::Temporary),
        ("always", Self::Permanent),
        ("on_failure", Self::Transient),
        ("never", Self::Temporary),
    ];
}
