//! Spans, sizes and numbers as people read them.

use mlx_tree_api::Language;

/// A span of time, in seconds: the two largest units that it fills.
pub(super) fn span(seconds: f64, language: Language) -> String {
    let tenths = (seconds.max(0.0) * 10.0).round() / 10.0;
    if tenths < 10.0 {
        return language.pick(format!("{tenths:.1} s"), format!("{} с", decimal(tenths)));
    }
    // A span that does not fit is cut: nobody reads the minutes of a thousand years.
    let whole = seconds.round() as u64;
    let [days, hours, minutes, rest] = [whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60];
    let units = [
        (days, language.pick("d", "д")),
        (hours, language.pick("h", "ч")),
        (minutes, language.pick("min", "мин")),
        (rest, language.pick("s", "с")),
    ];
    let from = units.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
    let said = units[from..].iter().take(2).filter(|(count, _)| *count > 0);
    said.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// A size of memory.
pub(super) fn size(bytes: u64, language: Language) -> String {
    const MIB: f64 = 1_048_576.0;
    let mebibytes = bytes as f64 / MIB;
    if mebibytes < 1024.0 {
        return language.pick(format!("{mebibytes:.0} MiB"), format!("{mebibytes:.0} МиБ"));
    }
    let gibibytes = mebibytes / 1024.0;
    language.pick(format!("{gibibytes:.1} GiB"), format!("{} ГиБ", decimal(gibibytes)))
}

/// A number with one decimal.
pub(super) fn number(value: f64, language: Language) -> String {
    language.pick(format!("{value:.1}"), decimal(value))
}

fn decimal(value: f64) -> String {
    format!("{value:.1}").replace('.', ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_said_in_the_units_that_fit() {
        let said: Vec<_> =
            [0.0, 0.25, 9.97, 59.6, 61.0, 3600.0, 3725.0, 90_000.0].map(|it| span(it, Language::En)).into();
        assert_eq!(said, ["0.0 s", "0.3 s", "10 s", "1 min", "1 min 1 s", "1 h", "1 h 2 min", "1 d 1 h"]);
        assert_eq!((span(2.5, Language::Ru), span(61.0, Language::Ru)), ("2,5 с".to_owned(), "1 мин 1 с".to_owned()));
        assert_eq!(
            (size(85 << 20, Language::En), size(3 << 29, Language::En)),
            ("85 MiB".to_owned(), "1.5 GiB".to_owned())
        );
        assert_eq!(size(3 << 29, Language::Ru), "1,5 ГиБ");
    }
}
