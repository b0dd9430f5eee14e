//! Why a supervisor says no: one enum per operation.

use std::sync::Arc;

use crate::{ChildId, ChildState, ExitReason};

/// A child spec or a supervisor's flags contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    /// Two children have the same name.
    #[error("there are two children named {0}")]
    DuplicateId(ChildId),
    /// OTP's `bad_combination`: a permanent child never ends for good, so it cannot be significant.
    #[error("{0} is permanent and therefore cannot be significant")]
    SignificantPermanent(ChildId),
    /// OTP's `bad_combination`: nothing would ever come of it.
    #[error("{0} is significant, but its supervisor has no automatic shutdown")]
    SignificantWithoutAutoShutdown(ChildId),
    /// OTP's `invalid_period`.
    #[error("the period of the restart intensity must be longer than zero")]
    ZeroPeriod,
}

/// A supervisor did not start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// What it was asked to run makes no sense; nothing was started.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// A child did not start; those started before it have been stopped in reverse order.
    #[error("{child} did not start: {reason}")]
    Child {
        /// The child.
        child: ChildId,
        /// How its start failed.
        reason: ExitReason,
    },
    /// The supervisor was stopped or killed while it started.
    #[error("the supervisor was stopped while it started")]
    Stopped,
    /// The supervisor's own actor could not be spawned.
    #[error("the supervisor's actor could not be spawned: {0}")]
    Spawn(Arc<str>),
}

/// `start_child` was refused, or the child did not start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartChildError {
    /// A child of this name is running.
    #[error("a child of this name is running")]
    AlreadyStarted,
    /// A child of this name is known and does not run; restart or delete it.
    #[error("a child of this name is there already, and down")]
    AlreadyPresent,
    /// There are as many dynamic children as allowed.
    #[error("there are as many children as allowed")]
    MaxChildren,
    /// The spec contradicts itself.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// It did not start; nothing is remembered of it.
    #[error("it did not start: {0}")]
    Failed(ExitReason),
    /// The supervisor is stopping or has ended.
    #[error("the supervisor has ended")]
    SupervisorGone,
}

/// `terminate_child` failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TerminateChildError {
    /// There is no such child.
    #[error("there is no such child")]
    NotFound,
    /// It was killed and is still there. Its name cannot be started again before it has ended.
    #[error("it was killed and is still there")]
    Stuck,
    /// The supervisor is stopping or has ended (and with it the child).
    #[error("the supervisor has ended")]
    SupervisorGone,
}

/// `restart_child` was refused, or the child did not start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RestartChildError {
    /// There is no such child.
    #[error("there is no such child")]
    NotFound,
    /// It runs, or is being stopped; terminate it first.
    #[error("it is running")]
    Running,
    /// It waits for its restart or is suspended; resume it.
    #[error("it is waiting for its restart")]
    Restarting,
    /// A dynamic child that is down is forgotten, so there is nothing to restart.
    #[error("a dynamic child cannot be restarted")]
    Dynamic,
    /// It did not start, and stays down.
    #[error("it did not start: {0}")]
    Failed(ExitReason),
    /// The supervisor is stopping or has ended.
    #[error("the supervisor has ended")]
    SupervisorGone,
}

/// `delete_child` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteChildError {
    /// There is no such child.
    #[error("there is no such child")]
    NotFound,
    /// It runs, or is being stopped; terminate it first.
    #[error("it is running")]
    Running,
    /// It waits for its restart or is suspended; terminate it first.
    #[error("it is waiting for its restart")]
    Restarting,
    /// A dynamic child that is down is forgotten by itself.
    #[error("a dynamic child cannot be deleted")]
    Dynamic,
    /// The supervisor is stopping or has ended.
    #[error("the supervisor has ended")]
    SupervisorGone,
}

/// `resume_child` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeChildError {
    /// There is no such child.
    #[error("there is no such child")]
    NotFound,
    /// It is neither suspended nor waiting.
    #[error("it is {}, not suspended", .0.as_str())]
    NotSuspended(ChildState),
    /// The supervisor is stopping or has ended.
    #[error("the supervisor has ended")]
    SupervisorGone,
}

/// `suspend_child` failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuspendChildError {
    /// There is no such child.
    #[error("there is no such child")]
    NotFound,
    /// A temporary child that is stopped is forgotten, so it cannot be suspended.
    #[error("a temporary child cannot be suspended")]
    Temporary,
    /// It was killed and is still there.
    #[error("it was killed and is still there")]
    Stuck,
    /// The supervisor is stopping or has ended.
    #[error("the supervisor has ended")]
    SupervisorGone,
}

/// The rules of a child could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRulesError {
    /// There is no such child.
    #[error("there is no such child")]
    NotFound,
    /// A temporary child stays one, and no other becomes one.
    #[error("a child does not become temporary, and a temporary child nothing else")]
    Temporary,
    /// The rules contradict each other.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// The supervisor is stopping or has ended.
    #[error("the supervisor has ended")]
    SupervisorGone,
}

/// A child will not become ready by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitReadyError {
    /// There is no such child, or it has been removed.
    #[error("there is no such child")]
    NotFound,
    /// It has ended for now, or was stopped, and will not be started by itself.
    #[error("it is down")]
    Down,
    /// It is suspended.
    #[error("it is suspended: {reason}")]
    Suspended {
        /// One line for people.
        reason: Arc<str>,
    },
    /// The supervisor is stopping or has ended.
    #[error("the supervisor has ended")]
    SupervisorGone,
}

/// The supervisor has ended, so there is nobody to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the supervisor has ended")]
pub struct SupervisorGone;
