//! A set of exit statuses, as people write it: `0 2 SIGTERM 100-110`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::{ExitStatus, ParseExitStatusError};

/// A set of exit statuses: systemd's lists of codes and signals, and Kubernetes' lists of exit codes.
///
/// A signal and its spelling by a shell are one member: `SIGTERM` and `143` mean the same, whichever of the two is written
/// and whichever the process ends with. (systemd keeps them apart, which is why so many units say
/// `SuccessExitStatus=143`.)
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ExitSet(BTreeSet<ExitStatus>);

/// Why a text is no [`ExitSet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseExitSetError {
    /// A word is neither a status nor a range.
    Status(ParseExitStatusError),
    /// A range is no range of codes, or ends before it begins.
    Range(String),
}

// === impl ExitSet ===

impl ExitSet {
    /// The set without members.
    #[must_use]
    pub const fn empty() -> Self {
        Self(BTreeSet::new())
    }

    /// Whether `status` is a member.
    #[must_use]
    pub fn contains(&self, status: ExitStatus) -> bool {
        self.0.contains(&status.behind_shell())
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members in order, codes first, signals as such.
    pub fn iter(&self) -> impl Iterator<Item = ExitStatus> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<ExitStatus> for ExitSet {
    fn from_iter<I: IntoIterator<Item = ExitStatus>>(statuses: I) -> Self {
        Self(statuses.into_iter().map(ExitStatus::behind_shell).collect())
    }
}

impl<const N: usize> From<[ExitStatus; N]> for ExitSet {
    fn from(statuses: [ExitStatus; N]) -> Self {
        statuses.into_iter().collect()
    }
}

/// Exit codes, as Kubernetes lists them.
impl<const N: usize> From<[i32; N]> for ExitSet {
    fn from(codes: [i32; N]) -> Self {
        codes.into_iter().map(ExitStatus::Code).collect()
    }
}

impl FromStr for ExitSet {
    type Err = ParseExitSetError;

    /// Reads words between white space: codes, their names, signals, and ranges of codes with both ends.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut statuses = Vec::new();
        for word in text.split_whitespace() {
            match word.split_once('-') {
                None => statuses.push(word.parse().map_err(ParseExitSetError::Status)?),
                Some((first, last)) => match (first.parse::<u8>(), last.parse::<u8>()) {
                    (Ok(first), Ok(last)) if first <= last => {
                        statuses.extend((first..=last).map(|code| ExitStatus::Code(code.into())));
                    }
                    _ => return Err(ParseExitSetError::Range(word.to_owned())),
                },
            }
        }
        Ok(statuses.into_iter().collect())
    }
}

impl fmt::Display for ExitSet {
    /// As it is read: codes in order, three or more in a row as a range, then signals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut statuses = self.iter().peekable();
        while let Some(first) = statuses.next() {
            let mut last = first;
            while let (ExitStatus::Code(code), Some(&next)) = (last, statuses.peek()) {
                let follows = next == ExitStatus::Code(code + 1);
                if !follows {
                    break;
                }
                last = next;
                statuses.next();
            }
            match (first, last) {
                (ExitStatus::Code(from), ExitStatus::Code(to)) if to - from >= 2 => {
                    write!(f, "{separator}{from}-{to}")?;
                }
                _ if first == last => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first} {last}")?,
            }
            separator = " ";
        }
        Ok(())
    }
}

// === impl ParseExitSetError ===

impl fmt::Display for ParseExitSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(error) => fmt::Display::fmt(error, f),
            Self::Range(word) => write!(f, "{word:?} is no range of exit codes, such as 100-110"),
        }
    }
}

impl Error for ParseExitSetError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_of_codes_names_signals_and_ranges_is_read() {
        let set: ExitSet = " 0 2 SIGTERM\t100-102 TEMPFAIL ".parse().unwrap();
        assert_eq!(set.to_string(), "0 2 75 100-102 SIGTERM");
        assert!(set.contains(ExitStatus::Signal(15)) && set.contains(ExitStatus::Code(143)));
        assert!(set.contains(ExitStatus::Code(101)));
        assert!(!set.contains(ExitStatus::Code(15)));
        assert!("".parse::<ExitSet>().unwrap().is_empty());
    }

    #[test]
    fn a_code_above_128_is_the_signal_that_it_spells() {
        let kubernetes = ExitSet::from([42, 137]);
        assert!(kubernetes.contains(ExitStatus::Signal(9)));
        assert_eq!(kubernetes.to_string(), "42 SIGKILL");
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_word() {
        let error = |text: &str| text.parse::<ExitSet>().unwrap_err().to_string();
        assert_eq!(error("0 SIGNOPE"), "\"SIGNOPE\" is no exit code (0 to 255), name of one, or signal");
        assert_eq!(error("9-3"), "\"9-3\" is no range of exit codes, such as 100-110");
        assert_eq!(error("1-"), "\"1-\" is no range of exit codes, such as 100-110");
    }

    fn statuses() -> impl Strategy<Value = Vec<ExitStatus>> {
        let status = prop_oneof![
            (0..=255_i32).prop_map(ExitStatus::Code),
            (0..=9_i32).prop_map(ExitStatus::Code),
            (1..=64_i32).prop_map(ExitStatus::Signal)
        ];
        prop::collection::vec(status, 0..30)
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_and_is_the_same_set(statuses in statuses()) {
            let set: ExitSet = statuses.iter().copied().collect();
            prop_assert_eq!(set.to_string().parse::<ExitSet>(), Ok(set.clone()));
            for status in statuses {
                prop_assert!(set.contains(status));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[ 0-9A-Z-]{0,20}") {
            let _ = text.parse::<ExitSet>();
        }
    }
}
