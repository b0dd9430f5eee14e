//! JSON whose bytes are a function of its content.
//!
//! serde_json writes a map in the order of its keys or of their insertion, by a feature that any crate of the build can
//! turn on; the model's bytes must not hang on that.

use serde_json::Value;

/// The value on one line, keys sorted.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields = fields.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), text(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A file of it.
pub(super) fn file(value: &Value) -> Vec<u8> {
    (text(value) + "\n").into_bytes()
}
