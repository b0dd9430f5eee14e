//! Sizes of memory as people write them: `512MiB`, `8GiB`, `1.5TiB`, `8GB`.

/// The units. Of two that mean the same size, the first one is written.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Why a text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Nothing but digits: which unit is meant, nobody knows.
    #[error("a size needs a unit")]
    NoUnit,
    /// Anything else.
    #[error("not a size")]
    Malformed,
    /// More bytes than 64 bits hold.
    #[error("too much")]
    TooLarge,
}

/// Reads a number with a unit (`B`, `kB` … `TB`, `KiB` … `TiB`); a fraction may be given with a decimal point.
///
/// # Errors
/// [`SizeError`] for anything else; a number without a unit is told apart, since it is the likeliest mistake.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let at = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..at], text[at..].trim_start());
    if number.is_empty() {
        return Err(SizeError::Malformed);
    }
    if unit.is_empty() {
        return Err(SizeError::NoUnit);
    }
    let unit = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or(SizeError::Malformed)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 =
        whole.parse().map_err(|_| if whole.is_empty() { SizeError::Malformed } else { SizeError::TooLarge })?;
    if fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return Err(SizeError::Malformed);
    }
    let parts: u128 = fraction.parse().map_err(|_| SizeError::Malformed)?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let part = u64::try_from(parts * u128::from(unit) / scale).map_err(|_| SizeError::TooLarge)?;
    whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(part)).ok_or(SizeError::TooLarge)
}

/// Writes a size with the largest unit in which it is whole; [`parse_size`] reads it back.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let fits = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("8GiB", 8 << 30),
            ("8 gib", 8 << 30),
            ("1.5 GiB", 3 << 29),
            ("16GB", 16_000_000_000),
            ("512MiB", 512 << 20),
            ("1kB", 1000),
            ("0B", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_likeliest_mistake_told_apart() {
        assert_eq!(parse_size("8"), Err(SizeError::NoUnit));
        assert_eq!(parse_size("99999999TiB"), Err(SizeError::TooLarge));
        assert_eq!(parse_size("99999999999999999999999B"), Err(SizeError::TooLarge));
        for text in ["", "GiB", "8 apples", "1.2.3GiB", "-1GiB", "1.GiB", ".GiB", "8GiB8"] {
            assert_eq!(parse_size(text), Err(SizeError::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = parse_size(&text);
        }
    }
}
