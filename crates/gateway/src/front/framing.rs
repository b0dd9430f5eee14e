//! Where a request begins and ends, and whether it says so in the one way that leaves no doubt.
//!
//! The machine reads the bytes of a connection before the HTTP library does, and lets through only what every reader of HTTP
//! understands alike. It is stricter than the standard wherever leniency has been an attack: no bare line ends, no folded
//! fields, no two lengths, no chunk extensions, no trailers, no other form of target than a path.
//!
//! ```text
//!          ┌── no body ───────────────────────────────────────┐
//! Head ────┼── Content-Length ───▶ Length(n) ─── n bytes ─────┼──▶ Over ── next() ──▶ Head
//!          └── chunked ──────────▶ Chunked ──── last chunk ───┴──▶ Spent: nothing more is read
//! ```
//!
//! What it says depends on the bytes only, not on how they were cut into pieces on their way.

use super::config::Limits;
use crate::{Code, Refusal};

mod chunks;
mod head;

use chunks::Chunks;
use head::Head;

/// Reads one connection.
#[derive(Debug)]
pub(crate) struct Framing {
    bytes: usize,
    fields: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Head(Head),
    Length(u64),
    Chunked(Chunks),
    Over,
    Spent,
}

/// What becomes of the bytes that were shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The head of a request is complete: so many bytes.
    Head(usize),
    /// So many bytes are proper.
    Body(usize),
    /// Nothing can be said without more bytes. What was shown must be shown again, with more behind it.
    More,
    /// The request is over. What was shown belongs to the next one, if [`Framing::next`] lets it.
    Over,
    /// This is no proper request. Nothing more is to be read.
    Refuse(Refusal),
}

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// So many bytes; without a body, none.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Whether another request may follow on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It may.
    Allowed,
    /// What follows is not read.
    Never,
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A head.
    Head,
    /// A body, or what follows a request.
    Body,
}

// === impl Framing ===

impl Framing {
    /// The library that reads behind us takes no more than these.
    const BYTES_MAX: usize = 64 << 10;
    const FIELDS_MAX: usize = 100;

    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            bytes: limits.head_bytes.min(Self::BYTES_MAX),
            fields: limits.head_fields.min(Self::FIELDS_MAX),
            stage: Stage::Head(Head::default()),
        }
    }

    /// Judges the bytes that have come and were not let through yet.
    pub(crate) fn judge(&mut self, input: &[u8]) -> Verdict {
        match &mut self.stage {
            Stage::Head(head) => match head.read(input, self.bytes, self.fields) {
                Ok(Some((length, extent))) => {
                    self.stage = match extent {
                        Extent::Length(0) => Stage::Over,
                        Extent::Length(length) => Stage::Length(length),
                        Extent::Chunked => Stage::Chunked(Chunks::default()),
                    };
                    Verdict::Head(length)
                }
                Ok(None) => Verdict::More,
                Err(refusal) => self.refuse(refusal),
            },
            Stage::Length(_) | Stage::Chunked(_) if input.is_empty() => Verdict::More,
            Stage::Length(left) => {
                let here = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= here as u64;
                if *left == 0 {
                    self.stage = Stage::Over;
                }
                Verdict::Body(here)
            }
            Stage::Chunked(chunks) => {
                let proper = chunks.read(input);
                if chunks.is_over() {
                    self.stage = Stage::Spent;
                } else if proper == 0 {
                    return self.refuse(chunks::refusal());
                }
                Verdict::Body(proper)
            }
            Stage::Over | Stage::Spent => Verdict::Over,
        }
    }

    /// Goes on to the next request, after [`Verdict::Over`] and once the last one is answered.
    pub(crate) fn next(&mut self) -> Next {
        match self.stage {
            Stage::Over => {
                self.stage = Stage::Head(Head::default());
                Next::Allowed
            }
            Stage::Spent => Next::Never,
            Stage::Head(_) | Stage::Length(_) | Stage::Chunked(_) => Next::Never,
        }
    }

    /// What is being read.
    pub(crate) const fn part(&self) -> Part {
        match self.stage {
            Stage::Head(_) => Part::Head,
            Stage::Length(_) | Stage::Chunked(_) | Stage::Over | Stage::Spent => Part::Body,
        }
    }

    /// Reads nothing more: the request that is being read is refused for another reason.
    pub(crate) fn abandon(&mut self) {
        self.stage = Stage::Spent;
    }

    fn refuse(&mut self, refusal: Refusal) -> Verdict {
        self.abandon();
        Verdict::Refuse(refusal)
    }
}

/// A 400 after which the connection is of no use.
fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::MalformedRequest, message).close()
}

#[cfg(test)]
#[path = "framing/tests.rs"]
mod tests;
