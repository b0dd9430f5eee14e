//! Assembles the chunks of a streamed answer to the plain answer that the server itself would have given.
//!
//! Servers are always asked for a stream, because one that is asked for a plain answer is silent until it has it and works on
//! when the client has left. The members of the answer keep the order that they have in the chunks, and numbers keep their
//! digits.

use bytes::Bytes;

use super::chunk::{CHOICES_MAX, Token};
use super::object::{Object, Writer, array, elements};

mod parts;

use parts::{Part, Parts, Place};

/// How large an answer is assembled, unless told otherwise.
pub const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `chat.completion`.
    Chat,
    /// `text_completion`.
    Completion,
}

/// Why there is no plain answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Not all of it has come.
    #[error("the stream ended before the answer was whole")]
    Incomplete,
    /// It is too large.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// There is something in it that is no part of an answer.
    #[error("the stream has something in it that is no part of an answer")]
    Garbage,
}

/// A plain answer in the making.
#[derive(Debug)]
pub struct Assembly {
    kind: Kind,
    limit: usize,
    room: usize,
    head: Parts,
    choices: Vec<(usize, Parts)>,
}

// === impl Assembly ===

impl Assembly {
    /// Nothing yet, of an answer that will have at most about `limit` bytes.
    #[must_use]
    pub fn new(kind: Kind, limit: usize) -> Self {
        Self { kind, limit, room: limit, head: Parts::default(), choices: Vec::new() }
    }

    /// Adds the data of an event.
    ///
    /// # Errors
    ///
    /// There will be no answer: it is no part of one, or too much.
    pub fn take(&mut self, data: &[u8]) -> Result<(), NoAnswer> {
        self.room = self.room.checked_sub(data.len()).ok_or(NoAnswer::TooLarge { limit: self.limit })?;
        let data = std::str::from_utf8(data).map_err(|_| NoAnswer::Garbage)?;
        let chunk = Object::read(data).map_err(|_| NoAnswer::Garbage)?;
        for (name, value) in chunk.0 {
            if name != "choices" {
                self.head.add(Place::Head, &name, value).map_err(|_| NoAnswer::Garbage)?;
                continue;
            }
            self.head.place_for(&name).map_err(|_| NoAnswer::Garbage)?;
            for choice in elements(value).ok_or(NoAnswer::Garbage)? {
                self.choice(choice.get())?;
            }
        }
        Ok(())
    }

    /// Adds what is new in the data of an event, of so many bytes, that is otherwise like the last one.
    ///
    /// # Errors
    ///
    /// As [`Assembly::take`].
    pub fn take_token(&mut self, bytes: usize, token: &Token<'_>) -> Result<(), NoAnswer> {
        self.room = self.room.checked_sub(bytes).ok_or(NoAnswer::TooLarge { limit: self.limit })?;
        let choice = self.choices.iter_mut().find(|(index, _)| *index == token.choice);
        let text = choice.and_then(|(_, parts)| parts.text_mut(token.channel)).ok_or(NoAnswer::Garbage)?;
        text.push_str(&token.text);
        Ok(())
    }

    fn choice(&mut self, json: &str) -> Result<(), NoAnswer> {
        let members = Object::read(json).map_err(|_| NoAnswer::Garbage)?;
        let index = members.0.iter().find(|(name, _)| name == "index").map_or(Ok(0), |(_, index)| index.get().parse());
        let index: usize = index.map_err(|_| NoAnswer::Garbage)?;
        let at = self.choices.iter().position(|(known, _)| *known == index);
        let at = match at {
            Some(at) => at,
            None if self.choices.len() == CHOICES_MAX => return Err(NoAnswer::Garbage),
            None => {
                self.choices.push((index, Parts::default()));
                self.choices.len() - 1
            }
        };
        for (name, value) in members.0 {
            self.choices[at].1.add(Place::Choice, &name, value).map_err(|_| NoAnswer::Garbage)?;
        }
        Ok(())
    }

    /// The plain answer, as one of `model`. Whether the stream was whole is for its transcript to say.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::Incomplete`]: there is no choice, or one that has not said why it ends.
    pub fn finish(mut self, model: &str) -> Result<Bytes, NoAnswer> {
        let is_over = |parts: &Parts| matches!(parts.get("finish_reason"), Some(Part::Value(_)));
        if self.choices.is_empty() || !self.choices.iter().all(|(_, parts)| is_over(parts)) {
            return Err(NoAnswer::Incomplete);
        }
        self.choices.sort_by_key(|(index, _)| *index);
        let choices = array(self.choices.iter().map(|(_, parts)| parts.choice(self.kind)));
        let mut out = Writer::new();
        for (name, part) in self.head.members() {
            match name {
                "choices" => out.member(name, &choices),
                "model" => out.member(name, &super::chunk::quoted(model)),
                "object" => out.member(name, self.kind.object()),
                "usage" => {}
                _ => out.member(name, &part.json()),
            }
        }
        // Last, where every known server has it.
        if let Some(usage @ Part::Value(_)) = self.head.get("usage") {
            out.member("usage", &usage.json());
        }
        Ok(out.end().into())
    }
}

// === impl Kind ===

impl Kind {
    const fn object(self) -> &'static str {
        match self {
            Self::Chat => "\"chat.completion\"",
            Self::Completion => "\"text_completion\"",
        }
    }
}

#[cfg(test)]
mod tests;
