//! From Ollama's lines of JSON to OpenAI's chunks.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::answer::{Dialect, Step};
use super::super::reading::{Lines, Stamp, shown};
use super::broke;
use crate::{Code, Refusal};

/// Translates one answer.
#[derive(Debug)]
pub(in crate::divert) struct Translation {
    dialect: Dialect,
    model: Arc<str>,
    stamp: Stamp,
    lines: Lines,
    progress: Progress,
}

/// How far the answer has come.
#[derive(Debug, Default)]
struct Progress {
    chunks: u64,
    tool_calls: u64,
}

// === impl Translation ===

impl Translation {
    pub(in crate::divert) fn new(dialect: Dialect, model: Arc<str>, stamp: Stamp) -> Self {
        Self { dialect, model, stamp, lines: Lines::default(), progress: Progress::default() }
    }

    /// Takes bytes as they come, and adds the chunks that they amount to.
    ///
    /// # Errors
    /// Ollama's own error (F72), a line that is no JSON, an end for no reason.
    pub(in crate::divert) fn take(&mut self, bytes: &[u8], out: &mut VecDeque<Bytes>) -> Result<Step, Refusal> {
        let Self { dialect, model, stamp, lines, progress } = self;
        let chunks = Chunks { dialect: *dialect, model, stamp };
        let end = lines.take(bytes, |line| {
            if line.iter().all(u8::is_ascii_whitespace) {
                return Ok(None);
            }
            let line: Value = serde_json::from_slice(line).map_err(|_| {
                let text = shown(&String::from_utf8_lossy(line));
                Refusal::new(Code::BadUpstreamResponse, format!("Ollama sent what is no JSON: {text}"))
            })?;
            chunks.line(&line, progress, out)
        })?;
        Ok(if end.is_some() { Step::Whole } else { Step::More })
    }
}

/// What all chunks are made from.
struct Chunks<'a> {
    dialect: Dialect,
    model: &'a str,
    stamp: &'a Stamp,
}

// === impl Chunks ===

impl Chunks<'_> {
    fn line(&self, line: &Value, progress: &mut Progress, out: &mut VecDeque<Bytes>) -> Result<Option<()>, Refusal> {
        if let Some(error) = line.get("error") {
            return Err(broke(error.as_str().unwrap_or(&error.to_string())));
        }
        match self.dialect {
            Dialect::OllamaChat | Dialect::OpenAi => self.message(&line["message"], progress, out),
            Dialect::OllamaText => {
                if let Some(text) = line["response"].as_str().filter(|text| !text.is_empty()) {
                    out.push_back(self.chunk(&json!([text_choice(text, None)])));
                }
            }
        }
        if line["done"].as_bool() != Some(true) {
            return Ok(None);
        }
        let finish = match line["done_reason"].as_str() {
            Some("length") => "length",
            // What ran out of room in the middle of a call is no call.
            Some("stop") if progress.tool_calls > 0 => "tool_calls",
            Some("stop") => "stop",
            // Empty is what Ollama says when its runner's connection was closed.
            other => return Err(broke(&format!("it ended for no known reason ({})", other.unwrap_or("none given")))),
        };
        out.push_back(match self.dialect {
            Dialect::OllamaChat | Dialect::OpenAi => self.chunk(&json!([delta(&opening(progress), Some(finish))])),
            Dialect::OllamaText => self.chunk(&json!([text_choice("", Some(finish))])),
        });
        out.push_back(self.usage(line));
        Ok(Some(()))
    }

    fn message(&self, message: &Value, progress: &mut Progress, out: &mut VecDeque<Bytes>) {
        for (theirs, ours) in [("thinking", "reasoning"), ("content", "content")] {
            if let Some(text) = message[theirs].as_str().filter(|text| !text.is_empty()) {
                let mut said = opening(progress);
                said[ours] = text.into();
                out.push_back(self.chunk(&json!([delta(&said, None)])));
            }
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let at = progress.tool_calls;
            progress.tool_calls += 1;
            let id = call["id"].as_str().map_or_else(|| format!("call_{}_{at}", self.stamp.id), str::to_owned);
            let arguments = match &call["function"]["arguments"] {
                Value::Null => "{}".to_owned(),
                arguments => arguments.to_string(),
            };
            let mut said = opening(progress);
            said["tool_calls"] = json!([{
                "index": at,
                "id": id,
                "type": "function",
                "function": {"name": call["function"]["name"], "arguments": arguments},
            }]);
            out.push_back(self.chunk(&json!([delta(&said, None)])));
        }
    }

    fn usage(&self, line: &Value) -> Bytes {
        // Ollama leaves a count of nothing out.
        let count = |key: &str| line[key].as_u64().unwrap_or(0);
        let (prompt, completion) = (count("prompt_eval_count"), count("eval_count"));
        let mut chunk = self.bare(&json!([]));
        chunk["usage"] = json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt.saturating_add(completion),
        });
        bytes(&chunk)
    }

    fn chunk(&self, choices: &Value) -> Bytes {
        bytes(&self.bare(choices))
    }

    fn bare(&self, choices: &Value) -> Value {
        let (prefix, object) = match self.dialect {
            Dialect::OllamaChat | Dialect::OpenAi => ("chatcmpl", "chat.completion.chunk"),
            Dialect::OllamaText => ("cmpl", "text_completion"),
        };
        json!({
            "id": format!("{prefix}-{}", self.stamp.id),
            "object": object,
            "created": self.stamp.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

/// The beginning of a delta: the first one says who speaks.
fn opening(progress: &mut Progress) -> Value {
    progress.chunks += 1;
    if progress.chunks == 1 { json!({"role": "assistant"}) } else { json!({}) }
}

fn text_choice(text: &str, finish: Option<&str>) -> Value {
    json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish})
}

fn delta(said: &Value, finish: Option<&str>) -> Value {
    json!({"index": 0, "delta": said, "finish_reason": finish})
}

fn bytes(chunk: &Value) -> Bytes {
    // A value of strings and numbers: writing it cannot fail.
    serde_json::to_vec(chunk).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn translate(dialect: Dialect, pieces: &[&[u8]]) -> (Vec<Value>, Result<Step, Refusal>) {
        let stamp = Stamp { id: "1".to_owned(), created: 7 };
        let (mut translation, mut out) = (Translation::new(dialect, "m".into(), stamp), VecDeque::new());
        let mut step = Ok(Step::More);
        for piece in pieces {
            step = translation.take(piece, &mut out);
            if !matches!(step, Ok(Step::More)) {
                break;
            }
        }
        (out.iter().map(|chunk| serde_json::from_slice(chunk).expect("JSON")).collect(), step)
    }

    fn chat(lines: &str) -> (Vec<Value>, Result<Step, Refusal>) {
        translate(Dialect::OllamaChat, &[lines.as_bytes()])
    }

    const WHOLE: &str = concat!(
        r#"{"model":"m","message":{"role":"assistant","content":"","thinking":"Hm."},"done":false}"#,
        "\n",
        r#"{"model":"m","message":{"role":"assistant","content":"Grüß"},"done":false}"#,
        "\n",
        r#"{"model":"m","message":{"role":"assistant","content":" Gott"},"done":true,"done_reason":"stop","#,
        r#""prompt_eval_count":9,"eval_count":3}"#,
        "\n"
    );

    #[test]
    fn a_chat_becomes_the_chunks_that_an_openai_server_sends() {
        let (chunks, step) = chat(WHOLE);
        assert!(matches!(step, Ok(Step::Whole)));
        let deltas: Vec<_> = chunks[..4].iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect();
        let first = json!({"role": "assistant", "reasoning": "Hm."});
        assert_eq!(deltas, [first, json!({"content": "Grüß"}), json!({"content": " Gott"}), json!({})]);
        assert_eq!(chunks[3]["choices"][0]["finish_reason"], "stop");
        assert_eq!(chunks[4]["usage"], json!({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}));
        for chunk in &chunks {
            let head = json!([chunk["id"], chunk["object"], chunk["created"], chunk["model"]]);
            assert_eq!(head, json!(["chatcmpl-1", "chat.completion.chunk", 7, "m"]));
        }
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_chunks_are_the_same(cut in 0_usize..WHOLE.len(), other in 0_usize..WHOLE.len()) {
            let (first, second) = (cut.min(other), cut.max(other));
            let bytes = WHOLE.as_bytes();
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            prop_assert_eq!(translate(Dialect::OllamaChat, &pieces).0, chat(WHOLE).0);
        }

        #[test]
        fn no_bytes_break_the_translation(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = translate(Dialect::OllamaChat, &[&bytes]);
        }

        #[test]
        fn no_json_breaks_the_translation(line in r#"\{("(message|done|error|response)":("x"|true|null|7|\[1\]|\{"tool_calls":[17]\}),?){0,3}\}"#) {
            let _ = translate(Dialect::OllamaText, &[line.as_bytes(), b"\n"]);
            let _ = translate(Dialect::OllamaChat, &[line.as_bytes(), b"\n"]);
        }
    }

    #[test]
    fn tool_calls_come_whole_and_change_the_finish_reason() {
        let (chunks, _) = chat(concat!(
            r#"{"message":{"content":"","tool_calls":[{"id":"call_1","function":{"index":0,"name":"f","#,
            r#""arguments":{"a":1}}},{"function":{"name":"g","arguments":{}}}]},"done":false}"#,
            "\n",
            r#"{"message":{"content":""},"done":true,"done_reason":"stop"}"#,
            "\n"
        ));
        let call = |at: usize| &chunks[at]["choices"][0]["delta"]["tool_calls"][0];
        assert_eq!(
            *call(0),
            json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}})
        );
        assert_eq!((&call(1)["index"], &call(1)["id"]), (&json!(1), &json!("call_1_1")));
        assert_eq!(chunks[2]["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(chunks[3]["usage"]["total_tokens"], 0, "a count of nothing is left out");
    }

    #[test]
    fn a_call_that_was_cut_by_the_context_is_no_call() {
        let (chunks, _) = chat(concat!(
            r#"{"message":{"tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":true,"done_reason":"length"}"#,
            "\n"
        ));
        assert_eq!(chunks[1]["choices"][0]["finish_reason"], "length");
    }

    #[test]
    fn a_completion_becomes_text() {
        let lines =
            "{\"response\":\"ab\",\"done\":false}\n{\"response\":\"\",\"done\":true,\"done_reason\":\"length\"}\n";
        let (chunks, step) = translate(Dialect::OllamaText, &[lines.as_bytes()]);
        assert!(matches!(step, Ok(Step::Whole)));
        let choice = |at: usize| &chunks[at]["choices"][0];
        assert_eq!(chunks[0]["object"], "text_completion");
        assert_eq!((&choice(0)["text"], &choice(0)["finish_reason"]), (&json!("ab"), &Value::Null));
        assert_eq!((&choice(1)["text"], &choice(1)["finish_reason"]), (&json!(""), &json!("length")));
    }

    #[test]
    fn f72_an_error_in_the_middle_is_an_error_and_so_is_an_end_for_no_reason() {
        for (line, said) in [
            (r#"{"error":"llama-server process\nno longer running"}"#, "llama-server process no longer running"),
            (r#"{"message":{"content":""},"done":true}"#, "none given"),
            (r#"{"message":{"content":""},"done":true,"done_reason":""}"#, "no known reason ()"),
            (r#"{"message":{"content":""},"done":true,"done_reason":"load"}"#, "no known reason (load)"),
            ("<html>", "no JSON"),
        ] {
            let first = "{\"message\":{\"content\":\"a\"},\"done\":false}\n".to_owned();
            let (chunks, step) = chat(&(first + line + "\n"));
            assert_eq!(chunks.len(), 1, "{line}");
            let refusal = step.err().expect("an error");
            assert_eq!(refusal.code, Code::BadUpstreamResponse);
            assert!(refusal.message.contains(said), "{}", refusal.message);
        }
    }
}
