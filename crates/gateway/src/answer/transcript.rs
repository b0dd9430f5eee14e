//! What one stream has said so far: whether it is whole, and what a client that was sent it has read.
//!
//! A server that is killed looks like one that has ended its answer: the connection is closed. So an answer is whole only if
//! each of its choices has said why it ends.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::chunk::{self, Chunk, Failure, Garbage, Mould, Reading, Token};

mod sent;

pub(in crate::answer) use sent::{Said, SentCall, SentChoice};
pub use sent::{Sent, Unfit};

/// How much of an answer is remembered, unless told otherwise. Beyond it the answer cannot be continued by another.
pub const REMEMBERED: usize = 4 * 1024 * 1024;

/// Reads one stream, event by event. What it has accepted counts as sent to the client.
#[derive(Debug)]
pub struct Transcript {
    sent: Sent,
    end: End,
    usage: Option<Box<RawValue>>,
    /// Of the last event that was read whole.
    mould: Option<Mould>,
}

/// What an event means for the answer.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// More of the answer: to be sent on as [`Chunk::event`].
    Chunk(Chunk<'a>),
    /// More of the answer, like the chunk before it but for one text: to be sent on as [`Transcript::event`].
    Token(Token<'a>),
    /// The server's own error: to be sent on, and then the answer is to be broken off.
    Failure(Failure),
    /// No chunk of an answer: the client is to be told an error, and then the answer is to be broken off.
    Garbage(Garbage),
    /// Something after the end. It is nobody's.
    Late,
}

/// What an answer is worth whose stream is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is all there.
    Whole,
    /// It is all there, but the server has not said so: `[DONE]` is to be added.
    WholeWithoutDone,
    /// It is a part of an answer, and must not pass for one.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// `[DONE]` has come.
    Done,
    /// What came was no answer.
    Spoilt,
}

// === impl Transcript ===

impl Transcript {
    /// Of an answer that a client will be sent as one of `model`. At most `remembered` bytes of it are remembered.
    #[must_use]
    pub fn new(model: impl Into<Arc<str>>, remembered: usize) -> Self {
        Self { sent: Sent::new(model.into(), remembered), end: End::Open, usage: None, mould: None }
    }

    /// Takes the data of an event, and reads only what is new in it if the chunk before it allows that.
    pub fn follow<'a>(&mut self, data: &'a [u8]) -> Verdict<'a> {
        if self.end == End::Open
            && let Some(token) = self.mould.as_ref().and_then(|mould| mould.read(data))
        {
            self.sent.add_token(&token);
            return Verdict::Token(token);
        }
        let verdict = self.take(data);
        self.mould = match &verdict {
            Verdict::Chunk(chunk) => Mould::of(chunk, self.sent.model()),
            Verdict::Token(_) | Verdict::Failure(_) | Verdict::Garbage(_) | Verdict::Late => None,
        };
        verdict
    }

    /// What the client is sent of a token that [`Transcript::follow`] has just read.
    #[must_use]
    pub fn event(&self, token: &Token<'_>) -> Bytes {
        self.mould.as_ref().map(|mould| mould.event(token)).unwrap_or_default()
    }

    /// Takes the data of an event, and reads all of it.
    pub fn take<'a>(&mut self, data: &'a [u8]) -> Verdict<'a> {
        if self.end != End::Open {
            return Verdict::Late;
        }
        match chunk::read(data) {
            Ok(Reading::Chunk(chunk)) => {
                self.sent.add(&chunk);
                if let Some(usage) = chunk.usage() {
                    self.usage = Some(usage.to_owned());
                }
                Verdict::Chunk(chunk)
            }
            Ok(Reading::Failure(failure)) => {
                self.end = End::Spoilt;
                Verdict::Failure(failure)
            }
            Err(garbage) => {
                self.end = End::Spoilt;
                Verdict::Garbage(garbage)
            }
        }
    }

    /// Takes note of `[DONE]`.
    pub fn done(&mut self) {
        if self.end == End::Open {
            self.end = End::Done;
        }
    }

    /// What the answer is worth if nothing more comes.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match (self.end, self.sent.is_finished()) {
            (End::Done, true) => Ending::Whole,
            (End::Open, true) => Ending::WholeWithoutDone,
            (End::Open | End::Done, false) | (End::Spoilt, _) => Ending::Cut,
        }
    }

    /// How many tokens it has taken, as the server's JSON.
    #[must_use]
    pub fn usage(&self) -> Option<&RawValue> {
        self.usage.as_deref()
    }

    /// The name under which the client is sent it.
    #[must_use]
    pub fn model(&self) -> &str {
        self.sent.model()
    }

    /// What the client has read, to have it continued by another stream.
    #[must_use]
    pub fn into_sent(self) -> Sent {
        self.sent
    }
}

#[cfg(test)]
mod tests;
