//! What the child writes: always read, never trusted, bounded in memory.

use std::fmt;

/// Which pipe a line came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line, safe to print: valid UTF-8, with control and direction characters escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it came from.
    pub stream: Stream,
    /// The text without its newline. A longer line than 16 KiB comes in pieces.
    pub text: String,
    /// Whether the text ends where the child's line ended.
    pub end: LineEnd,
}

/// Whether a [`Line`] is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineEnd {
    /// The child wrote a newline here, or closed the pipe.
    Newline,
    /// The line was longer than 16 KiB; its next piece follows.
    Cut,
}

/// The receiving end of a group's lines. Not reading it costs the child nothing: lines beyond 1 MiB are
/// counted in [`OutputLines::dropped`] and thrown away.
#[derive(Clone)]
pub struct OutputLines {}

/// The last 64 KiB of standard error of one life.
#[derive(Clone)]
pub struct Tail {}

// === impl OutputLines ===

impl OutputLines {
    /// The next line; `None` when the group is gone and all lines have been read. Cancel-safe.
    pub async fn next(&self) -> Option<Line> {
        unimplemented!()
    }

    /// How many lines have been thrown away so far because nobody read them in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        unimplemented!()
    }
}

impl fmt::Debug for OutputLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputLines").finish_non_exhaustive()
    }
}

// === impl Tail ===

impl Tail {
    /// All of it, escaped like a [`Line`] but with its newlines.
    #[must_use]
    pub fn text(&self) -> String {
        unimplemented!()
    }

    /// The last `count` lines that are not blank, oldest first, escaped.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let _ = count;
        unimplemented!()
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").finish_non_exhaustive()
    }
}
