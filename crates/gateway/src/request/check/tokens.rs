//! What becomes tokens or speaks of them: the prompt, the stop words and the bias of single tokens.

use serde_json::{Number, Value};

use super::{FEW, Fields, invalid, kind};
use crate::refusal::Refusal;

/// The server's matcher is made anew for each set of stop words, and every token goes through it. OpenAI takes 4.
const STOPS: usize = 64;

/// The longest stop word, in bytes.
const STOP: usize = 4096;

/// The largest bias. OpenAI's is 100; more is answered as well, up to what a 32-bit float holds.
const BIAS: f64 = 1e30;

/// Checks the stop words and the biases.
pub(super) fn check(fields: Fields<'_>, vocabulary: Option<u32>) -> Result<(), Refusal> {
    stop(fields)?;
    bias(fields, vocabulary)
}

/// The prompt: one string with something in it. A list, or a prompt without a token, is an exception in the generation thread.
pub(super) fn prompt(fields: Fields<'_>) -> Result<(), Refusal> {
    match fields.get("prompt") {
        Some(Value::String(text)) if text.is_empty() => Err(invalid("prompt", "it is empty")),
        Some(Value::String(_)) => Ok(()),
        Some(value) => Err(invalid("prompt", format!("the server takes one string, not {}", kind(value)))),
        None => Err(invalid("prompt", "it is missing")),
    }
}

/// The stop words. Anything but strings is an exception in the generation thread.
fn stop(fields: Fields<'_>) -> Result<(), Refusal> {
    let words = match fields.get("stop") {
        None => return Ok(()),
        // The server takes it for none.
        Some(Value::String(word)) if word.is_empty() => return Ok(()),
        Some(word @ Value::String(_)) => std::slice::from_ref(word),
        Some(Value::Array(words)) => words.as_slice(),
        Some(value) => {
            return Err(invalid("stop", format!("it is a string or a list of strings, not {}", kind(value))));
        }
    };
    if words.len() > STOPS {
        return Err(invalid("stop", format!("there are at most {STOPS} of them")));
    }
    for (at, word) in words.iter().enumerate() {
        let why = match word {
            Value::String(word) if word.is_empty() => "it is empty".to_owned(),
            Value::String(word) if word.len() > STOP => format!("it is longer than {STOP} bytes"),
            Value::String(_) => continue,
            value => format!("it is a string, not {}", kind(value)),
        };
        return Err(invalid(format!("stop[{at}]"), why));
    }
    Ok(())
}

/// The bias of single tokens. The server writes to memory by these numbers and does not look where: one beyond the vocabulary
/// ends the process, or changes what happens to stand there.
fn bias(fields: Fields<'_>, vocabulary: Option<u32>) -> Result<(), Refusal> {
    let biases = match fields.get("logit_bias") {
        None => return Ok(()),
        Some(Value::Object(biases)) => biases,
        Some(value) => return Err(invalid("logit_bias", format!("it is an object, not {}", kind(value)))),
    };
    let bound = vocabulary.unwrap_or(FEW);
    for (key, value) in biases {
        // Python reads " 1", "1_0" and other digits as numbers too. Nobody means them, and 0 before a number makes a second
        // key for the same token.
        let plain =
            !key.is_empty() && key.bytes().all(|it| it.is_ascii_digit()) && (key == "0" || !key.starts_with('0'));
        let id = plain.then(|| key.parse::<u32>().ok()).flatten();
        if !plain || id.is_none_or(|id| id >= bound) {
            let short: String = key.chars().take(16).collect();
            let why = format!("its keys are token ids, whole numbers from 0 to {}", bound.saturating_sub(1));
            return Err(invalid("logit_bias", format!("{why}, and {short:?} is none")));
        }
        let small = |number: &Number| number.as_f64().is_some_and(|it| it.abs() <= BIAS);
        if !value.as_number().is_some_and(small) {
            let why = format!("it is a number from -{BIAS:e} to {BIAS:e}");
            return Err(invalid(format!("logit_bias.{key}"), why));
        }
    }
    Ok(())
}
