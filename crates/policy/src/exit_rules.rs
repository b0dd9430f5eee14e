//! Rules by exit status, asked before any policy: is this an end that a restart follows at all, and of whom?
//!
//! ```text
//!  failure ──▶ prevent ──▶ force ──▶ rules, first match ──▶ mode ──▶ Restart ──────▶ the inner policy says when
//!                 │                        │                 │       RestartGroup ─▶ the inner policy says when, for all
//!                 └────────────────────────┴─────────────────┴─────▶ Stop, Suspend, Escalate: it is not asked
//! ```
//!
//! The words are systemd's (`Restart=`, `SuccessExitStatus=`, `RestartPreventExitStatus=`, `RestartForceExitStatus=`) and
//! Kubernetes' (`restartPolicyRules`, `podFailurePolicy`). The order of the first two and of the mode is systemd's own.
//!
//! A supervisor asks a policy only about the ends that its child's restart type calls failures. So give a child with such
//! rules the type *permanent*, and every end is theirs to judge.

mod mode;
mod ruled;

pub use mode::{ParseRestartModeError, RestartMode};
pub use ruled::Ruled;

use crate::{Ending, ExitClass, ExitSet, ExitStatus};

/// Rules by exit status. The default restarts after every end, and so changes nothing.
///
/// ```
/// use mlx_tree_policy::{Ending, ExitAction, ExitRules, ExitStatus, RestartMode};
///
/// let rules = ExitRules::new(RestartMode::OnFailure).success("SIGKILL".parse()?).prevent("2 CONFIG".parse()?);
/// assert_eq!(rules.judge(ExitStatus::Code(1).into()), ExitAction::Restart);
/// assert_eq!(rules.judge(ExitStatus::Code(78).into()), ExitAction::Suspend);
/// assert_eq!(rules.judge(ExitStatus::Signal(9).into()), ExitAction::Stop);
/// assert_eq!(rules.judge(Ending::TimedOut), ExitAction::Restart);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExitRules {
    mode: RestartMode,
    success: ExitSet,
    prevent: ExitSet,
    force: ExitSet,
    rules: Vec<ExitRule>,
}

/// One rule of a list in which the first that matches decides: Kubernetes' `restartPolicyRules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitRule {
    /// Which exit statuses it is about.
    pub on: OnExit,
    /// What is done then.
    pub action: ExitAction,
}

/// Which exit statuses an [`ExitRule`] is about. An end without a status matches neither form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnExit {
    /// Those in the set.
    In(ExitSet),
    /// Those outside the set.
    NotIn(ExitSet),
}

/// What is done about an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitAction {
    /// The child is started again, when the inner policy says so. Kubernetes: `Restart`.
    Restart,
    /// All children of its supervisor are, when the inner policy says so. Kubernetes: `RestartAllContainers`.
    RestartGroup,
    /// The child is done, and stays down. systemd: *inactive*.
    Stop,
    /// The child has failed, and stays down until somebody resumes it. systemd: *failed*.
    Suspend,
    /// The supervisor gives up. Kubernetes: `FailJob`.
    Escalate,
}

/// A rule's answer, and whether it overrules the child's own opinion on trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) action: ExitAction,
    pub(crate) source: Source,
}

/// Where a judgement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Prevent,
    Force,
    Rule,
    Mode,
}

// === impl ExitRules ===

impl ExitRules {
    /// Rules that go by `mode` alone.
    #[must_use]
    pub fn new(mode: RestartMode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// These statuses are clean, beside code 0, SIGHUP, SIGINT, SIGTERM and SIGPIPE. systemd: `SuccessExitStatus=`.
    #[must_use]
    pub fn success(mut self, statuses: ExitSet) -> Self {
        self.success = statuses;
        self
    }

    /// After these no restart follows, whatever else is said. systemd: `RestartPreventExitStatus=`.
    #[must_use]
    pub fn prevent(mut self, statuses: ExitSet) -> Self {
        self.prevent = statuses;
        self
    }

    /// After these a restart follows, unless it is [prevented](ExitRules::prevent). systemd: `RestartForceExitStatus=`.
    #[must_use]
    pub fn force(mut self, statuses: ExitSet) -> Self {
        self.force = statuses;
        self
    }

    /// Adds a rule after those that are there.
    #[must_use]
    pub fn rule(mut self, on: OnExit, action: ExitAction) -> Self {
        self.rules.push(ExitRule { on, action });
        self
    }

    /// What is done about an end.
    #[must_use]
    pub fn judge(&self, ending: Ending) -> ExitAction {
        self.judgement(ending).action
    }

    /// The class of an end under these rules.
    #[must_use]
    pub fn class(&self, ending: Ending) -> ExitClass {
        match ending.status() {
            Some(status) if self.success.contains(status) => ExitClass::Clean,
            Some(_) | None => ending.class(),
        }
    }

    pub(crate) fn judgement(&self, ending: Ending) -> Judgement {
        let class = self.class(ending);
        if let Some(status) = ending.status() {
            if self.prevent.contains(status) {
                return Judgement { action: ExitAction::down(class), source: Source::Prevent };
            }
            if self.force.contains(status) {
                return Judgement { action: ExitAction::Restart, source: Source::Force };
            }
            if let Some(rule) = self.rules.iter().find(|rule| rule.on.matches(status)) {
                return Judgement { action: rule.action, source: Source::Rule };
            }
        }
        let action = if self.mode.restarts_after(class) { ExitAction::Restart } else { ExitAction::down(class) };
        Judgement { action, source: Source::Mode }
    }
}

impl From<RestartMode> for ExitRules {
    fn from(mode: RestartMode) -> Self {
        Self::new(mode)
    }
}

// === impl OnExit ===

impl OnExit {
    /// Whether this is about `status`.
    #[must_use]
    pub fn matches(&self, status: ExitStatus) -> bool {
        match self {
            Self::In(statuses) => statuses.contains(status),
            Self::NotIn(statuses) => !statuses.contains(status),
        }
    }
}

// === impl ExitAction ===

impl ExitAction {
    /// No restart: done after a clean end, failed after any other.
    const fn down(class: ExitClass) -> Self {
        match class {
            ExitClass::Clean => Self::Stop,
            ExitClass::UncleanCode
            | ExitClass::UncleanSignal
            | ExitClass::Timeout
            | ExitClass::Watchdog
            | ExitClass::OutOfMemory => Self::Suspend,
        }
    }
}

#[cfg(test)]
mod tests;
