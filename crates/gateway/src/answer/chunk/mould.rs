//! What a chunk has in common with the one before it: mostly everything but one text.
//!
//! ```text
//! {"id":"x","created":1,"model":"m","choices":[{"index":0,"delta":{"content": "Once" },"finish_reason":null}]}
//! └────────────────────────────── before ────────────────────────────────────┘└ text ┘└──────── after ───────┘
//! ```
//!
//! What stands before and after is compared byte by byte with a chunk that has been read whole, and the text between is read as
//! the one string of JSON that it has to be. So a chunk that fits is a chunk, and says what the other said but for its text. One
//! that does not is read like the first.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Channel, Chunk, Rest, Text};

/// A chunk without its text.
#[derive(Debug)]
pub struct Mould {
    before: Box<str>,
    after: Box<str>,
    choice: usize,
    channel: Channel,
    /// What the client is sent before and after the text.
    event: [Box<[u8]>; 2],
}

/// A chunk that fits: a piece of one text, and nothing else that is new.
#[derive(Debug)]
pub struct Token<'a> {
    /// Of which choice.
    pub choice: usize,
    /// Of which of its texts.
    pub channel: Channel,
    /// What it adds.
    pub text: Text<'a>,
    /// The same as JSON.
    json: &'a str,
}

// === impl Mould ===

impl Mould {
    /// The mould of a chunk that adds to one text of one choice, and to nothing else; none of any other. The client knows the
    /// model as `model`.
    #[must_use]
    pub fn of(chunk: &Chunk<'_>, model: &str) -> Option<Self> {
        let [choice] = chunk.choices() else { return None };
        let rest = choice.delta.as_ref().map_or(Rest::Nothing, |delta| delta.rest);
        let more = chunk.usage().is_some() || choice.finish_reason.is_some() || choice.logprobs.is_some();
        if more || !choice.calls().is_empty() || rest == Rest::Something {
            return None;
        }
        let mut said = Channel::ALL.into_iter().zip(choice.texts()).filter(|(_, text)| !text.is_empty());
        let (Some((channel, text)), None) = (said.next(), said.next()) else { return None };
        // One that had escapes does not stand in the chunk as it is.
        let place = chunk.place_of(text)?;
        // Its quotes belong to it.
        let (start, end) = (place.start.checked_sub(1)?, place.end + 1);
        let (before, after) = (chunk.data().get(..start)?, chunk.data().get(end..)?);
        let event = [chunk.part(0..start, model), chunk.part(end..chunk.data().len(), model)];
        Some(Self { before: before.into(), after: after.into(), choice: choice.index(), channel, event })
    }

    /// Reads the data of an event that differs in the text only; nothing of any other.
    #[must_use]
    pub fn read<'a>(&self, data: &'a [u8]) -> Option<Token<'a>> {
        let json = data.strip_prefix(self.before.as_bytes())?.strip_suffix(self.after.as_bytes())?;
        let json = std::str::from_utf8(json).ok()?;
        let text = serde_json::from_str(json).ok()?;
        Some(Token { choice: self.choice, channel: self.channel, text, json })
    }

    /// What the client is sent of a chunk that fits: what [`Chunk::event`] would be.
    #[must_use]
    pub fn event(&self, token: &Token<'_>) -> Bytes {
        let [before, after] = &self.event;
        let mut event = BytesMut::with_capacity(before.len() + token.json.len() + after.len() + 8);
        event.put_slice(b"data: ");
        event.put_slice(before);
        super::put_on_one_line(&mut event, token.json);
        event.put_slice(after);
        event.put_slice(b"\n\n");
        event.freeze()
    }
}

#[cfg(test)]
mod tests;
