//! The members of an object that comes in pieces, and how the pieces of each go together.

use serde_json::value::RawValue;

use super::Kind;
use crate::answer::chunk::{Channel, quoted};
use crate::answer::object::{Object, Writer, array, elements};

/// More calls in one answer than any model makes.
const CALLS_MAX: usize = 256;

/// More members than any object of an answer has.
const MEMBERS_MAX: usize = 64;

/// The members that a plain message begins with, in this order, whichever came first.
const MESSAGE: [&str; 7] =
    ["role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls", "function_call"];

/// Which object it is: that decides how its members grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    Choice,
    Message,
    Call,
    Function,
    Logprobs,
}

/// A value as far as it has come.
#[derive(Debug)]
pub(super) enum Part {
    /// Null, or nothing yet.
    Null,
    /// JSON that comes at once.
    Value(Box<str>),
    /// A string that comes in pieces.
    Text(String),
    /// An array that grows: what stands between its brackets.
    Entries(String),
    /// An object that grows.
    Inner(Parts),
    /// Objects that grow, each by its `index`.
    Calls(Vec<(usize, Parts)>),
}

/// Members in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<(Box<str>, Part)>);

/// What comes is no piece of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit;

impl From<serde_json::Error> for Unfit {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// How a member takes its next piece.
enum Growth {
    /// The first value stays.
    First,
    /// The last value counts.
    Last,
    Text,
    Entries,
    Inner(Place),
    Calls,
}

// === impl Place ===

impl Place {
    fn growth(self, name: &str) -> Growth {
        match (self, name) {
            (Self::Head, "id" | "object" | "created" | "model" | "system_fingerprint") => Growth::First,
            (Self::Head, _) => Growth::Last,
            (Self::Choice, "text") => Growth::Text,
            (Self::Choice, "delta") => Growth::Inner(Self::Message),
            (Self::Choice, "logprobs") => Growth::Inner(Self::Logprobs),
            (Self::Choice, _) => Growth::Last,
            (Self::Message, "content" | "refusal" | "reasoning" | "reasoning_content") => Growth::Text,
            (Self::Message, "tool_calls") => Growth::Calls,
            (Self::Message, "function_call") => Growth::Inner(Self::Function),
            (Self::Message, _) => Growth::First,
            (Self::Call, "function") => Growth::Inner(Self::Function),
            (Self::Call, _) => Growth::First,
            (Self::Function, "name" | "arguments") => Growth::Text,
            (Self::Function, _) => Growth::Last,
            (Self::Logprobs, _) => Growth::Entries,
        }
    }
}

// === impl Parts ===

impl Parts {
    pub(super) fn get(&self, name: &str) -> Option<&Part> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, part)| part)
    }

    /// A text of a choice, as far as it has come.
    pub(super) fn text_mut(&mut self, channel: Channel) -> Option<&mut String> {
        let member = |parts: &mut Self, name: &str| parts.0.iter().position(|(known, _)| **known == *name);
        let inner = match channel {
            Channel::Text => self,
            Channel::Content | Channel::Reasoning | Channel::ReasoningContent | Channel::Refusal => {
                match member(self, "delta").map(|at| &mut self.0[at].1) {
                    Some(Part::Inner(message)) => message,
                    _ => return None,
                }
            }
        };
        match member(inner, channel.as_str()).map(|at| &mut inner.0[at].1) {
            Some(Part::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &Part)> {
        self.0.iter().map(|(name, part)| (&**name, part))
    }

    /// The member of this name, which gets its place if it has none.
    pub(super) fn place_for(&mut self, name: &str) -> Result<&mut Part, Unfit> {
        let at = self.0.iter().position(|(known, _)| **known == *name).unwrap_or(self.0.len());
        if at == MEMBERS_MAX {
            return Err(Unfit);
        }
        if at == self.0.len() {
            self.0.push((name.into(), Part::Null));
        }
        Ok(&mut self.0[at].1)
    }

    /// Adds a piece of a member.
    pub(super) fn add(&mut self, place: Place, name: &str, value: &RawValue) -> Result<(), Unfit> {
        let part = self.place_for(name)?;
        if value.get() == "null" {
            return Ok(());
        }
        match place.growth(name) {
            Growth::First if !matches!(part, Part::Null) => {}
            Growth::First | Growth::Last => *part = Part::Value(value.get().into()),
            Growth::Text => part.add_text(value)?,
            Growth::Entries => part.add_entries(value),
            Growth::Inner(place) => part.add_members(place, value)?,
            Growth::Calls => part.add_calls(value)?,
        }
        Ok(())
    }

    /// A choice of a plain answer. In a chat the `delta` becomes a `message`.
    pub(super) fn choice(&self, kind: Kind) -> String {
        let mut out = Writer::new();
        for (name, part) in self.members() {
            match (name, part) {
                ("delta", Part::Inner(message)) => out.member("message", &message.message()),
                ("delta", _) => {}
                (_, part) => out.member(name, &part.json()),
            }
        }
        if kind == Kind::Chat && !matches!(self.get("delta"), Some(Part::Inner(_))) {
            out.member("message", &Self::default().message());
        }
        out.end()
    }

    fn message(&self) -> String {
        let mut out = Writer::new();
        let has_calls = self.get("tool_calls").is_some_and(|calls| matches!(calls, Part::Calls(_)));
        for name in MESSAGE {
            match (name, self.get(name)) {
                // It is always there, and null if nothing was said.
                ("content", None) => out.member(name, "null"),
                ("content", Some(Part::Text(text))) if text.is_empty() && has_calls => out.member(name, "null"),
                ("role", None) => out.member(name, "\"assistant\""),
                (_, Some(part)) => out.member(name, &part.json()),
                (_, None) => {}
            }
        }
        for (name, part) in self.members().filter(|(name, _)| !MESSAGE.contains(name)) {
            out.member(name, &part.json());
        }
        out.end()
    }

    fn json(&self) -> String {
        let mut out = Writer::new();
        for (name, part) in self.members() {
            out.member(name, &part.json());
        }
        out.end()
    }
}

// === impl Part ===

impl Part {
    pub(super) fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Value(json) => json.to_string(),
            Self::Text(text) => quoted(text),
            Self::Entries(entries) => format!("[{entries}]"),
            Self::Inner(parts) => parts.json(),
            Self::Calls(calls) => array(calls.iter().map(|(_, call)| call.json())),
        }
    }

    fn add_text(&mut self, value: &RawValue) -> serde_json::Result<()> {
        let more: String = serde_json::from_str(value.get())?;
        match self {
            Self::Text(text) => text.push_str(&more),
            Self::Null | Self::Value(_) | Self::Entries(_) | Self::Inner(_) | Self::Calls(_) => {
                *self = Self::Text(more);
            }
        }
        Ok(())
    }

    fn add_entries(&mut self, value: &RawValue) {
        let inside = value.get().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::trim);
        match (self, inside) {
            (Self::Entries(entries), Some(inside)) if !entries.is_empty() && !inside.is_empty() => {
                entries.push_str(", ");
                entries.push_str(inside);
            }
            (Self::Entries(entries), Some(inside)) => entries.push_str(inside),
            (part, Some(inside)) => *part = Self::Entries(inside.to_owned()),
            (part, None) => *part = Self::Value(value.get().into()),
        }
    }

    fn add_members(&mut self, place: Place, value: &RawValue) -> Result<(), Unfit> {
        let mut inner = match std::mem::replace(self, Self::Null) {
            Self::Inner(inner) => inner,
            Self::Null | Self::Value(_) | Self::Text(_) | Self::Entries(_) | Self::Calls(_) => Parts::default(),
        };
        for (name, piece) in Object::read(value.get())?.0 {
            inner.add(place, &name, piece)?;
        }
        *self = Self::Inner(inner);
        Ok(())
    }

    fn add_calls(&mut self, value: &RawValue) -> Result<(), Unfit> {
        let mut calls = match std::mem::replace(self, Self::Null) {
            Self::Calls(calls) => calls,
            Self::Null | Self::Value(_) | Self::Text(_) | Self::Entries(_) | Self::Inner(_) => Vec::new(),
        };
        for piece in elements(value).ok_or(Unfit)? {
            let members = Object::read(piece.get())?.0;
            let index = members.iter().find(|(name, _)| name == "index");
            let index: usize = index.map_or(Ok(0), |(_, index)| index.get().parse()).map_err(|_| Unfit)?;
            let at = calls.iter().position(|(known, _)| *known == index).unwrap_or(calls.len());
            if at == CALLS_MAX {
                return Err(Unfit);
            }
            if at == calls.len() {
                calls.push((index, Parts::default()));
            }
            // The index tells pieces of a stream apart; a plain answer has the calls in order.
            for (name, piece) in members.into_iter().filter(|(name, _)| name != "index") {
                calls[at].1.add(Place::Call, &name, piece)?;
            }
        }
        calls.sort_by_key(|(index, _)| *index);
        *self = Self::Calls(calls);
        Ok(())
    }
}
