//! Spans and sizes as people say them.

use crate::Language;

// === impl Language ===

impl Language {
    /// A span in seconds: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`. One below zero is none.
    #[must_use]
    pub fn span(self, seconds: f64) -> String {
        let seconds = seconds.max(0.0);
        let (h, min, s) = self.pick(("h", "min", "s"), ("ч", "мин", "с"));
        if seconds < 10.0 {
            return format!("{seconds:.1} {s}");
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and no span is that long"
        )]
        let whole = seconds.round() as u64;
        match (whole / 3600, whole / 60 % 60, whole % 60) {
            (0, 0, left) => format!("{left} {s}"),
            (0, minutes, 0) => format!("{minutes} {min}"),
            (0, minutes, left) => format!("{minutes} {min} {left} {s}"),
            (hours, minutes, _) => format!("{hours} {h} {minutes} {min}"),
        }
    }

    /// A size in bytes: `512 MiB`, `20.0 GiB`.
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    #[must_use]
    pub fn size(self, bytes: u64) -> String {
        let (mib, gib) = self.pick(("MiB", "GiB"), ("МиБ", "ГиБ"));
        let mebibytes = bytes as f64 / (1024.0 * 1024.0);
        if mebibytes < 10_000.0 { format!("{mebibytes:.0} {mib}") } else { format!("{:.1} {gib}", mebibytes / 1024.0) }
    }
}
