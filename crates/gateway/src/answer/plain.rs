//! A plain answer as a server gives it, checked: for what cannot be had from a stream.
//!
//! `mlx_lm` tells probabilities in plain answers only, and embeddings are never streamed.

use bytes::Bytes;
use serde::Deserialize;

use super::chunk::quoted;
use super::object::{Object, Writer, elements};

/// Why a body is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoPlainAnswer {
    /// No UTF-8.
    #[error("the server's answer is not UTF-8")]
    Encoding(#[from] std::str::Utf8Error),
    /// No JSON object.
    #[error("the server's answer is no JSON object")]
    Json(#[from] serde_json::Error),
    /// It has nothing of an answer, or an error in it.
    #[error("the server's answer has no {lacks}")]
    Lacks {
        /// What it should have.
        lacks: &'static str,
    },
    /// One of its choices has not said why it ends.
    #[error("the server's answer is not whole: a choice has no finish_reason")]
    Cut,
}

/// What a body has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// `choices`, each with a `finish_reason`.
    Choices,
    /// `data`.
    Embeddings,
}

/// The answer as one of `model`, if `body` is one and whole.
///
/// # Errors
///
/// Why it is none.
pub fn answer(body: &[u8], expected: Expected, model: &str) -> Result<Bytes, NoPlainAnswer> {
    let members = Object::read(std::str::from_utf8(body)?)?.0;
    let lacks = match expected {
        Expected::Choices => "choices",
        Expected::Embeddings => "data",
    };
    let list = members.iter().find(|(name, _)| name == lacks).and_then(|(_, list)| elements(list));
    let list = list.filter(|list| !list.is_empty()).ok_or(NoPlainAnswer::Lacks { lacks })?;
    if expected == Expected::Choices {
        for choice in list {
            let members = Object::read(choice.get())?.0;
            let finish = members.iter().find(|(name, _)| name == "finish_reason");
            if !finish.is_some_and(|(_, finish)| finish.get().starts_with('"')) {
                return Err(NoPlainAnswer::Cut);
            }
        }
    }
    let mut out = Writer::new();
    for (name, value) in members {
        match &*name {
            "model" => out.member(&name, &quoted(model)),
            _ => out.member(&name, value.get()),
        }
    }
    Ok(out.end().into())
}

/// How many tokens were made for an answer, as its `usage` says; 0 if it does not.
#[must_use]
pub fn tokens(body: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Answer {
        usage: Option<Usage>,
    }
    #[derive(Deserialize)]
    struct Usage {
        completion_tokens: Option<u64>,
    }
    let usage = serde_json::from_slice::<Answer>(body).ok().and_then(|answer| answer.usage);
    usage.and_then(|usage| usage.completion_tokens).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_its_members_and_their_digits_and_gets_the_name_that_was_asked_for() {
        let body = br#"{"id":"c","model":"/models/x","choices":[{"finish_reason":"stop","logprobs":{"content":[{"logprob":-1.50e-7}]}}]}"#;
        let answer = answer(body, Expected::Choices, "x").expect("an answer");
        let expected = br#"{"id":"c","model":"x","choices":[{"finish_reason":"stop","logprobs":{"content":[{"logprob":-1.50e-7}]}}]}"#;
        assert_eq!(&answer[..], expected);
    }

    #[test]
    fn f55_what_is_cut_or_no_answer_is_told_apart() {
        let told = |body: &str| answer(body.as_bytes(), Expected::Choices, "x").expect_err("no answer").to_string();
        assert_eq!(
            told(r#"{"choices":[{"finish_reason":null}]}"#),
            "the server's answer is not whole: a choice has no finish_reason"
        );
        assert_eq!(told(r#"{"choices":[]}"#), "the server's answer has no choices");
        assert_eq!(told(r#"{"error":"model not found"}"#), "the server's answer has no choices");
        for cut in ["", "<html>", r#"{"choices":[{"finish_reason":"stop"}]"#, "[]"] {
            assert_eq!(told(cut), "the server's answer is no JSON object");
        }
    }
}
