//! What a second generation adds to what was sent of the first, and whether it is the same.

use super::Mismatch;
use crate::answer::chunk::{Channel, Choice, Rest as Members};
use crate::answer::object::{Object, count};
use crate::answer::transcript::{Said, SentCall, SentChoice};

/// How much of what was sent of one choice has been met again.
#[derive(Debug)]
pub(super) struct Seen {
    texts: [usize; Channel::ALL.len()],
    /// Of each call that was sent: of its name, and of its arguments.
    calls: Vec<(usize, usize)>,
    /// Of each member of `logprobs` that was sent.
    logprobs: Vec<usize>,
    finish: Said,
}

/// What of a choice in a chunk is new.
#[derive(Debug)]
pub(super) struct Rest<'a> {
    pub(super) role: Said,
    pub(super) texts: [&'a str; Channel::ALL.len()],
    /// Of each piece of a call in the chunk.
    pub(super) calls: Vec<CallRest<'a>>,
    /// How many entries at the beginning of a member of `logprobs` have been sent.
    pub(super) entries: Vec<(Box<str>, usize)>,
    pub(super) finish: Said,
}

/// What of a piece of a call is new.
#[derive(Debug)]
pub(super) enum CallRest<'a> {
    /// All of it: the call is new.
    Whole,
    /// These pieces of its name and its arguments, which may be empty.
    Part { id: Said, name: &'a str, arguments: &'a str },
}

// === impl Seen ===

impl Seen {
    pub(super) fn of(sent: &SentChoice) -> Self {
        Self {
            texts: [0; Channel::ALL.len()],
            calls: vec![(0, 0); sent.calls.len()],
            logprobs: vec![0; sent.logprobs.len()],
            finish: Said::Not,
        }
    }

    /// Whether all that was sent has been met.
    pub(super) fn is_complete(&self, sent: &SentChoice) -> bool {
        let logprobs = self.logprobs.iter().zip(&sent.logprobs).all(|(seen, (_, sent))| seen == sent);
        self.texts_are_complete(sent) && logprobs && (sent.finish.is_none() || self.finish == Said::Already)
    }

    fn texts_are_complete(&self, sent: &SentChoice) -> bool {
        let texts = self.texts.iter().zip(&sent.texts).all(|(seen, sent)| *seen == sent.len());
        let whole = |((name, arguments), sent): (&(usize, usize), &SentCall)| {
            *name == sent.name.len() && *arguments == sent.arguments.len()
        };
        texts && self.calls.iter().zip(&sent.calls).all(whole)
    }

    /// Compares a choice of a chunk with what was sent.
    pub(super) fn meet<'a>(&mut self, sent: &SentChoice, choice: &'a Choice<'_>) -> Result<Rest<'a>, Mismatch> {
        let differs = Mismatch::Text { choice: sent.index };
        if choice.delta.as_ref().is_some_and(|delta| delta.rest == Members::Something) {
            return Err(Mismatch::Unknown);
        }
        let mut texts = choice.texts();
        for ((text, seen), sent) in texts.iter_mut().zip(&mut self.texts).zip(&sent.texts) {
            *text = advance(seen, sent, text).ok_or(differs)?;
        }
        let mut calls = Vec::with_capacity(choice.calls().len());
        for piece in choice.calls() {
            calls.push(match sent.calls.iter().position(|call| call.index == piece.index()) {
                Some(at) => {
                    let ((name, arguments), seen, sent) = (piece.texts(), &mut self.calls[at], &sent.calls[at]);
                    let name = advance(&mut seen.0, &sent.name, name).ok_or(differs)?;
                    let arguments = advance(&mut seen.1, &sent.arguments, arguments).ok_or(differs)?;
                    CallRest::Part { id: sent.id, name, arguments }
                }
                None => CallRest::Whole,
            });
        }
        let entries = self.meet_logprobs(sent, choice)?;
        let rest = Rest { role: sent.role, texts, calls, entries, finish: self.meet_finish(sent, choice)? };
        if sent.finish.is_some() && rest.has_text() { Err(differs) } else { Ok(rest) }
    }

    fn meet_logprobs(&mut self, sent: &SentChoice, choice: &Choice<'_>) -> Result<Vec<(Box<str>, usize)>, Mismatch> {
        let Some(logprobs) = choice.logprobs else { return Ok(Vec::new()) };
        let members = Object::read(logprobs.get()).map_err(|_| Mismatch::Unknown)?.0;
        let mut known = Vec::new();
        for (name, entries) in &members {
            let at = sent.logprobs.iter().position(|(known, _)| **known == **name);
            if let (Some(at), Some(entries)) = (at, count(entries)) {
                let old = entries.min(sent.logprobs[at].1 - self.logprobs[at]);
                self.logprobs[at] += old;
                known.push((Box::from(&**name), old));
            }
        }
        Ok(known)
    }

    fn meet_finish(&mut self, sent: &SentChoice, choice: &Choice<'_>) -> Result<Said, Mismatch> {
        let Some(finish) = &choice.finish_reason else { return Ok(Said::Not) };
        let differs = Err(Mismatch::Finish { choice: sent.index });
        self.finish = Said::Already;
        match &sent.finish {
            _ if !self.texts_are_complete(sent) => differs,
            None => Ok(Said::Not),
            Some(sent) if **sent == **finish => Ok(Said::Already),
            Some(_) => differs,
        }
    }
}

/// Goes on by `text` in what was sent, and answers what of `text` lies beyond it; nothing if it says something else.
fn advance<'a>(seen: &mut usize, sent: &str, text: &'a str) -> Option<&'a str> {
    let expected = sent.get(*seen..)?;
    if expected.len() >= text.len() {
        *seen += text.len();
        return expected.starts_with(text).then_some("");
    }
    *seen = sent.len();
    text.strip_prefix(expected)
}

// === impl Rest ===

impl Rest<'_> {
    /// Whether some text or call is new.
    pub(super) fn has_text(&self) -> bool {
        let new = |call: &CallRest<'_>| match call {
            CallRest::Whole => true,
            CallRest::Part { name, arguments, .. } => !name.is_empty() || !arguments.is_empty(),
        };
        self.texts.iter().any(|text| !text.is_empty()) || self.calls.iter().any(new)
    }
}
