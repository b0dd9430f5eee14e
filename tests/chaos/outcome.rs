//! What a client saw of one request, and how many saw what.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How a request was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// For one object. Half of them are greedy.
    Plain,
    /// For a stream, at temperature 0.
    Greedy,
    /// For a stream, at another temperature.
    Sampled,
}

/// How it ended, as the client can tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// All of it is there, and a greedy answer says what the server says when nothing disturbs it.
    Whole,
    /// An error instead of an answer: the status and the word for it.
    Refused(u16, String),
    /// An error at the end of a part of an answer.
    Told(String),
    /// No connection, or one that is closed before there is anything.
    Lost,
    /// The connection broke in the middle, without a word.
    Broken,
    /// It just ended in the middle: who does not look for `[DONE]` takes it for whole.
    Silent,
    /// It looks whole, with `[DONE]` or a finish reason, and is not.
    Disguised(String),
    /// It does not say where it comes from, or from somewhere else.
    Foreign(String),
    /// Nothing for longer than anybody waits.
    Hung,
}

/// What a client saw of one request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub way: Way,
    pub outcome: Outcome,
    pub begun: Instant,
    /// When the first part of an answer came.
    pub first: Option<Instant>,
    pub ended: Instant,
    /// More than one attempt was made, as the answer says.
    pub replayed: bool,
    /// It was cut and has gone on, as the answer says.
    pub continued: bool,
}

/// The kinds of outcomes, as lines of a table.
pub const KINDS: [&str; 9] = [
    "whole",
    "error: a status",
    "error: in the stream",
    "no connection, no answer",
    "cut: connection broken",
    "cut: silently",
    "cut, passed off as whole",
    "unlabelled, other backend",
    "hung",
];

// === impl Outcome ===

impl Outcome {
    /// The line of the table that it belongs to.
    pub const fn kind(&self) -> &'static str {
        KINDS[match self {
            Self::Whole => 0,
            Self::Refused(..) => 1,
            Self::Told(_) => 2,
            Self::Lost => 3,
            Self::Broken => 4,
            Self::Silent => 5,
            Self::Disguised(_) => 6,
            Self::Foreign(_) => 7,
            Self::Hung => 8,
        }]
    }

    /// Whether there was a part of an answer, and not all of it.
    pub const fn is_cut(&self) -> bool {
        matches!(self, Self::Told(_) | Self::Broken | Self::Silent | Self::Disguised(_))
    }
}

/// How many of `seen` there are of a kind.
pub fn count(seen: &[&Seen], kind: &str) -> usize {
    seen.iter().filter(|it| it.outcome.kind() == kind).count()
}

/// The share of `seen` that did not get a whole answer, in per cent.
pub fn failed(seen: &[&Seen]) -> f64 {
    share(seen.len() - count(seen, KINDS[0]), seen.len())
}

/// A part of a whole, in per cent.
pub fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { to_f64(part) * 100.0 / to_f64(of) }
}

/// A count as a number to divide by.
pub fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What errors were told, and how often.
pub fn words(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut words = BTreeMap::new();
    for it in seen {
        let word = match &it.outcome {
            Outcome::Refused(status, word) => format!("{status} {word}"),
            Outcome::Told(word) => format!("in the stream: {word}"),
            Outcome::Disguised(why) | Outcome::Foreign(why) => why.clone(),
            Outcome::Whole | Outcome::Lost | Outcome::Broken | Outcome::Silent | Outcome::Hung => continue,
        };
        *words.entry(word).or_insert(0) += 1;
    }
    words
}

/// The value below which `percent` of them are.
pub fn percentile(spans: &mut [Duration], percent: usize) -> Option<Duration> {
    spans.sort_unstable();
    (!spans.is_empty()).then(|| spans[(spans.len() - 1) * percent / 100])
}
