//! Continues an answer that was cut by another generation of the same, if that says the same.
//!
//! ```text
//! sent to the client      Once upon a ti│
//! generated once more     Once │ upon a │time there
//!                         ────────────── swallowed
//!                                       ──────────── emitted: "me there", and all that follows
//! ```
//!
//! Texts are compared, not chunks: the second generation may be cut up otherwise. Nothing of it is emitted before all that was
//! sent has been met again, in every text of every choice; on the first difference nothing of it ever is. Ids are made anew
//! by each generation, so they are not compared, and the client goes on seeing the first ones.

use bytes::Bytes;

use super::chunk::Chunk;
use super::transcript::{Sent, Unfit};

mod compare;
mod rewrite;

use compare::Seen;

/// How much is held back while one choice is ahead of another that has not caught up.
const HELD_MAX: usize = 1024 * 1024;

/// How a cut answer can be made whole.
#[derive(Debug)]
pub enum Plan {
    /// The client has all of it: `[DONE]` is to be sent and nothing else.
    Finish,
    /// It is to be generated again and fed to this.
    Regenerate(Box<Resume>),
    /// It cannot: the client is to be told an error.
    Impossible(Unfit),
}

/// Compares a second generation with what was sent of the first, and lets through what is new.
#[derive(Debug)]
pub struct Resume {
    sent: Sent,
    seen: Vec<Seen>,
    held: Vec<Bytes>,
    held_bytes: usize,
    phase: Phase,
}

/// What becomes of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The client has it, or is not to have it yet.
    Swallowed,
    /// To be sent, in this order; as written, with `data: `. It bears the marks of the first generation.
    Emit(Vec<Bytes>),
    /// It is another answer. The client is to be told an error; nothing of this generation has been emitted.
    Mismatch(Mismatch),
}

/// How a second generation differs from what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// In a text or a call.
    #[error("choice {choice} of the second generation says something else")]
    Text {
        /// Which choice.
        choice: usize,
    },
    /// It ends where the first went on, or for another reason.
    #[error("choice {choice} of the second generation ends otherwise")]
    Finish {
        /// Which choice.
        choice: usize,
    },
    /// The stream ended before all that was sent had been met again.
    #[error("the second generation is shorter than what was sent of the first")]
    Short,
    /// There is something in it that cannot be compared.
    #[error("the second generation has members that cannot be compared")]
    Unknown,
    /// One of its choices ran too far ahead of another.
    #[error("one choice of the second generation runs more than {HELD_MAX} bytes ahead of another")]
    Ahead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Catching,
    Passing,
    Failed(Mismatch),
}

// === impl Sent ===

impl Sent {
    /// How this answer can be made whole.
    #[must_use]
    pub fn plan(self) -> Plan {
        if self.is_finished() {
            return Plan::Finish;
        }
        match self.fit() {
            Ok(()) => Plan::Regenerate(Box::new(Resume::new(self))),
            Err(why) => Plan::Impossible(why),
        }
    }
}

// === impl Resume ===

impl Resume {
    fn new(sent: Sent) -> Self {
        let seen = sent.choices().iter().map(Seen::of).collect();
        Self { sent, seen, held: Vec::new(), held_bytes: 0, phase: Phase::Catching }
    }

    /// Takes a chunk of the second generation.
    pub fn take(&mut self, chunk: &Chunk<'_>) -> Step {
        match self.phase {
            Phase::Failed(why) => Step::Mismatch(why),
            Phase::Passing => Step::Emit(vec![self.marked(chunk)]),
            Phase::Catching => match self.catch_up(chunk) {
                Ok(emit) if emit.is_empty() => Step::Swallowed,
                Ok(emit) => Step::Emit(emit),
                Err(why) => {
                    self.phase = Phase::Failed(why);
                    self.held = Vec::new();
                    Step::Mismatch(why)
                }
            },
        }
    }

    /// Takes note that the stream of the second generation is over.
    ///
    /// # Errors
    ///
    /// It was over before all that was sent had been met again.
    pub const fn end(&self) -> Result<(), Mismatch> {
        match self.phase {
            Phase::Passing => Ok(()),
            Phase::Catching => Err(Mismatch::Short),
            Phase::Failed(why) => Err(why),
        }
    }

    fn catch_up(&mut self, chunk: &Chunk<'_>) -> Result<Vec<Bytes>, Mismatch> {
        let mut rests = Vec::with_capacity(chunk.choices().len());
        for choice in chunk.choices() {
            let at = self.sent.choices().iter().position(|sent| sent.index == choice.index());
            rests.push(match at {
                Some(at) => Some(self.seen[at].meet(&self.sent.choices()[at], choice)?),
                None => None,
            });
        }
        if let Some(event) = rewrite::rest(chunk, &rests, self.sent.label(), self.sent.model())? {
            self.held_bytes += event.len();
            self.held.push(event);
        }
        let met = self.sent.choices().iter().zip(&self.seen).all(|(sent, seen)| seen.is_complete(sent));
        if met {
            self.phase = Phase::Passing;
            return Ok(std::mem::take(&mut self.held));
        }
        if self.held_bytes > HELD_MAX { Err(Mismatch::Ahead) } else { Ok(Vec::new()) }
    }

    fn marked(&self, chunk: &Chunk<'_>) -> Bytes {
        match self.sent.label() {
            Some(label) => chunk.event_of(label),
            None => chunk.event(self.sent.model()),
        }
    }
}

#[cfg(test)]
mod tests;
