//! What a client has read of an answer, as compactly as it can be compared with another generation of it.

use std::sync::Arc;

use crate::answer::chunk::{Channel, Choice, Chunk, Label, Rest, Token, ToolCall};
use crate::answer::object::{Object, count};

/// More calls in one answer than any model makes.
const CALLS_MAX: usize = 256;

/// More members than `logprobs` has anywhere.
const LOGPROBS_MAX: usize = 16;

/// What an entry costs beside its texts.
const ENTRY: usize = 128;

/// What a client has read.
#[derive(Debug)]
pub struct Sent {
    model: Arc<str>,
    label: Option<Label>,
    choices: Vec<SentChoice>,
    /// How many bytes may still be remembered.
    room: usize,
    fit: Result<(), Unfit>,
}

/// Why another generation cannot be compared with what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It was more than is remembered.
    #[error("more was sent than is remembered")]
    TooLong,
    /// There was something in it that is not known here.
    #[error("what was sent has members that cannot be compared")]
    Unknown,
}

/// What a client has read of one choice.
#[derive(Debug, Default)]
pub(in crate::answer) struct SentChoice {
    pub(in crate::answer) index: usize,
    pub(in crate::answer) role: Said,
    pub(in crate::answer) texts: [String; Channel::ALL.len()],
    pub(in crate::answer) calls: Vec<SentCall>,
    /// How many entries each member of `logprobs` has had.
    pub(in crate::answer) logprobs: Vec<(Box<str>, usize)>,
    pub(in crate::answer) finish: Option<Box<str>>,
}

/// What a client has read of a tool call.
#[derive(Debug, Default)]
pub(in crate::answer) struct SentCall {
    pub(in crate::answer) index: usize,
    pub(in crate::answer) id: Said,
    pub(in crate::answer) name: String,
    pub(in crate::answer) arguments: String,
}

/// Whether something has been said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::answer) enum Said {
    #[default]
    Not,
    Already,
}

// === impl Sent ===

impl Sent {
    pub(super) fn new(model: Arc<str>, room: usize) -> Self {
        Self { model, label: None, choices: Vec::new(), room, fit: Ok(()) }
    }

    /// The name under which the client knows the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether each choice has said why it ends.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some())
    }

    /// Whether another generation can be compared with it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub const fn fit(&self) -> Result<(), Unfit> {
        self.fit
    }

    /// What marks the chunks of this answer; nothing if nothing was sent.
    pub(in crate::answer) const fn label(&self) -> Option<&Label> {
        self.label.as_ref()
    }

    pub(in crate::answer) fn choices(&self) -> &[SentChoice] {
        &self.choices
    }

    pub(super) fn add(&mut self, chunk: &Chunk<'_>) {
        if self.label.is_none() {
            self.label = Some(Label::of(chunk, &self.model));
        }
        for choice in chunk.choices() {
            let at = self.choice(choice.index());
            if let Some(finish) = &choice.finish_reason {
                self.choices[at].finish.get_or_insert_with(|| (**finish).into());
            }
            if self.fit.is_ok() {
                self.fit = self.remember(at, choice);
            }
            if self.fit.is_err() {
                self.forget();
            }
        }
    }

    /// Adds what is new in a chunk that is otherwise like the last one.
    pub(super) fn add_token(&mut self, token: &Token<'_>) {
        if self.fit.is_err() {
            return;
        }
        let at = self.choice(token.choice);
        self.fit = take(&mut self.room, token.text.len());
        match self.fit {
            Ok(()) => self.choices[at].texts[token.channel as usize].push_str(&token.text),
            Err(_) => self.forget(),
        }
    }

    /// Where the choice with this index is.
    fn choice(&mut self, index: usize) -> usize {
        let at = self.choices.iter().position(|choice| choice.index == index);
        at.unwrap_or_else(|| {
            self.choices.push(SentChoice { index, ..SentChoice::default() });
            self.choices.len() - 1
        })
    }

    fn remember(&mut self, at: usize, choice: &Choice<'_>) -> Result<(), Unfit> {
        let sent = &mut self.choices[at];
        if let Some(delta) = &choice.delta {
            if delta.rest == Rest::Something {
                return Err(Unfit::Unknown);
            }
            if delta.role.is_some() {
                sent.role = Said::Already;
            }
        }
        for (text, more) in sent.texts.iter_mut().zip(choice.texts()) {
            take(&mut self.room, more.len())?;
            text.push_str(more);
        }
        for call in choice.calls() {
            sent.call(call, &mut self.room)?;
        }
        if let Some(logprobs) = choice.logprobs {
            let logprobs = Object::read(logprobs.get()).map_err(|_| Unfit::Unknown)?;
            for (name, entries) in logprobs.0 {
                let Some(entries) = count(entries) else { continue };
                match sent.logprobs.iter().position(|(known, _)| **known == *name) {
                    Some(at) => sent.logprobs[at].1 += entries,
                    None if sent.logprobs.len() == LOGPROBS_MAX => return Err(Unfit::Unknown),
                    None => {
                        take(&mut self.room, name.len() + ENTRY)?;
                        sent.logprobs.push((name.into(), entries));
                    }
                }
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        for choice in &mut self.choices {
            choice.texts = Default::default();
            choice.calls = Vec::new();
            choice.logprobs = Vec::new();
        }
    }
}

fn take(room: &mut usize, bytes: usize) -> Result<(), Unfit> {
    *room = room.checked_sub(bytes).ok_or(Unfit::TooLong)?;
    Ok(())
}

// === impl SentChoice ===

impl SentChoice {
    fn call(&mut self, piece: &ToolCall<'_>, room: &mut usize) -> Result<(), Unfit> {
        let (name, arguments) = piece.texts();
        take(room, name.len() + arguments.len())?;
        let index = piece.index();
        let at = match self.calls.iter().position(|call| call.index == index) {
            Some(at) => at,
            None if self.calls.len() == CALLS_MAX => return Err(Unfit::TooLong),
            None => {
                take(room, ENTRY)?;
                self.calls.push(SentCall { index, ..SentCall::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if piece.id.is_some() {
            call.id = Said::Already;
        }
        call.name.push_str(name);
        call.arguments.push_str(arguments);
        Ok(())
    }
}
