//! Writes the Prometheus text format, version 0.0.4.

use std::fmt::Write as _;

use crate::catalogue::{Family, Type};
use crate::histogram::Histogram;

/// A text that grows family by family.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

/// The lines of one family.
pub(crate) struct Lines<'a> {
    text: &'a mut String,
    family: &'static Family,
}

// === impl Page ===

impl Page {
    /// Begins a family: its help and its type stand there, whether it has lines or not.
    pub(crate) fn family(&mut self, family: &'static Family) -> Lines<'_> {
        let Family { name, kind, help, labels: _ } = family;
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Lines { text: &mut self.text, family }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

// === impl Lines ===

impl Lines<'_> {
    /// One line, with a value for each label of the family.
    pub(crate) fn put<const N: usize>(&mut self, values: [&str; N], value: f64) -> &mut Self {
        debug_assert_ne!(self.family.kind, Type::Histogram, "{}", self.family.name);
        self.line("", &values, None, value);
        self
    }

    /// A count: exact up to 2^53, which at a million a second is reached after 285 years.
    pub(crate) fn count<const N: usize>(&mut self, values: [&str; N], count: u64) -> &mut Self {
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        self.put(values, count as f64)
    }

    /// The lines of a histogram.
    pub(crate) fn histogram<const N: usize>(&mut self, values: [&str; N], histogram: &Histogram) {
        debug_assert_eq!(self.family.kind, Type::Histogram, "{}", self.family.name);
        for (bound, count) in histogram.cumulative() {
            #[expect(clippy::cast_precision_loss, reason = "as for counts")]
            self.line("_bucket", &values, Some(bound), count as f64);
        }
        self.line("_sum", &values, None, histogram.sum());
        #[expect(clippy::cast_precision_loss, reason = "as for counts")]
        self.line("_count", &values, None, histogram.count() as f64);
    }

    fn line(&mut self, suffix: &str, values: &[&str], bound: Option<f64>, value: f64) {
        debug_assert_eq!(self.family.labels.len(), values.len(), "{}", self.family.name);
        self.text.push_str(self.family.name);
        self.text.push_str(suffix);
        let mut open = '{';
        for (name, value) in self.family.labels.iter().zip(values) {
            let _ = write!(self.text, "{open}{name}=\"");
            self.escape(value);
            self.text.push('"');
            open = ',';
        }
        if let Some(bound) = bound {
            let _ = write!(self.text, "{open}le=\"");
            self.number(bound);
            self.text.push('"');
            open = ',';
        }
        if open == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
        self.number(value);
        self.text.push('\n');
    }

    fn escape(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.text.push_str(r"\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str(r"\n"),
                // The format takes it as it is, and people read this on terminals.
                c if c.is_control() => self.text.push('\u{fffd}'),
                c => self.text.push(c),
            }
        }
    }

    fn number(&mut self, value: f64) {
        if value == f64::INFINITY {
            self.text.push_str("+Inf");
        } else {
            let _ = write!(self.text, "{value}");
        }
    }
}
