//! A fallback's answer as a stream of OpenAI's chunks, and whether it ended whole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;

use super::http::{Body, Chunk};
use super::ollama::Translation;
use super::openai::Events;
use super::target::Slot;
use crate::{Code, Refusal};

/// One answer. Dropping it closes the connection, and the fallback stops generating.
#[derive(Debug)]
pub struct Answer {
    model: Arc<str>,
    body: Body,
    reader: Reader,
    slot: Slot,
    silence: Duration,
    ready: VecDeque<Bytes>,
    end: Option<Result<(), Refusal>>,
}

/// What comes next of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// One data event: the JSON of a chunk, without `data:`.
    Event(Bytes),
    /// It is over, and whole: every choice has its finish reason, and the fallback said that this was all.
    Whole,
    /// It broke off. What was sent so far is no answer.
    Broken(Refusal),
}

/// Which words the fallback speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Ollama's lines of JSON for a chat.
    OllamaChat,
    /// Ollama's lines of JSON for a completion.
    OllamaText,
    /// OpenAI's own events.
    OpenAi,
}

#[derive(Debug)]
enum Reader {
    Ollama(Translation),
    OpenAi(Events),
}

/// What reading has come to.
pub(super) enum Step {
    /// More is to come.
    More,
    /// The last event has been read.
    Whole,
}

// === impl Answer ===

impl Answer {
    pub(super) fn new(dialect: Dialect, model: Arc<str>, body: Body, slot: Slot, silence: Duration) -> Self {
        let reader = match dialect {
            Dialect::OllamaChat | Dialect::OllamaText => {
                Reader::Ollama(Translation::new(dialect, Arc::clone(&model), super::reading::Stamp::now()))
            }
            Dialect::OpenAi => Reader::OpenAi(Events::default()),
        };
        Self { model, body, reader, slot, silence, ready: VecDeque::new(), end: None }
    }

    /// The model that answers, by its name at the fallback.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The next event, or how it ended; after the end, the end again.
    ///
    /// Cancel safe: what is dropped before it resolves has taken nothing.
    pub async fn next(&mut self) -> Next {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Next::Event(event);
            }
            match &self.end {
                Some(Ok(())) => return Next::Whole,
                Some(Err(refusal)) => return Next::Broken(refusal.clone()),
                None => self.read().await,
            }
        }
    }

    /// The same as a stream: events, then nothing if it was whole, or one error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Refusal>> + Send {
        futures_util::stream::unfold(Some(self), |answer| async move {
            let mut answer = answer?;
            match answer.next().await {
                Next::Event(event) => Some((Ok(event), Some(answer))),
                Next::Whole => None,
                Next::Broken(refusal) => Some((Err(refusal), None)),
            }
        })
    }

    /// Reads until there is an event or the end, so that a fallback's error before its first word can still be a status.
    pub(super) async fn begin(&mut self) -> Result<(), Refusal> {
        while self.ready.is_empty() {
            match &self.end {
                None => self.read().await,
                Some(Ok(())) => break,
                Some(Err(refusal)) => return Err(refusal.clone()),
            }
        }
        Ok(())
    }

    async fn read(&mut self) {
        let chunk = match tokio::time::timeout(self.silence, self.body.next()).await {
            Ok(chunk) => chunk,
            Err(_) => Chunk::Broken(silent(self.silence)),
        };
        let step = match chunk {
            Chunk::Bytes(bytes) => match &mut self.reader {
                Reader::Ollama(lines) => lines.take(&bytes, &mut self.ready),
                Reader::OpenAi(events) => events.take(&bytes, &mut self.ready),
            },
            Chunk::End => Err(cut()),
            Chunk::Broken(refusal) => Err(refusal),
        };
        match step {
            Ok(Step::More) => self.slot.heard(),
            Ok(Step::Whole) => {
                self.slot.succeeded();
                self.end = Some(Ok(()));
            }
            Err(refusal) => {
                self.slot.failed(&refusal);
                self.end = Some(Err(refusal));
            }
        }
    }
}

fn silent(silence: Duration) -> Refusal {
    let message = format!("The fallback has said nothing for {} s (fallback.timeout).", silence.as_secs_f64());
    Refusal::new(Code::UpstreamTimeout, message)
}

fn cut() -> Refusal {
    Refusal::new(Code::BadUpstreamResponse, "The fallback's answer broke off before its end.")
}
