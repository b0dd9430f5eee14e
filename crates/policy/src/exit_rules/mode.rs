//! systemd's `Restart=`: which classes of endings are followed by a restart.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::ExitClass;

/// After which endings a child is started again, in systemd's words.
///
/// | | `no` | `always` | `on-success` | `on-failure` | `on-abnormal` | `on-abort` | `on-watchdog` |
/// | --- | :-: | :-: | :-: | :-: | :-: | :-: | :-: |
/// | clean exit code or signal | | X | X | | | | |
/// | unclean exit code | | X | | X | | | |
/// | unclean signal | | X | | X | X | X | |
/// | timeout | | X | | X | X | | |
/// | watchdog | | X | | X | X | | X |
/// | out of memory | | X | | X | X | | |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RestartMode {
    /// Never. Kubernetes: `Never`. systemd's default.
    No,
    /// After every ending. Kubernetes: `Always`, and its default.
    #[default]
    Always,
    /// After a clean one only.
    OnSuccess,
    /// After any but a clean one. Kubernetes: `OnFailure`; launchd: `SuccessfulExit` false.
    OnFailure,
    /// After a signal, a timeout, or the watchdog, but no exit code.
    OnAbnormal,
    /// After an unclean signal only. launchd: `Crashed` true.
    OnAbort,
    /// After the watchdog only.
    OnWatchdog,
}

/// What is no [`RestartMode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseRestartModeError(String);

// === impl RestartMode ===

impl RestartMode {
    /// Every mode, in the order of the table.
    pub const ALL: [Self; 7] =
        [Self::No, Self::Always, Self::OnSuccess, Self::OnFailure, Self::OnAbnormal, Self::OnAbort, Self::OnWatchdog];

    /// Whether an ending of this class is followed by a restart: a cell of the table.
    #[must_use]
    pub const fn restarts_after(self, class: ExitClass) -> bool {
        match self {
            Self::No => false,
            Self::Always => true,
            Self::OnSuccess => matches!(class, ExitClass::Clean),
            Self::OnFailure => !matches!(class, ExitClass::Clean),
            Self::OnAbnormal => !matches!(class, ExitClass::Clean | ExitClass::UncleanCode),
            Self::OnAbort => matches!(class, ExitClass::UncleanSignal),
            Self::OnWatchdog => matches!(class, ExitClass::Watchdog),
        }
    }

    /// systemd's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::OnSuccess => "on-success",
            Self::OnFailure => "on-failure",
            Self::OnAbnormal => "on-abnormal",
            Self::OnAbort => "on-abort",
            Self::OnWatchdog => "on-watchdog",
        }
    }
}

impl fmt::Display for RestartMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RestartMode {
    type Err = ParseRestartModeError;

    /// Reads systemd's words, and those of Kubernetes (`Always`, `OnFailure`, `Never`).
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "Always" => Ok(Self::Always),
            "OnFailure" => Ok(Self::OnFailure),
            "Never" => Ok(Self::No),
            _ => {
                let mode = Self::ALL.into_iter().find(|mode| mode.as_str() == word);
                mode.ok_or_else(|| ParseRestartModeError(word.to_owned()))
            }
        }
    }
}

// === impl ParseRestartModeError ===

impl fmt::Display for ParseRestartModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of", self.0)?;
        RestartMode::ALL.iter().try_for_each(|mode| write!(f, " {mode}"))
    }
}

impl Error for ParseRestartModeError {}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [ExitClass; 6] = [
        ExitClass::Clean,
        ExitClass::UncleanCode,
        ExitClass::UncleanSignal,
        ExitClass::Timeout,
        ExitClass::Watchdog,
        ExitClass::OutOfMemory,
    ];

    /// The table of systemd.service(5), cell by cell.
    #[test]
    fn every_cell_is_that_of_systemds_table() {
        let table = "
            .  X  X  .  .  .  .
            .  X  .  X  .  .  .
            .  X  .  X  X  X  .
            .  X  .  X  X  .  .
            .  X  .  X  X  .  X
            .  X  .  X  X  .  .";
        let rows: Vec<Vec<&str>> = table.trim().lines().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!((rows.len(), rows[0].len()), (CLASSES.len(), RestartMode::ALL.len()));
        for (row, class) in rows.iter().zip(CLASSES) {
            for (cell, mode) in row.iter().zip(RestartMode::ALL) {
                assert_eq!(mode.restarts_after(class), *cell == "X", "{mode} after {class:?}");
            }
        }
    }

    #[test]
    fn the_words_of_systemd_and_of_kubernetes_are_read() {
        for mode in RestartMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!("Never".parse(), Ok(RestartMode::No));
        assert_eq!("OnFailure".parse(), Ok(RestartMode::OnFailure));
        let error = "on_failure".parse::<RestartMode>().unwrap_err().to_string();
        assert_eq!(error, "\"on_failure\" is none of no always on-success on-failure on-abnormal on-abort on-watchdog");
    }
}
