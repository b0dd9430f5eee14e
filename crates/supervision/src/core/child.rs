//! One child as the machine keeps it.

use std::sync::Arc;

use mlx_tree_policy::{Decide, Monotonic};

use crate::{ChildId, ChildState, ChildStatus, Epoch, ExitReason, LastExit, Restart, Significance};

use super::{ChildRules, Spec};

pub(super) struct Node<P> {
    pub(super) id: ChildId,
    pub(super) rules: ChildRules,
    pub(super) policy: Option<Box<dyn Decide>>,
    pub(super) payload: P,
    pub(super) state: State,
    pub(super) epoch: Epoch,
    /// The latest incarnation that has started. OTP: the pid that `restarting` remembers.
    pub(super) ran: Epoch,
    pub(super) restarts: u64,
    pub(super) since: Monotonic,
    pub(super) last_exit: Option<Box<LastExit>>,
    /// It has ended, and the news waits in the mail. OTP: a dead pid whose EXIT is not yet read.
    pub(super) unread_exit: Option<Box<ExitReason>>,
    pub(super) deadline: Option<Monotonic>,
    /// Whom its next restart concerns. Only while it is down.
    pub(super) scope: Scope,
    pub(super) previous: Option<u32>,
    pub(super) next: Option<u32>,
}

#[derive(Debug)]
pub(super) enum State {
    Down,
    Starting(Starting),
    Up,
    Ready,
    Stopping {
        why: StopCause,
        stage: StopStage,
    },
    /// Killed, and still there after the kill grace. Nobody waits for it any more.
    Stuck {
        then: AfterStuck,
    },
    Waiting {
        until: Monotonic,
    },
    Suspended {
        until: Option<Monotonic>,
        reason: Arc<str>,
    },
}

/// Whom a restart concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those that the strategy says.
    Strategy,
    /// All children, whatever the strategy.
    All,
}

/// What has come up while a start is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Starting {
    /// Nothing yet.
    Plain,
    /// The child called itself ready before it had started.
    ReadyEarly,
    /// The start timeout has passed and the child was killed for it.
    TimedOut,
    /// It was killed because the supervisor is to stop.
    Cancelled,
}

/// Why a child is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopCause {
    /// It was asked for; its end is no failure.
    Asked,
    /// The child was not ready in time; its end is a failure.
    StartTimeout,
}

/// How far a stop has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopStage {
    Asked,
    Killed,
}

/// What comes of a stuck child once it has ended after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AfterStuck {
    /// It rests: down, or forgotten if that is its way.
    Rest,
    /// It is forgotten: its first start failed.
    Forget,
    /// It was not ready in time, and has now failed.
    Fail,
    /// A group wants to start it.
    Start,
    /// It was to be suspended, so that it can be resumed.
    Suspend { until: Option<Monotonic>, reason: Arc<str> },
}

// === impl Node ===

impl<P> Node<P> {
    pub(super) fn new(spec: Spec<P>) -> Self {
        Self {
            id: spec.id,
            rules: spec.rules,
            policy: spec.policy,
            payload: spec.payload,
            state: State::Down,
            epoch: spec.after,
            ran: Epoch::NEVER,
            restarts: 0,
            since: Monotonic::ORIGIN,
            last_exit: None,
            unread_exit: None,
            deadline: None,
            scope: Scope::Strategy,
            previous: None,
            next: None,
        }
    }

    pub(super) fn status(&self) -> ChildStatus {
        ChildStatus {
            id: self.id.clone(),
            kind: self.rules.kind,
            restart: self.rules.restart,
            state: self.state.public(),
            epoch: self.epoch,
            restarts: self.restarts,
            last_exit: self.last_exit.as_deref().cloned(),
            since: self.since,
            next_start: match self.state {
                State::Waiting { until } => Some(until),
                State::Suspended { until, .. } => until,
                State::Down
                | State::Starting(_)
                | State::Up
                | State::Ready
                | State::Stopping { .. }
                | State::Stuck { .. } => None,
            },
        }
    }

    pub(super) const fn is_temporary(&self) -> bool {
        matches!(self.rules.restart, Restart::Temporary)
    }

    /// OTP: the pid is alive.
    pub(super) const fn is_active(&self) -> bool {
        self.state.has_incarnation() && self.unread_exit.is_none()
    }

    pub(super) const fn is_significant_and_not_down(&self) -> bool {
        matches!(self.rules.significance, Significance::Significant) && !matches!(self.state, State::Down)
    }
}

// === impl State ===

impl State {
    /// OTP: the child has a pid.
    pub(super) const fn has_incarnation(&self) -> bool {
        match self {
            Self::Starting(_) | Self::Up | Self::Ready | Self::Stopping { .. } | Self::Stuck { .. } => true,
            Self::Down | Self::Waiting { .. } | Self::Suspended { .. } => false,
        }
    }

    pub(super) fn public(&self) -> ChildState {
        match self {
            Self::Down => ChildState::Down,
            Self::Starting(_) => ChildState::Starting,
            Self::Up => ChildState::Up,
            Self::Ready => ChildState::Ready,
            Self::Stopping { .. } => ChildState::Stopping,
            Self::Stuck { .. } => ChildState::Stuck,
            Self::Waiting { until } => ChildState::Waiting { until: *until },
            Self::Suspended { until, reason } => ChildState::Suspended { until: *until, reason: reason.clone() },
        }
    }
}
