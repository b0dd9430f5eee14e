//! The typed reason with which a ServerWorker exits.

use mlx_tree_api::Kind;
use mlx_tree_policy::{self as policy, ExitStatus, Severity};
use mlx_tree_process::{Exit, How, SpawnError};
use mlx_tree_supervision::SupervisedExit;

use super::diagnosis::{self, Diagnosis, Ending, Reason};

/// Why one incarnation of the server is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServerFailure {
    /// The word.
    pub reason: Reason,
    /// Whether another try can help.
    pub severity: Severity,
    /// One sentence for people.
    pub message: String,
    /// The stderr line that names the cause.
    pub cause: Option<String>,
    /// How its process ended, if it had one and it ended by itself.
    pub ending: Option<Ending>,
}

// === impl ServerFailure ===

impl ServerFailure {
    /// A process that ended by itself.
    #[must_use]
    pub fn exited(exit: &Exit, stderr: &[String]) -> Self {
        let ending = match exit.how {
            How::Code(code) => Ending::Code(code),
            How::Signal(signal) => Ending::Signal(signal),
            How::Unknown => Ending::Unknown,
        };
        let Diagnosis { reason, severity, cause } = diagnosis::of_exit(ending, stderr);
        let message = match (&cause, reason) {
            (_, Reason::Killed) => format!("{}, not sent by mlx-tree: by hand, or for lack of memory", exit.how),
            (Some(cause), _) => format!("{}: {cause}", exit.how),
            (None, _) => exit.how.to_string(),
        };
        Self { reason, severity, message, cause, ending: Some(ending) }
    }

    /// A process that lives and does not serve, for `otherwise` unless its last words say more.
    #[must_use]
    pub fn living(otherwise: Reason, why: &str, stderr: &[String]) -> Self {
        let Diagnosis { reason, severity, cause } = diagnosis::of_living(stderr, otherwise);
        let message = match &cause {
            // The point first: a line that is too long is cut at its end.
            Some(cause) if reason != otherwise => format!("{}: {cause} ({why})", reason.as_str().replace('_', " ")),
            Some(_) | None => why.to_owned(),
        };
        Self { reason, severity, message, cause, ending: None }
    }

    /// A failure without a process to blame.
    #[must_use]
    pub fn plain(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, severity: reason.severity(), message: message.into(), cause: None, ending: None }
    }

    /// A process that could not be started.
    #[must_use]
    pub fn spawn(error: &SpawnError) -> Self {
        let reason = match error {
            SpawnError::BadWorkingDirectory { .. } => Reason::BadWorkingDirectory,
            SpawnError::Resources { .. } => Reason::OutOfResources,
            SpawnError::NotFound { .. }
            | SpawnError::NotExecutable { .. }
            | SpawnError::BadFormat { .. }
            | SpawnError::IsDirectory { .. }
            | SpawnError::Other { .. } => Reason::CannotExecute,
        };
        let severity = if error.is_transient() { Severity::Transient } else { Severity::Permanent };
        Self { severity, ..Self::plain(reason, error.to_string()) }
    }

    /// How it ended in the words of rules by exit status.
    fn how_it_ended(&self) -> policy::Ending {
        match (self.ending, self.reason) {
            (Some(Ending::Code(code)), _) => ExitStatus::Code(code).into(),
            (Some(Ending::Signal(signal)), _) => ExitStatus::Signal(signal).into(),
            (Some(Ending::Unknown) | None, Reason::StartTimeout) => policy::Ending::TimedOut,
            (Some(Ending::Unknown) | None, Reason::Unhealthy | Reason::GenerationDied) => {
                policy::Ending::WatchdogExpired
            }
            (Some(Ending::Unknown) | None, _) => policy::Ending::Unknown,
        }
    }

    /// The event that tells of it.
    #[must_use]
    pub fn event(&self) -> Kind {
        let (code, signal) = match self.ending {
            Some(Ending::Code(code)) => (Some(code), None),
            Some(Ending::Signal(signal)) => (None, Some(signal)),
            Some(Ending::Unknown) | None => (None, None),
        };
        Kind::ServerExited {
            reason: self.reason.as_str().to_owned(),
            code,
            signal,
            message: self.message.clone(),
            cause: self.cause.clone(),
        }
    }
}

impl From<ServerFailure> for SupervisedExit {
    fn from(failure: ServerFailure) -> Self {
        let how = failure.how_it_ended();
        let exit = match failure.severity {
            Severity::Transient => Self::transient(failure),
            Severity::Permanent => Self::permanent(failure),
        };
        exit.ended(how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_by_exit_status_see_the_process_and_not_the_actor() {
        let ended = |failure: ServerFailure| failure.how_it_ended();
        let with = |ending| ServerFailure { ending: Some(ending), ..ServerFailure::plain(Reason::ExitCode, "") };
        assert_eq!(ended(with(Ending::Code(3))), ExitStatus::Code(3).into());
        assert_eq!(ended(with(Ending::Signal(9))), ExitStatus::Signal(9).into());
        assert_eq!(ended(ServerFailure::plain(Reason::StartTimeout, "")), policy::Ending::TimedOut);
        assert_eq!(ended(ServerFailure::plain(Reason::Unhealthy, "")), policy::Ending::WatchdogExpired);
        assert_eq!(ended(ServerFailure::plain(Reason::PortInUse, "")), policy::Ending::Unknown);
    }
}
