//! Durations as people write them: `500ms`, `2s`, `1m30s`, `2h`.

use std::time::Duration;

/// The units, in the order in which they may follow each other.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing but digits: which unit is meant, nobody knows.
    #[error("a duration needs a unit")]
    NoUnit {
        /// The number.
        number: String,
    },
    /// Anything else.
    #[error("not a duration")]
    Malformed,
    /// More milliseconds than 64 bits hold.
    #[error("too long for a duration")]
    TooLong,
}

/// Reads whole numbers with the units d, h, m, s and ms, each at most once and from the longest to the shortest.
///
/// # Errors
/// [`DurationError`] for anything else; a number without a unit is told apart, since it is the likeliest mistake.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::NoUnit { number: text.to_owned() });
    }
    let (mut rest, mut units, mut millis) = (text, UNITS.as_slice(), 0_u64);
    while !rest.is_empty() || text.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| c.is_ascii_digit());
        let place = units.iter().position(|(name, _)| *name == unit).ok_or(DurationError::Malformed)?;
        if number.is_empty() {
            return Err(DurationError::Malformed);
        }
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let span = number.checked_mul(units[place].1).ok_or(DurationError::TooLong)?;
        millis = millis.checked_add(span).ok_or(DurationError::TooLong)?;
        units = &units[place + 1..];
        rest = after;
    }
    Ok(Duration::from_millis(millis))
}

/// Writes a duration in whole seconds, or in milliseconds if it has to; [`parse_duration`] reads it back. What is shorter
/// than a millisecond is left out.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1d1h1m1s1ms", 90_061_001),
            ("0s", 0),
            (" 5m ", 300_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_as_one_that_lacks_its_unit() {
        assert_eq!(parse_duration("300"), Err(DurationError::NoUnit { number: "300".to_owned() }));
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in ["", " ", "s", "2 s", "2x", "1s1m", "1s1s", "-2s", "1.5s", "2sec", "1m30", "٣s"] {
            assert!(matches!(parse_duration(text), Err(DurationError::Malformed)), "{text}");
        }
        assert_eq!(parse_duration("99999999999999999999s"), Err(DurationError::TooLong));
        assert_eq!(parse_duration("18446744073709551615s"), Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_breaks_the_parser(text in ".{0,20}") {
            let _ = parse_duration(&text);
        }
    }
}
