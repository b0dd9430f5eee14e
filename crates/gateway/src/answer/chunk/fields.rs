//! What a chunk adds to its choices, as typed as it is looked at.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a chunk adds to one choice.
#[derive(Debug, Deserialize)]
pub struct Choice<'a> {
    #[serde(default)]
    index: Option<u32>,
    /// Of a chat.
    #[serde(borrow, default)]
    pub delta: Option<Delta<'a>>,
    /// Of a completion.
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    /// Why it ends, in the chunk that ends it.
    #[serde(borrow, default)]
    pub finish_reason: Option<Text<'a>>,
    /// The probabilities of its tokens.
    #[serde(borrow, default)]
    pub logprobs: Option<&'a RawValue>,
}

/// What a chunk adds to a message.
#[derive(Debug, Default)]
pub struct Delta<'a> {
    /// Who speaks.
    pub role: Option<Text<'a>>,
    /// What is said.
    pub content: Option<Text<'a>>,
    /// What is thought, in the words of `mlx_lm`.
    pub reasoning: Option<Text<'a>>,
    /// What is thought, in the words of llama.cpp.
    pub reasoning_content: Option<Text<'a>>,
    /// What is said instead.
    pub refusal: Option<Text<'a>>,
    /// Pieces of calls.
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    /// Whether there is more that is not known here.
    pub rest: Rest,
}

/// Whether an object has members beyond the known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rest {
    /// None, or they are null.
    #[default]
    Nothing,
    /// Some.
    Something,
}

/// A piece of a tool call.
#[derive(Debug, Deserialize)]
pub struct ToolCall<'a> {
    #[serde(default)]
    index: Option<u32>,
    /// Its name for the answer to it.
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    /// What is called, with what.
    #[serde(borrow, default)]
    pub function: Option<Function<'a>>,
}

/// A piece of what is called.
#[derive(Debug, Default, Deserialize)]
pub struct Function<'a> {
    /// Of its name, which nearly always comes whole.
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    /// Of its arguments, JSON in a string.
    #[serde(borrow, default)]
    pub arguments: Option<Text<'a>>,
}

/// A text of a choice that grows chunk by chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Of a completion.
    Text,
    /// Of a message: what is said.
    Content,
    /// Of a message: what is thought, in the words of `mlx_lm`.
    Reasoning,
    /// Of a message: what is thought, in the words of llama.cpp.
    ReasoningContent,
    /// Of a message: what is said instead.
    Refusal,
}

/// A string, borrowed unless it had escapes.
#[derive(Debug, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

// === impl Choice ===

impl Choice<'_> {
    /// Which of the choices.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index.unwrap_or_default() as usize
    }

    /// What it adds to each text, in the order of [`Channel::ALL`].
    #[must_use]
    pub fn texts(&self) -> [&str; Channel::ALL.len()] {
        let delta = self.delta.as_ref();
        Channel::ALL.map(|channel| {
            let text = match channel {
                Channel::Text => self.text.as_ref(),
                Channel::Content => delta.and_then(|delta| delta.content.as_ref()),
                Channel::Reasoning => delta.and_then(|delta| delta.reasoning.as_ref()),
                Channel::ReasoningContent => delta.and_then(|delta| delta.reasoning_content.as_ref()),
                Channel::Refusal => delta.and_then(|delta| delta.refusal.as_ref()),
            };
            text.map_or("", |text| &**text)
        })
    }

    /// What it adds to calls.
    #[must_use]
    pub fn calls(&self) -> &[ToolCall<'_>] {
        self.delta.as_ref().and_then(|delta| delta.tool_calls.as_deref()).unwrap_or_default()
    }
}

// === impl Channel ===

impl Channel {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Text, Self::Content, Self::Reasoning, Self::ReasoningContent, Self::Refusal];

    /// The name of its member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Content => "content",
            Self::Reasoning => "reasoning",
            Self::ReasoningContent => "reasoning_content",
            Self::Refusal => "refusal",
        }
    }
}

// === impl ToolCall ===

impl ToolCall<'_> {
    /// The pieces of its name and of its arguments.
    #[must_use]
    pub fn texts(&self) -> (&str, &str) {
        let Some(function) = &self.function else { return ("", "") };
        (function.name.as_deref().unwrap_or_default(), function.arguments.as_deref().unwrap_or_default())
    }

    /// Which of the calls.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index.unwrap_or_default() as usize
    }
}

// === impl Text ===

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<Text<'a>> for Cow<'a, str> {
    fn from(text: Text<'a>) -> Self {
        text.0
    }
}

// === impl Delta ===

impl<'de: 'a, 'a> Deserialize<'de> for Delta<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Delta<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a delta")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Delta<'de>, A::Error> {
                let mut delta = Delta::default();
                while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                    match name.as_ref() {
                        "role" => once(&mut delta.role, map.next_value()?)?,
                        "content" => once(&mut delta.content, map.next_value()?)?,
                        "reasoning" => once(&mut delta.reasoning, map.next_value()?)?,
                        "reasoning_content" => once(&mut delta.reasoning_content, map.next_value()?)?,
                        "refusal" => once(&mut delta.refusal, map.next_value()?)?,
                        "tool_calls" => once(&mut delta.tool_calls, map.next_value()?)?,
                        _ => {
                            if map.next_value::<&RawValue>()?.get() != "null" {
                                delta.rest = Rest::Something;
                            }
                        }
                    }
                }
                Ok(delta)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Sets what is not set yet. Which of two values counts is for each reader to say: there is no telling that all say the same.
fn once<T, E: serde::de::Error>(place: &mut Option<T>, value: Option<T>) -> Result<(), E> {
    match (&place, value) {
        (Some(_), Some(_)) => Err(E::custom("a member is there twice")),
        (_, None) => Ok(()),
        (None, value) => {
            *place = value;
            Ok(())
        }
    }
}
