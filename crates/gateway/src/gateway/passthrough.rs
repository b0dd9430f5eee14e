//! What is not about a model: passed on to the first server once, as it is, and its answer back.

use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Response};
use mlx_tree_api::{AttemptEnd, RequestOutcome};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};

use crate::admission::{Entry, Outcome, Standing};
use crate::answer::Body;
use crate::exchange::verdict::Level;
use crate::exchange::{Account, Common, Route, SETTLE, Visit};
use crate::front::Incoming;
use crate::request::Catalogue;
use crate::upstream::{self, Accept, Call, Connection, End, Frame, Verb};
use crate::{Code, Refusal};

/// How much of an answer is taken.
const ANSWER_LIMIT: usize = 32 << 20;

/// What makes a server load something.
const NOT_ALLOWED: [&str; 3] = ["adapters", "draft_model", "model_path"];

pub(super) async fn answer(common: &Arc<Common>, route: &Route, incoming: Incoming) -> Response<Body> {
    let mut account = Account::open(Arc::clone(common), incoming.id.clone(), Instant::now());
    account.is_for(&route.server);
    match pass(common, route, incoming, &mut account).await {
        Ok(response) => {
            account.answered(RequestOutcome::Answered);
            response
        }
        Err(refusal) => {
            account.refused(&refusal, Level::Nothing);
            refusal.response().map(Body::from)
        }
    }
}

async fn pass(
    common: &Common,
    route: &Route,
    incoming: Incoming,
    account: &mut Account,
) -> Result<Response<Body>, Refusal> {
    // Only the path and the query: whatever else a request line may hold, the address is ours.
    let path = incoming.head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let verb = if incoming.head.method == Method::GET {
        Verb::Get
    } else {
        harmless(&incoming.body, &common.catalogue)?;
        Verb::Post(incoming.body)
    };
    let deadline = Instant::now() + common.hold_budget;
    let entry = Entry { client: incoming.client.into(), deadline, arrived: None, standing: Standing::Fresh };
    account.waits();
    let entered = route.gate.enter(entry).await;
    account.waited();
    let permit = entered?;
    account.attempt();
    let connection =
        upstream::connect(permit.address(), common.stall_timeout).await.map_err(|why| crashed(&why.to_string()))?;
    let mut visit = Visit::new(common.observer.clone(), route.server.clone(), permit.epoch(), incoming.id);
    visit.begin();
    let (mut attempt, body) = match hear(common, connection, Call { verb, path, accept: Accept::Json }).await {
        Ok((attempt, body, End::Eof)) if attempt.status.is_success() && !is_whole_json(&body) => {
            // A server that is killed ends its answer just like one that is done. Its death is known a moment later.
            if timeout(SETTLE, permit.gone()).await.is_ok() {
                visit.end(AttemptEnd::Broken);
                permit.finish(Outcome::BackendDied);
                return Err(crashed("it went down while it answered"));
            }
            (attempt, body)
        }
        Ok((attempt, body, End::Eof | End::Framed)) => (attempt, body),
        Err(refusal) => {
            visit.end(AttemptEnd::Broken);
            return Err(refusal);
        }
    };
    visit.end(AttemptEnd::Answered);
    // No completion: it does not show that the server generates.
    permit.finish(Outcome::Failed);
    common.observer.progressed(&route.server);
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = attempt.status;
    let kind = attempt.headers.remove(CONTENT_TYPE).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// The server's answer, all of it.
async fn hear(
    common: &Common,
    connection: Connection,
    call: Call,
) -> Result<(upstream::Attempt, Vec<u8>, End), Refusal> {
    let silent = |_| Refusal::new(Code::UpstreamTimeout, "the server said nothing for too long");
    let called = timeout(common.stall_timeout, connection.call(call)).await.map_err(silent)?;
    let mut attempt = called.map_err(|why| crashed(&why.to_string()))?;
    let mut body = Vec::new();
    loop {
        match timeout(common.stall_timeout, attempt.body.frame()).await.map_err(silent)? {
            Ok(Frame::Data(bytes)) if body.len() + bytes.len() <= ANSWER_LIMIT => body.extend_from_slice(&bytes),
            Ok(Frame::Data(_)) => {
                return Err(Refusal::new(Code::BadUpstreamResponse, "the server's answer is too large"));
            }
            Ok(Frame::End(end)) => return Ok((attempt, body, end)),
            Err(broken) => return Err(crashed(&broken.to_string())),
        }
    }
}

fn crashed(why: &str) -> Refusal {
    Refusal::new(Code::BackendCrashed, format!("the server did not answer: {why}"))
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
