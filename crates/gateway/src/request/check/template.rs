//! What a client may say to the model's chat template.

use serde_json::Value;

use super::{Fields, invalid, kind, not_allowed};
use crate::refusal::Refusal;

/// The parameters of `apply_chat_template` itself. What is not among them is a variable of the template, such as
/// `enable_thinking`. `chat_template` is a program: the server would run the client's instead of the model's, in the thread
/// that serves everybody.
const OWN: [&str; 19] = [
    "self",
    "conversation",
    "messages",
    "tools",
    "documents",
    "chat_template",
    "add_generation_prompt",
    "continue_final_message",
    "tokenize",
    "padding",
    "truncation",
    "max_length",
    "return_tensors",
    "return_dict",
    "return_assistant_tokens_mask",
    "tokenizer_kwargs",
    "processor_kwargs",
    "tokenizer",
    "load_audio_from_video",
];

/// Checks them.
pub(super) fn check(fields: Fields<'_>) -> Result<(), Refusal> {
    fields.wants("role_mapping", "an object of strings", |value| {
        value.as_object().is_some_and(|mapping| mapping.values().all(Value::is_string))
    })?;
    match fields.get("chat_template_kwargs") {
        None => Ok(()),
        Some(Value::Object(told)) => match told.keys().find(|name| OWN.contains(&name.as_str())) {
            Some(name) => Err(not_allowed(format!("chat_template_kwargs.{name}"), "it is the server's own")),
            None => Ok(()),
        },
        Some(value) => Err(invalid("chat_template_kwargs", format!("it is an object, not {}", kind(value)))),
    }
}
