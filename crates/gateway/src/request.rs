//! What a client asks for, validated before the server ever sees it.
//!
//! Everything about a request that can be decided from its bytes alone, once and for all: which server and model it is for,
//! whether the server can bear it, what the server will be sent, and what somebody else would have to be able to do. There is
//! no I/O here, and nothing that waits.
//!
//! ```text
//! bytes ─▶ json ─▶ catalogue ─▶ check ─▶ features ─▶ outgoing ─▶ Ask
//!          depth    the model     400s     what it      the body
//!          size     is a key               needs        for the server
//! ```
//!
//! *Architecture Invariant:* what a client names is never passed on as a name. The server loads whatever path or repository
//! `model` says, so the client's word is a key to the [`Catalogue`], and the server is sent the catalogue's own word.

mod catalogue;
mod check;
mod deadline;
mod digest;
mod features;
mod json;
mod listing;
mod outgoing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::{Map, Value};

use crate::refusal::{Code, Refusal};

pub use catalogue::{Catalogue, CatalogueError, Dialect, Release, Served, Temperature, vocabulary};
pub use deadline::deadline;
pub use digest::Digest;
pub use features::{CONSENT, Consent, Feature, Features};
pub use listing::{Listed, listing, one};

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
}

/// How the client wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// As server-sent events.
    Stream {
        /// Whether one of them says how many tokens it took.
        usage: Usage,
    },
    /// As one JSON object.
    Whole,
}

/// Whether a stream's client wants the event with the numbers of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// It has asked for it.
    Wanted,
    /// It has not, and must not see it.
    NotWanted,
}

/// How the server is asked, whatever the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// With `stream: true`: its life shows in every token, and it notices when nobody listens any more.
    Stream,
    /// For one JSON object, because the stream would lack something that has been asked for.
    Whole,
}

/// Whether the same request has the same answer every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// The most probable token at each step: it can be generated again.
    Greedy,
    /// There is chance in it.
    Sampled,
}

/// A request that is worth sending.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What is asked.
    pub endpoint: Endpoint,
    /// Which server is to answer.
    pub server: Arc<str>,
    /// The model by its name in the catalogue, which is what the answer says. Not an alias, and not the server's own name.
    pub model: Arc<str>,
    /// How the client wants it.
    pub delivery: Delivery,
    /// How the server is asked for it: what [`upstream`](Self::upstream) says in `stream`.
    pub wire: Wire,
    /// Whether it can be generated again.
    pub sampling: Sampling,
    /// The body for the server.
    pub upstream: Bytes,
    /// What makes it the same request as another one.
    pub digest: Digest,
    /// What somebody else would have to be able to do.
    pub features: Features,
    /// Whether somebody else may answer.
    pub consent: Consent,
    /// The body as the client has sent it. Numbers beyond the range of `f64` have been refused, whole numbers beyond 64 bits
    /// are rounded here (not in [`upstream`](Self::upstream)).
    pub original: Map<String, Value>,
}

/// Reads a request.
///
/// # Errors
///
/// 400 for what is no JSON object or has a field that cannot be served, 404 for a model that is not in the catalogue. A
/// refusal about a field names it in `param`, one about the JSON says at which line and column.
pub fn read(endpoint: Endpoint, headers: &HeaderMap, body: &[u8], catalogue: &Catalogue) -> Result<Ask, Refusal> {
    let document = json::read(body)?;
    let served = catalogue.find(&document)?;
    let fields = &document.fields;
    check::check(endpoint, fields, served)?;
    let delivery = delivery(endpoint, fields);
    let features = Features::of(endpoint, fields);
    let wire = outgoing::wire(endpoint, fields, served);
    Ok(Ask {
        endpoint,
        server: Arc::clone(&served.server),
        model: Arc::clone(&served.name),
        delivery,
        wire,
        sampling: sampling(fields, served),
        upstream: outgoing::body(&document, served, wire),
        digest: Digest::of(endpoint, &served.name, fields),
        features,
        consent: Consent::of(headers, served.consent),
        original: document.fields,
    })
}

/// How the client wants its answer. The fields have been checked.
fn delivery(endpoint: Endpoint, fields: &Map<String, Value>) -> Delivery {
    let streams = fields.get("stream").and_then(Value::as_bool).unwrap_or_default();
    if !streams || endpoint == Endpoint::Embeddings {
        return Delivery::Whole;
    }
    let options = fields.get("stream_options");
    let wanted = options.and_then(|options| options.get("include_usage")).and_then(Value::as_bool).unwrap_or_default();
    Delivery::Stream { usage: if wanted { Usage::Wanted } else { Usage::NotWanted } }
}

/// Whether there is chance in it. A server whose default is not known may have any.
fn sampling(fields: &Map<String, Value>, served: &Served) -> Sampling {
    let zero = match fields.get("temperature") {
        Some(value) if !value.is_null() => value.as_f64() == Some(0.0),
        _ => served.temperature == Temperature::Zero,
    };
    // Where the server is not known, what else it may make of these is not known either. mlx_lm takes the most probable
    // token at temperature 0, whatever else there is.
    let more = ["xtc_probability", "best_of", "use_beam_search", "mirostat", "dynatemp_range"];
    let greedy = match served.dialect {
        Dialect::MlxLm => zero,
        Dialect::Other => zero && !more.iter().any(|name| fields.contains_key(*name)),
    };
    if greedy { Sampling::Greedy } else { Sampling::Sampled }
}

/// A field that cannot be served, with the reason.
fn invalid(param: impl Into<String>, why: impl Into<String>) -> Refusal {
    let param = param.into();
    Refusal::new(Code::InvalidParameter, format!("`{param}`: {}.", why.into())).param(param)
}

/// A field that is not for clients to set.
fn not_allowed(param: impl Into<String>, why: impl Into<String>) -> Refusal {
    let param = param.into();
    Refusal::new(Code::ParameterNotAllowed, format!("`{param}` is not for clients to set: {}.", why.into()))
        .param(param)
}
