//! A strict reader of the Prometheus text format 0.0.4: what it takes, every scraper takes.

use std::collections::{BTreeMap, BTreeSet};

/// What a text says.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// Name, type and help of each family, in order.
    pub(super) families: Vec<(String, String, String)>,
    /// Each line's name, labels and value.
    pub(super) lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Text {
    /// The value of the one line with this name and these labels.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.lines.iter().find(|line| line.name == name && line.labels == labels).map(|line| line.value)
    }
}

/// Reads a text, or says which line is wrong and why.
pub(super) fn parse(text: &str) -> Result<Text, String> {
    let mut read = Text::default();
    let mut seen = BTreeSet::new();
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in text.split_terminator('\n') {
        let wrong = |why: &str| format!("{why}: {line:?}");
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').ok_or_else(|| wrong("a help without words"))?;
            if !is_name(name) || read.families.iter().any(|(known, ..)| known == name) {
                return Err(wrong("a family that is none, or is there twice"));
            }
            read.families.push((name.to_owned(), String::new(), help.to_owned()));
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or_else(|| wrong("a type without a word"))?;
            let (family, known, _) = read.families.last_mut().ok_or_else(|| wrong("a type before any help"))?;
            if family != name || !known.is_empty() || !["counter", "gauge", "histogram"].contains(&kind) {
                return Err(wrong("a type that does not follow its help"));
            }
            kind.clone_into(known);
        } else {
            let line = sample(line).ok_or_else(|| wrong("no sample"))?;
            let (family, kind, _) = read.families.last().ok_or_else(|| wrong("a sample before any family"))?;
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            if !suffixes.iter().any(|suffix| line.name == format!("{family}{suffix}")) {
                return Err(wrong("a sample of another family"));
            }
            if !seen.insert((line.name.clone(), line.labels.clone())) {
                return Err(wrong("the same sample twice"));
            }
            if kind == "counter" && !(line.value >= 0.0 && line.value.is_finite() && line.name.ends_with("_total")) {
                return Err(wrong("no counter"));
            }
            read.lines.push(line);
        }
    }
    buckets(&read)?;
    Ok(read)
}

/// Buckets rise, end with infinity, and that one has all.
fn buckets(text: &Text) -> Result<(), String> {
    let mut series: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    for line in text.lines.iter().filter(|line| line.name.ends_with("_bucket")) {
        let mut labels = line.labels.clone();
        let bound = labels.remove("le").ok_or("a bucket without a bound")?;
        let bound = bound.replace("+Inf", "inf").parse().map_err(|_| format!("no bound: {bound}"))?;
        let name = line.name.trim_end_matches("_bucket").to_owned();
        series.entry((name, labels)).or_default().push((bound, line.value));
    }
    for ((name, labels), buckets) in series {
        let risen = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let count = text.value(&format!("{name}_count"), &labels);
        let last = buckets.last().copied();
        if !risen
            || last != count.map(|count| (f64::INFINITY, count))
            || text.value(&format!("{name}_sum"), &labels).is_none()
        {
            return Err(format!("no histogram: {name} {labels:?}"));
        }
    }
    Ok(())
}

fn sample(line: &str) -> Option<Line> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            if !is_label(label) || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            match after.chars().next()? {
                ',' => rest = &after[1..],
                '}' => {
                    rest = &after[1..];
                    break;
                }
                _ => return None,
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    let plain = value.bytes().all(|byte| byte.is_ascii_digit() || b".-e".contains(&byte));
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().ok().filter(|_| plain)? };
    is_name(name).then(|| Line { name: name.to_owned(), labels, value })
}

/// A value up to its closing quote, and what comes after that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                '\\' => '\\',
                '"' => '"',
                'n' => '\n',
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}

fn is_label(text: &str) -> bool {
    is_name(text) && !text.contains(':') && !text.starts_with("__")
}

#[test]
fn the_reader_takes_nothing_that_a_scraper_would_not() {
    let head = "# HELP a_total what\n# TYPE a_total counter\n";
    for good in ["a_total 1\n", "a_total{b=\"c\"} 1.5\n", "a_total{b=\"\\\\ \\\" \\n\",c=\"}\"} 0\n"] {
        assert!(parse(&format!("{head}{good}")).is_ok(), "{good}");
    }
    for bad in [
        "a_total 1",
        "a_total{b=\"c\"}1\n",
        "a_total{b=\"c\"} 1 \n",
        "a_total{b=\"c} 1\n",
        "a_total{b=\"\\x\"} 1\n",
        "a_total{b=\"c\",b=\"d\"} 1\n",
        "a_total{} NaN\n",
        "a_total -1\n",
        "b_total 1\n",
        "a_total 1\na_total 1\n",
        "a_total 1\n\n",
        "a_total{b=\"c\nd\"} 1\n",
    ] {
        assert!(parse(&format!("{head}{bad}")).is_err(), "{bad}");
    }
}
