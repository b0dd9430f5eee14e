//! From a raw value to a typed one, and from a typed one to what is shown.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;

use crate::secret::masked_args;
use crate::{DurationError, Problem, format_duration, looks_secret, parse_duration};

/// Why a value is refused, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    pub(crate) problem: Problem,
    pub(crate) help: Option<String>,
}

/// A value that is one of a few words.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// The words, each with what it stands for. The first word for a value is its name, further ones are aliases.
    const WORDS: &'static [(&'static str, Self)];

    /// The name of the value.
    fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

/// A size of memory in bytes that need not be given, for reading.
pub(crate) struct OptionalSize(pub(crate) Option<u64>);

/// How a typed value is shown: as it would be written in the configuration.
pub(crate) trait Shown {
    /// The text.
    fn shown(&self) -> String;
}

// === impl Reject ===

impl Reject {
    /// It has the wrong type or the wrong form.
    pub(crate) fn malformed(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: Problem::Malformed(what.into()), help: Some(help.into()) }
    }

    /// It has the right form and makes no sense.
    pub(crate) fn invalid(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: Problem::Invalid(what.into()), help: Some(help.into()) }
    }

    /// The same, about the n-th item of a list.
    pub(crate) fn in_item(self, n: usize) -> Self {
        let say = |what: String| format!("item {n}: {what}");
        let problem = match self.problem {
            Problem::Malformed(what) => Problem::Malformed(say(what)),
            Problem::Invalid(what) => Problem::Invalid(say(what)),
            other => other,
        };
        Self { problem, help: self.help }
    }

    fn type_of(value: &Value, help: impl Into<String>) -> Self {
        let what = match value {
            Value::String(..) | Value::Char(..) => "a string",
            Value::Bool(..) => "true or false",
            Value::Num(..) => "a number",
            Value::Empty(..) => "nothing",
            Value::Dict(..) => "a table",
            Value::Array(..) => "a list",
        };
        Self::malformed(format!("this is {what}"), help)
    }
}

// --- readers -------------------------------------------------------------------------------------

pub(crate) fn text(value: &Value) -> Result<String, Reject> {
    let text = value.as_str().ok_or_else(|| Reject::type_of(value, "a string, in quotes"))?;
    if text.contains('\0') {
        return Err(Reject::invalid("it contains a NUL character", "no program can be given that"));
    }
    Ok(text.to_owned())
}

pub(crate) fn flag(value: &Value) -> Result<bool, Reject> {
    value.to_bool().ok_or_else(|| Reject::type_of(value, "true or false"))
}

/// A whole number in a range that fits the type.
pub(crate) fn integer<T: TryFrom<i128>>(range: RangeInclusive<i128>) -> impl Fn(&Value) -> Result<T, Reject> {
    move |value| {
        let help = format!("a whole number from {} to {}", range.start(), range.end());
        let number = value
            .to_i128()
            .or_else(|| value.to_u128().and_then(|number| i128::try_from(number).ok()))
            .ok_or_else(|| Reject::type_of(value, &help))?;
        let fits = range.contains(&number).then(|| T::try_from(number).ok()).flatten();
        fits.ok_or_else(|| Reject::invalid("it is out of range", help))
    }
}

/// A number in a range.
pub(crate) fn number(range: RangeInclusive<f64>) -> impl Fn(&Value) -> Result<f64, Reject> {
    move |value| {
        let help = if range.end().is_finite() {
            format!("a number from {} to {}", range.start(), range.end())
        } else {
            format!("a number of at least {}", range.start())
        };
        let number = match value {
            Value::Num(_, num) => num
                .to_f64()
                .or_else(|| num.to_i128().map(|whole| whole as f64))
                .or_else(|| num.to_u128().map(|n| n as f64)),
            Value::String(..)
            | Value::Char(..)
            | Value::Bool(..)
            | Value::Empty(..)
            | Value::Dict(..)
            | Value::Array(..) => None,
        };
        let number = number.ok_or_else(|| Reject::type_of(value, &help))?;
        if number.is_finite() && range.contains(&number) {
            Ok(number)
        } else {
            Err(Reject::invalid("it is out of range", help))
        }
    }
}

/// A span of time; zero is allowed.
pub(crate) fn duration(value: &Value) -> Result<Duration, Reject> {
    const HELP: &str = r#"a duration, such as "2s", "1m30s" or "500ms""#;
    if let Some(number) = value.to_i128() {
        let unit_missing = "a duration needs a unit";
        return Err(Reject::malformed(unit_missing, format!(r#"write "{number}s" for {number} seconds"#)));
    }
    let text = value.as_str().ok_or_else(|| Reject::type_of(value, HELP))?;
    parse_duration(text).map_err(|error| {
        let help = match &error {
            DurationError::NoUnit { number } => format!(r#"write "{number}s" for {number} seconds"#),
            DurationError::Malformed | DurationError::TooLong => HELP.to_owned(),
        };
        Reject::malformed(error.to_string(), help)
    })
}

/// A span of time that is longer than zero.
pub(crate) fn span(value: &Value) -> Result<Duration, Reject> {
    let duration = duration(value)?;
    if duration.is_zero() {
        return Err(Reject::invalid("it is zero", "a duration longer than zero"));
    }
    Ok(duration)
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// A size in bytes; zero is refused.
pub(crate) fn size(value: &Value) -> Result<Size, Reject> {
    const HELP: &str = r#"a size, such as "32MiB", "8GiB" or "500KiB""#;
    if let Some(number) = value.to_i128() {
        return Err(Reject::malformed("a size needs a unit", format!(r#"write "{number}MiB" for {number} MiB"#)));
    }
    match crate::parse_size(value.as_str().ok_or_else(|| Reject::type_of(value, HELP))?) {
        Ok(0) => Err(Reject::invalid("it is zero", "a size larger than zero")),
        Ok(size) => Ok(Size(size)),
        Err(error) => Err(Reject::malformed(error.to_string(), HELP)),
    }
}

/// A size in bytes; `None` for the empty text.
pub(crate) fn optional_size(value: &Value) -> Result<OptionalSize, Reject> {
    match value.as_str() {
        Some("") => Ok(OptionalSize(None)),
        Some(_) | None => size(value).map(|Size(bytes)| OptionalSize(Some(bytes))),
    }
}

/// One of a few words.
pub(crate) fn choice<T: Choice>(value: &Value) -> Result<T, Reject> {
    let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
    let help = || format!("one of {}", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "));
    let text = value.as_str().ok_or_else(|| Reject::type_of(value, help()))?;
    let known = T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    known.ok_or_else(|| {
        let nearest = nearest(text, words.iter().copied()).map(|word| format!("did you mean \"{word}\"? "));
        Reject::malformed("this is none of the known words", nearest.unwrap_or_default() + &help())
    })
}

/// A list of strings.
pub(crate) fn texts(value: &Value) -> Result<Vec<String>, Reject> {
    const HELP: &str = r#"a list of strings, such as ["a", "b"]"#;
    let items = value.as_array().ok_or_else(|| Reject::type_of(value, HELP))?;
    items.iter().enumerate().map(|(i, item)| text(item).map_err(|reject| reject.in_item(i + 1))).collect()
}

/// The candidate that is most like `text`, if one is like it at all.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(text, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

// --- showing -------------------------------------------------------------------------------------

/// A raw value as it would be written in TOML, or `***` if its key looks secret.
pub(crate) fn show_safely(key: &str, value: &Value) -> String {
    // What a file calls `server.env.HF_TOKEN` and a list of arguments hold their secrets in different places. Whoever knows
    // the address of a webhook can write to it.
    if looks_secret(key) || key == "url" {
        return crate::secret::MASK.to_owned();
    }
    match value {
        Value::Array(_, items) if items.iter().all(|item| item.as_str().is_some()) => {
            let words: Vec<String> = items.iter().filter_map(|item| item.as_str().map(without_path)).collect();
            words.shown()
        }
        Value::Array(_, items) => {
            let items: Vec<String> = items.iter().map(|item| show_safely(key, item)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Dict(_, entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(name, value)| format!("{name} = {}", show_safely(name, value))).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        Value::String(_, text) => without_path(text).shown(),
        Value::Char(_, c) => c.to_string().shown(),
        Value::Bool(_, flag) => flag.shown(),
        Value::Num(_, num) => {
            let whole = num.to_i128().map(|number| number.to_string());
            whole.or_else(|| num.to_u128().map(|number| number.to_string())).unwrap_or_else(|| {
                let number = num.to_f64().unwrap_or(f64::NAN);
                number.shown()
            })
        }
        Value::Empty(..) => String::new(),
    }
}

/// A URL only as far as it says where it leads. The rest of a webhook's is its secret, and it may stand under any name: that may
/// be the mistake that is being reported.
fn without_path(text: &str) -> String {
    let Some((scheme, rest)) =
        text.split_once("://").filter(|(scheme, _)| scheme.to_ascii_lowercase().starts_with("http"))
    else {
        return text.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    if path.len() <= 1 && host.len() == authority.len() { text.to_owned() } else { format!("{scheme}://{host}/…") }
}

impl Shown for String {
    fn shown(&self) -> String {
        let mut shown = String::with_capacity(self.len() + 2);
        shown.push('"');
        for c in self.chars() {
            match c {
                '"' => shown.push_str("\\\""),
                '\\' => shown.push_str("\\\\"),
                '\n' => shown.push_str("\\n"),
                '\t' => shown.push_str("\\t"),
                c if c.is_control() => shown.push_str(&format!("\\u{:04X}", c as u32)),
                c => shown.push(c),
            }
        }
        shown.push('"');
        shown
    }
}

impl Shown for PathBuf {
    fn shown(&self) -> String {
        self.display().to_string().shown()
    }
}

impl Shown for IpAddr {
    fn shown(&self) -> String {
        self.to_string().shown()
    }
}

impl Shown for SocketAddr {
    fn shown(&self) -> String {
        self.to_string().shown()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        format_duration(*self).shown()
    }
}

impl Shown for Size {
    fn shown(&self) -> String {
        crate::format_size(self.0).shown()
    }
}

impl Shown for OptionalSize {
    fn shown(&self) -> String {
        self.0.map_or_else(String::new, crate::format_size).shown()
    }
}

impl Shown for Option<u64> {
    fn shown(&self) -> String {
        OptionalSize(*self).shown()
    }
}

impl Shown for Option<Duration> {
    fn shown(&self) -> String {
        self.unwrap_or(Duration::ZERO).shown()
    }
}

impl Shown for Option<String> {
    fn shown(&self) -> String {
        self.clone().unwrap_or_default().shown()
    }
}

impl Shown for Option<SocketAddr> {
    fn shown(&self) -> String {
        self.map_or_else(|| String::new().shown(), |address| address.shown())
    }
}

impl Shown for NonZeroU32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u16 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for f64 {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl Shown for Vec<String> {
    fn shown(&self) -> String {
        let words: Vec<String> = masked_args(self).iter().map(Shown::shown).collect();
        format!("[{}]", words.join(", "))
    }
}

impl<T: Choice> Shown for T {
    fn shown(&self) -> String {
        self.name().to_owned().shown()
    }
}
