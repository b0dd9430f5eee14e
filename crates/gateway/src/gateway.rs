//! The gateway as a whole: which request goes which way.
//!
//! ```text
//! GET  /health                                    would a request be served, or held?
//! GET  /v1/models, /v1/models/{name}              from the configuration
//! POST /v1/chat/completions, /v1/completions,     ─▶ exchange
//!      /v1/embeddings (and without /v1)
//! GET  /running, POST /unload                     which models are in memory, and which are to go
//! GET, POST  anything else                        ─▶ the first server, as it is, once
//! ```

mod health;
mod passthrough;
mod residents;
mod terms;

pub use terms::Terms;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admission::{BudgetLimits, Gate, Limits, Quarantine, QuarantineLimits, RetryBudget, Snapshot};
use crate::answer::Body;
use crate::backend::{Backend, Observer};
use crate::divert::Fallback;
use crate::exchange::verdict::Level;
use crate::exchange::{Account, Caller, Common, Continuation, Ending, Route, exchange};
use crate::front::{self, Incoming, RequestId, Service, require_json};
use crate::request::{self, Catalogue, Endpoint, Listed};
use crate::{Code, Refusal};

/// What a gateway is made of.
pub struct Plan {
    /// The models that there are.
    pub catalogue: Catalogue,
    /// The servers; the first one also gets what is not about a model.
    pub servers: Vec<Member>,
    /// How much goes to each of them, and how much waits.
    pub limits: Limits,
    /// How long a request may wait, for its turn and for restarts together.
    pub hold_budget: Duration,
    /// A server that says nothing for so long is given up by the request that waits for it.
    pub stall_timeout: Duration,
    /// After so long without an answer a streaming client is sent a status and comments:
    /// [`OPEN_AFTER`](crate::exchange::OPEN_AFTER), but for tests.
    pub open_after: Duration,
    /// What becomes of a greedy stream that is cut.
    pub continuation: Continuation,
    /// Who else may answer.
    pub fallback: Option<Arc<dyn Fallback>>,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
}

/// One server of a [`Plan`].
pub struct Member {
    /// Its name, as in the catalogue.
    pub server: Arc<str>,
    /// What it is, for `x-mlx-tree-backend`: `mlx_lm`.
    pub kind: Arc<str>,
    /// What it is doing.
    pub backend: watch::Receiver<Backend>,
}

/// The data plane.
pub struct Gateway {
    routes: BTreeMap<Arc<str>, Arc<Route>>,
    first: Option<Arc<Route>>,
    /// What a request takes with it when it begins.
    common: RwLock<Arc<Common>>,
    ending: watch::Sender<Ending>,
    created: u64,
}

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way<'a> {
    Health,
    Models,
    Model(&'a str),
    Ask(Endpoint),
    Running,
    Unload,
    Through,
}

// === impl Gateway ===

impl Gateway {
    /// A gateway, before it is served by a [`front::Front`].
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let Plan {
            catalogue,
            servers,
            limits,
            hold_budget,
            stall_timeout,
            open_after,
            continuation,
            fallback,
            observer,
        } = plan;
        let route = |member: Member| {
            Arc::new(Route {
                gate: Gate::new(member.server.clone(), limits, member.backend.clone(), Arc::clone(&observer)),
                kind: RwLock::new(member.kind),
                server: member.server,
                backend: member.backend,
                quarantine: Mutex::new(Quarantine::new(QuarantineLimits::default())),
                retries: Mutex::new(RetryBudget::new(budget(limits.max_inflight))),
            })
        };
        let routes: Vec<_> = servers.into_iter().map(route).collect();
        let first = routes.first().cloned();
        let routes = routes.into_iter().map(|route| (route.server.clone(), route)).collect();
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let (ending, ended) = watch::channel(Ending::Not);
        let common = Common {
            catalogue,
            ending: ended,
            max_queue: limits.max_queue,
            hold_budget,
            stall_timeout,
            open_after,
            continuation,
            observer,
            fallback,
        };
        Self { routes, first, common: RwLock::new(Arc::new(common)), ending, created }
    }

    fn common(&self) -> Arc<Common> {
        Arc::clone(&self.common.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What goes on at each server, by its name.
    pub fn snapshots(&self) -> impl Iterator<Item = (&str, Snapshot)> {
        self.routes.iter().map(|(server, route)| (&**server, route.gate.snapshot()))
    }

    /// Brings the gate of `server` up to date. When this has returned, whoever was let in by what was known before counts as in
    /// use, and nobody else will be.
    pub fn catch_up(&self, server: &str) {
        if let Some(route) = self.routes.get(server) {
            let _ = route.gate.snapshot();
        }
    }

    /// Ends what is in flight, telling each client so, until [`Gateway::reopen`]. What waits is not concerned.
    pub fn end_now(&self) {
        self.ending.send_replace(Ending::Now);
    }

    /// Lets what begins from now on take its time.
    pub fn reopen(&self) {
        self.ending.send_replace(Ending::Not);
    }

    async fn answer(&self, incoming: Incoming) -> Response<Body> {
        let common = self.common();
        match way(incoming.head.uri.path()) {
            Way::Health => self.health(&common),
            Way::Models => {
                json(request::listing(&common.catalogue, &self.listed(), self.created, Instant::now()).into())
            }
            Way::Model(name) => {
                match request::one(&common.catalogue, &decoded(name), &self.listed(), self.created, Instant::now()) {
                    Ok(body) => json(body.into()),
                    Err(refusal) => refusal.response().map(Body::from),
                }
            }
            Way::Ask(endpoint) => self.ask(common, endpoint, incoming).await,
            Way::Running => told(&residents::running(&common.catalogue, |server| self.routes.get(server))),
            Way::Unload => match residents::unload(&common.catalogue, &*common.observer, &incoming.body).await {
                Ok(outcome) => told(&outcome),
                Err(refusal) => refusal.response().map(Body::from),
            },
            Way::Through => match &self.first {
                Some(route) => Box::pin(passthrough::answer(&common, route, incoming)).await,
                None => nothing_here().response().map(Body::from),
            },
        }
    }

    async fn ask(&self, common: Arc<Common>, endpoint: Endpoint, incoming: Incoming) -> Response<Body> {
        let since = Instant::now();
        let account = Account::open(Arc::clone(&common), incoming.id.clone(), since);
        let asked = request::read(endpoint, &incoming.head.headers, &incoming.body, &common.catalogue);
        let (ask, route) = match asked.and_then(|ask| Ok((self.routes.get(&ask.server).ok_or_else(no_server)?, ask))) {
            Ok((route, ask)) => (ask, route),
            Err(refusal) => {
                account.refused(&refusal, Level::Nothing);
                return refusal.response().map(Body::from);
            }
        };
        let patience = request::deadline(&incoming.head.headers);
        let caller = Caller { id: incoming.id, client: incoming.client.into(), patience, since };
        exchange(common, Arc::clone(route), ask, caller, account).await
    }

    fn listed(&self) -> Vec<Listed> {
        let listed =
            |route: &Arc<Route>| Listed { server: route.server.to_string(), backend: route.backend.borrow().clone() };
        self.routes.values().map(listed).collect()
    }

    fn health(&self, common: &Common) -> Response<Body> {
        match &self.first {
            Some(route) => health::answer(common, route),
            None => nothing_here().response().map(Body::from),
        }
    }
}

impl Service for Gateway {
    fn route(&self, head: &Parts) -> Result<front::Route, Refusal> {
        let (way, method) = (way(head.uri.path()), &head.method);
        let allowed = match way {
            Way::Health | Way::Models | Way::Model(_) | Way::Running => matches!(*method, Method::GET | Method::HEAD),
            Way::Ask(_) | Way::Unload => *method == Method::POST,
            Way::Through => matches!(*method, Method::GET | Method::POST),
        };
        if way == Way::Through && is_ours_in_disguise(head.uri.path()) {
            return Err(Refusal::new(Code::NotFound, "This path is another one's in disguise; write it plainly."));
        }
        if !allowed {
            let message = format!("{} does not take {method}.", head.uri.path());
            return Err(Refusal::new(Code::MethodNotAllowed, message));
        }
        if *method == Method::POST {
            require_json(head)?;
        }
        Ok(if way == Way::Health { front::Route::Probe } else { front::Route::Work })
    }

    fn call(&self, incoming: Incoming) -> BoxFuture<'_, Response<Body>> {
        self.answer(incoming).boxed()
    }

    fn refused(&self, id: &RequestId, refusal: &Refusal) {
        Account::open(self.common(), id.clone(), Instant::now()).refused(refusal, Level::Nothing);
    }
}

/// Second attempts for all that one end of the server cuts off, and beyond that for a fifth of what comes.
fn budget(max_inflight: NonZeroUsize) -> BudgetLimits {
    BudgetLimits { free: u32::try_from(max_inflight.get()).unwrap_or(u32::MAX), ..BudgetLimits::default() }
}

fn way(path: &str) -> Way<'_> {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    match path.strip_prefix("/v1").unwrap_or(path) {
        "/health" => Way::Health,
        "/running" => Way::Running,
        "/unload" => Way::Unload,
        "/models" => Way::Models,
        "/chat/completions" => Way::Ask(Endpoint::Chat),
        "/completions" => Way::Ask(Endpoint::Completions),
        "/embeddings" => Way::Ask(Endpoint::Embeddings),
        other => match other.strip_prefix("/models/") {
            Some(name) => Way::Model(name),
            None => Way::Through,
        },
    }
}

/// Whether a server could read a path as one of ours that we ourselves do not: Python's takes `//v1` for `/v1`, others undo
/// escapes. What is passed on as it is must not be a request that is checked before.
fn is_ours_in_disguise(path: &str) -> bool {
    let decoded = decoded(path).replace('\\', "/");
    let mut steps = Vec::new();
    for step in decoded.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    way(&format!("/{}", steps.join("/"))) != Way::Through
}

/// A name out of a path: `%2F` is a slash of it. What is no proper escape stays as it is.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| std::str::from_utf8(after.get(..2)?).ok()).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn json(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn told(value: &serde_json::Value) -> Response<Body> {
    json(bytes::Bytes::from(value.to_string()).into())
}

fn no_server() -> Refusal {
    Refusal::new(Code::InternalError, "this model has no server")
}

fn nothing_here() -> Refusal {
    Refusal::new(Code::NotFound, "there is no server behind this gateway")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_with_and_without_v1() {
        assert_eq!(way("/v1/chat/completions"), Way::Ask(Endpoint::Chat));
        assert_eq!(way("/chat/completions"), Way::Ask(Endpoint::Chat));
        assert_eq!(way("/v1/completions/"), Way::Ask(Endpoint::Completions));
        assert_eq!(way("/health"), Way::Health);
        assert_eq!(way("/v1/models/a/b"), Way::Model("a/b"));
        assert_eq!(way("/"), Way::Through);
        assert_eq!(way("/v1"), Way::Through);
        assert_eq!(way("/v1/v1/models"), Way::Through);
    }

    #[test]
    fn a_path_that_a_server_could_take_for_one_of_ours_is_known() {
        for path in [
            "//v1/chat/completions",
            "/v1//completions",
            "/v1/chat%2Fcompletions",
            "/%76%31/completions",
            "/./v1/embeddings",
            "/x/../v1/completions",
            "/v1\\completions",
            "/v1/x/%2e%2e/completions",
            "//unload",
        ] {
            assert!(way(path) == Way::Through && is_ours_in_disguise(path), "{path}");
        }
        for path in ["/", "/v1", "/v1/messages", "/tokenize", "/docs//a", "/v1/chat", "/a%20b", "/%"] {
            assert!(way(path) == Way::Through && !is_ours_in_disguise(path), "{path}");
        }
    }

    #[test]
    fn a_name_in_a_path_may_be_escaped() {
        assert_eq!(decoded("mlx-community%2FQwen3"), "mlx-community/Qwen3");
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(decoded("%ff"), "\u{fffd}");
    }
}
