//! Spans and sizes as people say them.
//!
//! A fraction has a point in every language: so it has one in the configuration that the number comes from, and in the lines of
//! the narration that must not change a letter.

use crate::Language;

// === impl Language ===

impl Language {
    /// A span in seconds, in the two largest units that it fills: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `1 d 3 h`. One
    /// below zero is none.
    #[must_use]
    pub fn span(self, seconds: f64) -> String {
        let units = self.pick(["d", "h", "min", "s"], ["д", "ч", "мин", "с"]);
        let tenths = (seconds.max(0.0) * 10.0).round() / 10.0;
        if tenths < 10.0 {
            return format!("{tenths:.1} {}", units[3]);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and no span is that long"
        )]
        let whole = seconds.round() as u64;
        let counts = [whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60];
        let largest = counts.iter().position(|count| *count > 0).unwrap_or(counts.len() - 1);
        let filled = counts.iter().zip(units).skip(largest).take(2).filter(|(count, _)| **count > 0);
        filled.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
    }

    /// A size in bytes: `512 MiB`, `20.0 GiB`.
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    #[must_use]
    pub fn size(self, bytes: u64) -> String {
        let (mib, gib) = self.pick(("MiB", "GiB"), ("МиБ", "ГиБ"));
        let mebibytes = bytes as f64 / (1024.0 * 1024.0);
        if mebibytes < 1023.5 { format!("{mebibytes:.0} {mib}") } else { format!("{:.1} {gib}", mebibytes / 1024.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_said_in_the_units_that_fit() {
        let spans = [-1.0, 0.0, 0.25, 9.97, 59.6, 61.0, 3600.0, 3725.0, 7200.0, 90_000.0];
        let said = spans.map(|seconds| Language::En.span(seconds));
        assert_eq!(
            said,
            ["0.0 s", "0.0 s", "0.3 s", "10 s", "1 min", "1 min 1 s", "1 h", "1 h 2 min", "2 h", "1 d 1 h"]
        );
        let sizes = [0, 85 << 20, 1 << 30, 3 << 29].map(|bytes| Language::En.size(bytes));
        assert_eq!(sizes, ["0 MiB", "85 MiB", "1.0 GiB", "1.5 GiB"]);
    }

    #[test]
    fn a_fraction_has_a_point_in_russian_too() {
        assert_eq!((Language::Ru.span(2.5), Language::Ru.span(61.0)), ("2.5 с".to_owned(), "1 мин 1 с".to_owned()));
        assert_eq!(Language::Ru.size(3 << 29), "1.5 ГиБ");
    }
}
