//! The body that the server is sent: the client's own bytes, but for what is the gateway's to say.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::catalogue::{Dialect, Served};
use super::json::Document;
use super::{Endpoint, Wire};

/// How the server is to be asked.
///
/// As a stream, whatever the client wants: a plain request to `mlx_lm.server` runs to its end when nobody is left to read it,
/// and shows no life before. But its streams have no log probabilities in them.
pub(super) fn wire(endpoint: Endpoint, fields: &Map<String, Value>, served: &Served) -> Wire {
    let streams = fields.get("stream").and_then(Value::as_bool).unwrap_or_default();
    let asked = |name: &str| fields.get(name).is_some_and(|value| value.as_bool() == Some(true));
    let logprobs = asked("logprobs") || fields.get("top_logprobs").and_then(Value::as_i64).is_some_and(|it| it > 0);
    match (endpoint, served.dialect) {
        (Endpoint::Embeddings, _) => Wire::Whole,
        (Endpoint::Chat | Endpoint::Completions, Dialect::MlxLm) if logprobs && !streams => Wire::Whole,
        (Endpoint::Chat | Endpoint::Completions, Dialect::MlxLm | Dialect::Other) => Wire::Stream,
    }
}

/// The body for the server.
///
/// Every field keeps its bytes and its place. Three are the gateway's: `model`, `stream` and `stream_options`. And where
/// `mlx_lm.server` refuses `null` for a field that may be left out, the field is left out: that is what `null` means to
/// OpenAI, and its SDKs send it.
pub(super) fn body(document: &Document<'_>, served: &Served, wire: Wire) -> Bytes {
    let mut out =
        Vec::with_capacity(document.members.iter().map(|(name, raw)| name.len() + raw.len() + 8).sum::<usize>() + 64);
    out.push(b'{');
    member(&mut out, "model", &json!(&*served.upstream).to_string());
    match wire {
        Wire::Stream => {
            member(&mut out, "stream", "true");
            member(&mut out, "stream_options", &options(document.fields.get("stream_options")));
        }
        Wire::Whole => {}
    }
    for (name, raw) in &document.members {
        let ours = matches!(&**name, "model" | "stream" | "stream_options");
        if !ours && (served.dialect == Dialect::Other || *raw != "null") {
            member(&mut out, name, raw);
        }
    }
    out.push(b'}');
    out.into()
}

/// The client's options, with the numbers of tokens wanted: they are needed for a whole answer, and taken out of a stream
/// whose client has not asked for them.
fn options(told: Option<&Value>) -> String {
    let mut options = told.and_then(Value::as_object).cloned().unwrap_or_default();
    options.insert("include_usage".to_owned(), Value::Bool(true));
    Value::Object(options).to_string()
}

fn member(out: &mut Vec<u8>, name: &str, raw: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend_from_slice(Value::from(name).to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(raw.as_bytes());
}
