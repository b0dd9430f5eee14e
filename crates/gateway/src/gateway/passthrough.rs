//! What is not about a model: passed on to the first server once, as it is, and its answer back.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Response};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};

use crate::admission::{Entry, Outcome, Standing};
use crate::answer::Body;
use crate::exchange::{Common, Route, SETTLE};
use crate::front::Incoming;
use crate::request::Catalogue;
use crate::upstream::{self, Accept, Call, End, Frame, Verb};
use crate::{Code, Refusal};

/// How much of an answer is taken.
const ANSWER_LIMIT: usize = 32 << 20;

/// What makes a server load something.
const NOT_ALLOWED: [&str; 3] = ["adapters", "draft_model", "model_path"];

pub(super) async fn answer(
    common: &Common,
    route: &Route,
    catalogue: &Catalogue,
    incoming: Incoming,
) -> Response<Body> {
    match pass(common, route, catalogue, incoming).await {
        Ok(response) => response,
        Err(refusal) => refusal.response().map(Body::from),
    }
}

async fn pass(
    common: &Common,
    route: &Route,
    catalogue: &Catalogue,
    incoming: Incoming,
) -> Result<Response<Body>, Refusal> {
    // Only the path and the query: whatever else a request line may hold, the address is ours.
    let path = incoming.head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let verb = if incoming.head.method == Method::GET {
        Verb::Get
    } else {
        harmless(&incoming.body, catalogue)?;
        Verb::Post(incoming.body)
    };
    let deadline = Instant::now() + common.hold_budget;
    let entry = Entry { client: incoming.client.into(), deadline, arrived: None, standing: Standing::Fresh };
    let permit = route.gate.enter(entry).await?;
    // It is not put to sleep meanwhile.
    let _use = common.observer.in_use(&route.server);
    let crashed = |why: String| Refusal::new(Code::BackendCrashed, format!("the server did not answer: {why}"));
    let connection =
        upstream::connect(permit.address(), common.stall_timeout).await.map_err(|why| crashed(why.to_string()))?;
    let calling = connection.call(Call { verb, path, accept: Accept::Json });
    let mut attempt = match timeout(common.stall_timeout, calling).await {
        Ok(called) => called.map_err(|why| crashed(why.to_string()))?,
        Err(_) => return Err(Refusal::new(Code::UpstreamTimeout, "the server said nothing for too long")),
    };
    let mut body = Vec::new();
    let end = loop {
        match timeout(common.stall_timeout, attempt.body.frame()).await {
            Ok(Ok(Frame::Data(bytes))) if body.len() + bytes.len() <= ANSWER_LIMIT => body.extend_from_slice(&bytes),
            Ok(Ok(Frame::Data(_))) => {
                return Err(Refusal::new(Code::BadUpstreamResponse, "the server's answer is too large"));
            }
            Ok(Ok(Frame::End(end))) => break end,
            Ok(Err(broken)) => return Err(crashed(broken.to_string())),
            Err(_) => return Err(Refusal::new(Code::UpstreamTimeout, "the server said nothing for too long")),
        }
    };
    if end == End::Eof && attempt.status.is_success() && !is_whole_json(&body) {
        // A server that is killed ends its answer just like one that is done. Its death is known a moment later.
        if timeout(SETTLE, permit.gone()).await.is_ok() {
            permit.finish(Outcome::BackendDied);
            return Err(crashed("it went down while it answered".to_owned()));
        }
    }
    // No completion: it does not show that the server generates.
    permit.finish(Outcome::Failed);
    common.observer.progressed(&route.server);
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = attempt.status;
    let kind = attempt.headers.remove(CONTENT_TYPE).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// Whether it says by itself that all of it is there.
fn is_whole_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// A body that makes no server load what it should not.
fn harmless(body: &[u8], catalogue: &Catalogue) -> Result<(), Refusal> {
    let fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(Code::InvalidJson, format!("the body is no JSON object: {error}")))?;
    if let Some(name) = NOT_ALLOWED.iter().find(|name| fields.contains_key(**name)) {
        let message = format!("`{name}` is not for clients to set.");
        return Err(Refusal::new(Code::ParameterNotAllowed, message).param(*name));
    }
    match fields.get("model") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(name)) if catalogue.get(name).is_some() => Ok(()),
        Some(Value::String(name)) => Err(catalogue.not_found(name)),
        Some(_) => Err(Refusal::new(Code::InvalidParameter, "`model` is a string.").param("model")),
    }
}
