//! The tokenizer of the tiny model: a token for each byte, a few marks, and words that only answers use.
//!
//! There are no merges, so a prompt of n bytes is n tokens and any text can be encoded. The words are in the vocabulary
//! for decoding alone.

use super::canonical;
use serde_json::{Map, Value, json};

/// Tokens that stand for no text, from id 256 on.
const MARKS: [&str; 8] =
    ["<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|mark6|>", "<|mark7|>"];

const WORDS: &str = include_str!("words.txt");

/// The end of a turn, the model's end token.
pub(super) const END: usize = 256;
pub(super) const PAD: usize = 257;
/// From here to the end of the vocabulary are the words.
pub(super) const FIRST_WORD: usize = 256 + MARKS.len();
/// Number of tokens.
pub(super) const VOCABULARY: usize = 448;

const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + (message['content'] or '') \
                             + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// `tokenizer.json`.
pub(super) fn tokenizer() -> Vec<u8> {
    let mut vocabulary = Map::new();
    let bytes = (0..=u8::MAX).map(|byte| byte_character(byte).to_string());
    let marks = MARKS.iter().map(|mark| (*mark).to_owned());
    // A word stands after a space, which the byte-level alphabet writes as Ġ.
    let words = WORDS.split_whitespace().map(|word| format!("\u{120}{word}"));
    for (id, token) in bytes.chain(marks).chain(words).enumerate() {
        vocabulary.insert(token, id.into());
    }
    let added: Vec<Value> = MARKS
        .iter()
        .zip(256..)
        .map(|(mark, id)| {
            json!({"id": id, "content": mark, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    canonical::file(&json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": [],
        },
    }))
}

/// `tokenizer_config.json`.
pub(super) fn tokenizer_config() -> Vec<u8> {
    canonical::file(&json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": false,
        "eos_token": MARKS[0],
        "pad_token": MARKS[1],
        "clean_up_tokenization_spaces": false,
        "model_max_length": 131_072,
        "chat_template": CHAT_TEMPLATE,
    }))
}

/// The character that stands for a byte in byte-level vocabularies: itself if it is visible in Latin-1, else one from
/// U+0100 on, in order.
fn byte_character(byte: u8) -> char {
    let visible = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if visible(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|other| !visible(*other)).count();
    u32::try_from(0x100 + before).ok().and_then(char::from_u32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_words_fill_the_vocabulary_and_none_comes_twice() {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        assert_eq!(FIRST_WORD + words.len(), VOCABULARY);
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        assert!(words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase())));
    }

    #[test]
    fn the_byte_alphabet_is_that_of_every_byte_level_tokenizer() {
        let characters = [b' ', b'\n', b'a', 0, 0xad, 0xff].map(byte_character);
        assert_eq!(characters, ['Ġ', 'Ċ', 'a', 'Ā', 'Ń', 'ÿ']);
        assert_eq!((0..=u8::MAX).map(byte_character).collect::<HashSet<_>>().len(), 256);
    }
}
