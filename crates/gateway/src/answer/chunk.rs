//! One data event: a chunk of an answer as OpenAI has it, read once, with its texts borrowed from the event.

use std::ops::Range;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

mod failure;
mod fields;
mod mould;

pub use failure::Failure;
pub use fields::{Channel, Choice, Delta, Function, Rest, Text, ToolCall};
pub use mould::{Mould, Token};

/// More choices than any server gives: what says so is no chunk.
pub const CHOICES_MAX: usize = 128;

/// A chunk. What mlx-tree does not look at stays in [`Chunk::data`], which is what clients are sent.
#[derive(Debug)]
pub struct Chunk<'a> {
    data: &'a str,
    fields: Fields<'a>,
}

/// The marks by which a client sees that chunks belong to one answer.
#[derive(Debug, Clone)]
pub struct Label {
    id: Option<Box<RawValue>>,
    created: Option<Box<RawValue>>,
    model: Box<str>,
}

/// What one event says.
#[derive(Debug)]
pub enum Reading<'a> {
    /// More of the answer.
    Chunk(Chunk<'a>),
    /// The server says that it has failed.
    Failure(Failure),
}

/// What is neither a chunk nor an error.
#[derive(Debug, thiserror::Error)]
pub enum Garbage {
    /// No UTF-8.
    #[error("an event of the stream is not UTF-8")]
    Encoding(#[from] std::str::Utf8Error),
    /// Not JSON, or not the types that a chunk has.
    #[error("an event of the stream is no chunk of an answer")]
    Shape(#[from] serde_json::Error),
    /// An object that has nothing of a chunk.
    #[error("an event of the stream has neither choices nor usage")]
    Empty,
    /// More choices than [`CHOICES_MAX`].
    #[error("an event of the stream has more than {CHOICES_MAX} choices")]
    Choices,
}

#[derive(Debug, Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// Reads an event. It costs one pass over its bytes beside the check that they are UTF-8.
///
/// # Errors
///
/// What it is if it is neither a chunk nor an error.
pub fn read(data: &[u8]) -> Result<Reading<'_>, Garbage> {
    let data = std::str::from_utf8(data)?;
    let fields: Fields<'_> = serde_json::from_str(data)?;
    // An array with the right members in the right order would do for serde.
    if !data.trim_start().starts_with('{') {
        return Err(Garbage::Empty);
    }
    if let Some(error) = fields.error {
        return Ok(Reading::Failure(Failure::read(error)));
    }
    if fields.object.is_some_and(|object| object.get() == "\"error\"") {
        return Ok(Reading::Failure(Failure::read(fields.message.unwrap_or(RawValue::NULL))));
    }
    let choices = fields.choices.as_deref().unwrap_or_default();
    if choices.len() > CHOICES_MAX || choices.iter().any(|choice| choice.index() >= CHOICES_MAX) {
        return Err(Garbage::Choices);
    }
    if fields.choices.is_none() && fields.usage.is_none() {
        return Err(Garbage::Empty);
    }
    Ok(Reading::Chunk(Chunk { data, fields }))
}

// === impl Chunk ===

impl<'a> Chunk<'a> {
    /// The event as the server sent it.
    #[must_use]
    pub const fn data(&self) -> &'a str {
        self.data
    }

    /// What it adds, choice by choice.
    #[must_use]
    pub fn choices(&self) -> &[Choice<'a>] {
        self.fields.choices.as_deref().unwrap_or_default()
    }

    /// How many tokens it has taken, as JSON.
    #[must_use]
    pub const fn usage(&self) -> Option<&'a RawValue> {
        self.fields.usage
    }

    /// The answer's id, as JSON.
    #[must_use]
    pub const fn id(&self) -> Option<&'a RawValue> {
        self.fields.id
    }

    /// When the answer was begun, as JSON.
    #[must_use]
    pub const fn created(&self) -> Option<&'a RawValue> {
        self.fields.created
    }

    /// Whether this is the chunk at the end that tells the usage and nothing else. It comes only if it was asked for, so a
    /// client that has not asked is not to see it.
    #[must_use]
    pub fn tells_usage_only(&self) -> bool {
        self.fields.usage.is_some() && self.choices().is_empty()
    }

    /// Whether it adds to what is said: about one token, as servers stream.
    #[must_use]
    pub fn says_something(&self) -> bool {
        let says =
            |choice: &Choice<'_>| choice.texts().iter().any(|text| !text.is_empty()) || !choice.calls().is_empty();
        self.choices().iter().any(says)
    }

    /// The event as a client is sent it: `data: {…}` with `model` in place of the server's name for it.
    #[must_use]
    pub fn event(&self, model: &str) -> Bytes {
        self.event_with([(self.fields.model, &quoted(model))])
    }

    /// The event with the marks of the answer that it is to continue.
    #[must_use]
    pub fn event_of(&self, label: &Label) -> Bytes {
        let Label { id, created, model } = label;
        self.event_with([
            (self.fields.id.filter(|_| id.is_some()), id.as_deref().map_or("", RawValue::get)),
            (self.fields.created.filter(|_| created.is_some()), created.as_deref().map_or("", RawValue::get)),
            (self.fields.model, &quoted(model)),
        ])
    }

    /// The event with other values for some of its members, in their places. A member that is not there is not added.
    fn event_with<const N: usize>(&self, values: [(Option<&RawValue>, &str); N]) -> Bytes {
        let more: usize = values.iter().map(|(_, new)| new.len()).sum();
        let mut event = BytesMut::with_capacity(self.data.len() + more + 8);
        event.put_slice(b"data: ");
        self.put(&mut event, 0..self.data.len(), values);
        event.put_slice(b"\n\n");
        event.freeze()
    }

    /// A part of the data as a client is sent it, under this name of the model.
    fn part(&self, part: Range<usize>, model: &str) -> Box<[u8]> {
        let mut out = BytesMut::new();
        self.put(&mut out, part, [(self.fields.model, &quoted(model))]);
        out[..].into()
    }

    /// Writes a part of the data, with other values for those of the members that stand in it.
    fn put<const N: usize>(&self, out: &mut BytesMut, part: Range<usize>, values: [(Option<&RawValue>, &str); N]) {
        let mut places =
            values.map(|(old, new)| (old.and_then(|old| self.place_of(old.get())).unwrap_or_default(), new));
        places.sort_unstable_by_key(|(place, _)| place.start);
        let inside = |place: &Range<usize>| !place.is_empty() && part.start <= place.start && place.end <= part.end;
        let mut done = part.start;
        for (place, new) in places.into_iter().filter(|(place, _)| inside(place)) {
            put_on_one_line(out, &self.data[done..place.start]);
            out.put_slice(new.as_bytes());
            done = place.end;
        }
        put_on_one_line(out, &self.data[done..part.end]);
    }

    /// Where in the data a piece of it stands; nothing if it is none.
    fn place_of(&self, piece: &str) -> Option<Range<usize>> {
        let (all, piece) = (self.data.as_bytes().as_ptr_range(), piece.as_bytes().as_ptr_range());
        let inside = all.start <= piece.start && piece.end <= all.end;
        inside.then(|| piece.start.addr() - all.start.addr()..piece.end.addr() - all.start.addr())
    }
}

/// JSON has line ends between its tokens only, where a space does as well.
pub(super) fn put_on_one_line(out: &mut BytesMut, json: &str) {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        return out.put_slice(json.as_bytes());
    }
    out.extend(json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

/// A string as JSON.
pub(super) fn quoted(text: &str) -> String {
    // A string cannot fail to be JSON, and null would be the worse answer if it did.
    serde_json::to_string(text).unwrap_or_else(|_| "null".to_owned())
}

// === impl Label ===

impl Label {
    /// The marks of the answer that `chunk` is a part of, under the name that the client knows the model by.
    #[must_use]
    pub fn of(chunk: &Chunk<'_>, model: &str) -> Self {
        let owned = |member: Option<&RawValue>| member.map(ToOwned::to_owned);
        Self { id: owned(chunk.fields.id), created: owned(chunk.fields.created), model: model.into() }
    }
}

#[cfg(test)]
mod tests;
