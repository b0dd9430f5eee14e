//! The events of a running mlx-tree, read from its stream.

use std::time::Duration;

use mlx_tree_api::Event;
use reqwest::Response;
use serde::Deserialize;
use tokio::time::timeout;

use super::ClientError;

/// The server says something every 15 s. One that says nothing for so long hangs, or is gone without a word.
const SILENCE: Duration = Duration::from_secs(45);

/// An event is far smaller. What is longer is none of ours.
const LONGEST: usize = 1 << 20;

/// Where a reader is: the number of the last event that it knows, and the run of mlx-tree that told it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    seq: u64,
    run: Option<String>,
}

/// What a reader of the events is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// It happened.
    Event(Box<Event>),
    /// So many events are remembered no more, or were too many at once.
    Lost(u64),
    /// Another mlx-tree answers than the one that told the events so far: what follows are its events, from its beginning.
    Restarted,
}

/// A stream of events. Dropping it closes it.
#[derive(Debug)]
pub struct Events {
    answer: Response,
    url: String,
    unread: Vec<u8>,
    position: Position,
}

/// What a field of the stream says.
#[derive(Debug, Default)]
struct Message {
    name: String,
    data: String,
}

#[derive(Deserialize)]
struct Hello {
    run: String,
}

#[derive(Deserialize)]
struct Lost {
    count: u64,
}

// === impl Position ===

impl Position {
    pub(super) fn query(&self) -> String {
        match &self.run {
            Some(run) => format!("after={}&run={run}", self.seq),
            None => format!("after={}", self.seq),
        }
    }
}

impl From<u64> for Position {
    /// After the event with that number, of whatever run answers.
    fn from(seq: u64) -> Self {
        Self { seq, run: None }
    }
}

// === impl Events ===

impl Events {
    pub(super) fn new(answer: Response, url: String) -> Self {
        Self { answer, url, unread: Vec::new(), position: Position::default() }
    }

    /// What is told next. `None` when the stream has ended, because mlx-tree has, or because it hangs. Safe to drop before it
    /// resolves.
    ///
    /// # Errors
    /// When what is told cannot be understood.
    pub async fn next(&mut self) -> Result<Option<Heard>, ClientError> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(heard) = self.understand(&Message::of(&String::from_utf8_lossy(&block)))? {
                    return Ok(Some(heard));
                }
            }
            match timeout(SILENCE, self.answer.chunk()).await {
                Ok(Ok(Some(chunk))) if self.unread.len() + chunk.len() <= LONGEST => {
                    self.unread.extend_from_slice(&chunk);
                }
                // Too long, ended, cut off, or silent: each is the end of this stream.
                Ok(Ok(Some(_) | None) | Err(_)) | Err(_) => return Ok(None),
            }
        }
    }

    /// Where this reader is, to go on from in another stream.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position.clone()
    }

    fn understand(&mut self, message: &Message) -> Result<Option<Heard>, ClientError> {
        let garbled = |source| ClientError::Garbled { url: self.url.clone(), source };
        Ok(match message.name.as_str() {
            "" => None,
            "hello" => {
                let hello: Hello = serde_json::from_str(&message.data).map_err(garbled)?;
                self.position.run = Some(hello.run);
                None
            }
            "restarted" => Some(Heard::Restarted),
            "lost" => {
                let lost: Lost = serde_json::from_str(&message.data).map_err(garbled)?;
                Some(Heard::Lost(lost.count))
            }
            _ => {
                let event: Box<Event> = serde_json::from_str(&message.data).map_err(garbled)?;
                self.position.seq = event.seq;
                Some(Heard::Event(event))
            }
        })
    }
}

// === impl Message ===

impl Message {
    fn of(block: &str) -> Self {
        let mut message = Self::default();
        for line in block.lines() {
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut message.name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                data.clone_into(&mut message.data);
            }
        }
        message
    }
}
