//! Whether a request fits a context, judged from its text: on the safe side, since a fallback's tokenizer is not ours.
//!
//! One token for three bytes of ASCII, one for each other character, and eight for each message. English prose has about four
//! bytes a token, code about three and a half; only long runs of digits or of rare signs come out longer than this. Those are
//! refused by the fallback itself, which is told not to cut anything.

use serde_json::{Map, Value};

use crate::request::Endpoint;

/// What a chat template adds to a message.
const MESSAGE: u64 = 8;

/// Keys of a request that come to stand in its prompt.
const CHAT: [&str; 3] = ["messages", "tools", "response_format"];
const TEXT: [&str; 1] = ["prompt"];

/// About how many tokens the prompt has, rather more than less.
pub(super) fn prompt_tokens(endpoint: Endpoint, body: &Map<String, Value>) -> u64 {
    let keys: &[&str] = match endpoint {
        Endpoint::Chat => &CHAT,
        Endpoint::Completions | Endpoint::Embeddings => &TEXT,
    };
    let mut weight = Weight::default();
    for value in keys.iter().filter_map(|key| body.get(*key)) {
        weight.add(value);
    }
    let messages = body.get("messages").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    weight.tokens() + messages * MESSAGE
}

#[derive(Default)]
struct Weight {
    ascii: u64,
    other: u64,
}

// === impl Weight ===

impl Weight {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => self.ascii += 6,
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.text(key);
                    self.add(value);
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_ascii() { self.ascii += 1 } else { self.other += 1 }
        }
        // A separator of some kind.
        self.ascii += 1;
    }

    const fn tokens(&self) -> u64 {
        self.ascii.div_ceil(3) + self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tokens(body: &Value) -> u64 {
        prompt_tokens(Endpoint::Chat, body.as_object().expect("an object"))
    }

    #[test]
    fn prose_is_taken_for_somewhat_more_than_it_is() {
        // 4,400 bytes that real tokenizers make 1,000 to 1,100 tokens of.
        let prose = "The quick brown fox jumps over the lazy dogs ".repeat(98);
        let estimate = tokens(&json!({"messages": [{"role": "user", "content": prose}]}));
        assert!((1_400..1_700).contains(&estimate), "{estimate}");
    }

    #[test]
    fn each_character_beyond_ascii_counts_for_one() {
        let estimate = tokens(&json!({"messages": [{"role": "user", "content": "木".repeat(900)}]}));
        assert!((900..930).contains(&estimate), "{estimate}");
    }

    #[test]
    fn tools_are_part_of_the_prompt_and_the_rest_of_the_request_is_not() {
        let bare = json!({"messages": [], "user": "x".repeat(3_000)});
        let with_tools = json!({"messages": [], "tools": [{"function": {"description": "x".repeat(3_000)}}]});
        assert!(tokens(&bare) < 10 && tokens(&with_tools) > 1_000);
    }
}
