//! How an incarnation ended, for the rules that go by it: an exit status, or what stood in the way of one.

mod names;

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// How a process ended, as the operating system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitStatus {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// How an incarnation ended: what systemd calls the result, and Kubernetes the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ending {
    /// Its process ended by itself, with this status. An actor without a process that ended normally counts as
    /// [`ExitStatus::SUCCESS`].
    Exited(ExitStatus),
    /// It did not start (or stop) in time, and was ended for it.
    TimedOut,
    /// It stopped giving signs of life, and was ended for it.
    WatchdogExpired,
    /// The system ran out of memory and ended it.
    OutOfMemory,
    /// It failed, and there is no status to go by: an actor returned an error. Rules take it for an unclean exit code.
    #[default]
    Unknown,
}

/// The classes that restart rules know: the rows of the table in systemd.service(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitClass {
    /// Code 0, SIGHUP, SIGINT, SIGTERM, SIGPIPE, and whatever else counts as a success.
    Clean,
    /// Any other code.
    UncleanCode,
    /// Any other signal.
    UncleanSignal,
    /// [`Ending::TimedOut`].
    Timeout,
    /// [`Ending::WatchdogExpired`].
    Watchdog,
    /// [`Ending::OutOfMemory`].
    OutOfMemory,
}

/// What is no exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseExitStatusError {
    pub(crate) word: String,
}

// === impl ExitStatus ===

impl ExitStatus {
    /// Code 0.
    pub const SUCCESS: Self = Self::Code(0);

    /// The number that a shell shows in `$?`, and Kubernetes as the exit code: 128 + n for signal n.
    #[must_use]
    pub const fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_i32.saturating_add(signal),
        }
    }

    /// The status behind a shell: code 128 + n, for n from 1 to 31, is what a wrapper script makes of signal n.
    #[must_use]
    pub const fn behind_shell(self) -> Self {
        match self {
            Self::Code(code @ 129..=159) => Self::Signal(code - 128),
            Self::Code(_) | Self::Signal(_) => self,
        }
    }

    /// Whether a daemon that ends like this has done so on purpose: code 0, SIGHUP, SIGINT, SIGTERM or SIGPIPE, be it
    /// through a shell.
    #[must_use]
    pub const fn is_clean(self) -> bool {
        // These four have the same numbers everywhere.
        matches!(self.behind_shell(), Self::Code(0) | Self::Signal(1 | 2 | 15 | 13))
    }
}

impl fmt::Display for ExitStatus {
    /// A code as its number, a signal by its name; [`FromStr`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Signal(signal) => match names::of_signal(*signal) {
                Some(name) => write!(f, "SIG{name}"),
                None => write!(f, "SIG{signal}"),
            },
        }
    }
}

impl FromStr for ExitStatus {
    type Err = ParseExitStatusError;

    /// Reads a code (`0` … `255`), its name (`DATAERR`, as `systemd-analyze exit-status` lists them), or a signal
    /// (`SIGTERM`, `TERM`, `SIG15`).
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let error = || ParseExitStatusError { word: word.to_owned() };
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return word.parse::<u8>().map(|code| Self::Code(code.into())).map_err(|_| error());
        }
        if let Some(code) = names::code(word) {
            return Ok(Self::Code(code));
        }
        let name = word.strip_prefix("SIG").unwrap_or(word);
        let by_number = || word.strip_prefix("SIG")?.parse::<u8>().ok().filter(|n| (1..=64).contains(n)).map(i32::from);
        names::signal(name).or_else(by_number).map(Self::Signal).ok_or_else(error)
    }
}

#[cfg(unix)]
impl From<std::process::ExitStatus> for ExitStatus {
    fn from(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            // Only a process that is stopped, and so has not ended, has neither.
            (None, None) => Self::Signal(status.stopped_signal().unwrap_or(0)),
        }
    }
}

// === impl Ending ===

impl Ending {
    /// The exit status, where there is one.
    #[must_use]
    pub const fn status(self) -> Option<ExitStatus> {
        match self {
            Self::Exited(status) => Some(status),
            Self::TimedOut | Self::WatchdogExpired | Self::OutOfMemory | Self::Unknown => None,
        }
    }

    /// The class of this ending, as long as no rule says that its status is a success.
    #[must_use]
    pub const fn class(self) -> ExitClass {
        match self {
            Self::Exited(status) if status.is_clean() => ExitClass::Clean,
            Self::Exited(status) => match status.behind_shell() {
                ExitStatus::Code(_) => ExitClass::UncleanCode,
                ExitStatus::Signal(_) => ExitClass::UncleanSignal,
            },
            Self::TimedOut => ExitClass::Timeout,
            Self::WatchdogExpired => ExitClass::Watchdog,
            Self::OutOfMemory => ExitClass::OutOfMemory,
            Self::Unknown => ExitClass::UncleanCode,
        }
    }
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        Self::Exited(status)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status @ ExitStatus::Code(_)) => write!(f, "exit code {status}"),
            Self::Exited(status @ ExitStatus::Signal(_)) => fmt::Display::fmt(status, f),
            Self::TimedOut => f.write_str("timeout"),
            Self::WatchdogExpired => f.write_str("watchdog"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Unknown => f.write_str("failure"),
        }
    }
}

// === impl ParseExitStatusError ===

impl fmt::Display for ParseExitStatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no exit code (0 to 255), name of one, or signal", self.word)
    }
}

impl Error for ParseExitStatusError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_of_systemd_are_read() {
        let read = |word: &str| word.parse::<ExitStatus>();
        assert_eq!(read("0"), Ok(ExitStatus::SUCCESS));
        assert_eq!(read("TEMPFAIL"), Ok(ExitStatus::Code(75)));
        assert_eq!(read("SIGKILL"), Ok(ExitStatus::Signal(9)));
        assert_eq!(read("KILL"), Ok(ExitStatus::Signal(9)));
        assert_eq!(read("SIG40"), Ok(ExitStatus::Signal(40)));
        for wrong in ["", "256", "-1", "SIG", "SIG0", "SIG65", "SIGSIGTERM", "sigterm", "1x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_shell_spells_a_signal_as_128_and_its_number() {
        assert_eq!(ExitStatus::Signal(9).shell_code(), 137);
        assert_eq!(ExitStatus::Code(137).behind_shell(), ExitStatus::Signal(9));
        assert_eq!(ExitStatus::Code(128).behind_shell(), ExitStatus::Code(128));
        assert_eq!(ExitStatus::Code(160).behind_shell(), ExitStatus::Code(160));
    }

    #[test]
    fn the_four_signals_that_end_a_daemon_on_purpose_are_clean() {
        let clean: Vec<String> =
            (1..=31).map(ExitStatus::Signal).filter(|s| s.is_clean()).map(|s| s.to_string()).collect();
        assert_eq!(clean, ["SIGHUP", "SIGINT", "SIGPIPE", "SIGTERM"]);
        let codes: Vec<i32> = (0..=255).filter(|&code| ExitStatus::Code(code).is_clean()).collect();
        assert_eq!(codes, [0, 129, 130, 141, 143]);
    }

    #[cfg(unix)]
    #[test]
    fn what_std_tells_of_a_process_is_taken_over() {
        use std::os::unix::process::ExitStatusExt as _;
        let status = |raw| ExitStatus::from(std::process::ExitStatus::from_raw(raw));
        assert_eq!(status(3 << 8), ExitStatus::Code(3));
        assert_eq!(status(15), ExitStatus::Signal(15));
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(code in 0..=255_i32, signal in 1..=64_i32) {
            for status in [ExitStatus::Code(code), ExitStatus::Signal(signal)] {
                prop_assert_eq!(status.to_string().parse(), Ok(status));
            }
        }
    }
}
