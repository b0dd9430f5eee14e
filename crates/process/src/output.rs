//! What the child writes: always read, never trusted, bounded in memory.
//!
//! A pipe that is not read blocks its writer after 64 KiB, so the pipes are read whatever happens;
//! when nobody takes the lines, they are counted and thrown away instead. What is kept: at most
//! 1 MiB of lines that wait for a reader, and the last 64 KiB of standard error.
//!
//! The end of a pipe is not the end of the process (a server may close its output and serve on), and
//! the end of the process is not the end of the pipe (a grandchild may hold it): neither waits for
//! the other. After the exit, what is in the pipes is read for a short bounded time.

mod escape;
mod lines;
mod queue;
pub(crate) mod reader;
mod tail;

pub use self::escape::escape;
pub(crate) use self::escape::escape_short;
pub use self::queue::OutputLines;
pub use self::tail::Tail;

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
    /// The child wrote a newline here, or will write no more.
    Newline,
    /// The line was longer than 16 KiB; its next piece follows.
    Cut,
}
