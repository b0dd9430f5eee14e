//! The side that clients see: connections, strict framing, limits, and who may ask.
//!
//! ```text
//! TcpListener ─▶ accept ─▶ wire ─▶ hyper ─▶ door ─▶ collect ─▶ Service
//!                slots     framing          Host    the body
//!                drain     timers           Origin  budget
//!                          write watch      token
//! ```
//!
//! What reaches a [`Service`] is a whole request of proper HTTP/1.1, within all limits, from somebody who may ask. Everything
//! else is answered here, in OpenAI's shape.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::Response;
use hyper::http::request::Parts;
use tokio::sync::watch;

use crate::Refusal;
use crate::answer::Body;

mod accept;
mod collect;
mod config;
mod connection;
mod door;
mod framing;
mod identity;
mod link;
mod signals;
mod terms;
mod tokens;
mod wire;

use connection::Core;
use terms::Book;

pub use accept::Acceptor;
pub use config::{FrontConfig, Limits, needs_tokens};
pub use identity::{ClientKey, Departure, Gone, REQUEST_ID, RequestId};
pub use tokens::{Fingerprint, Tokens};

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// Where a request belongs, or why it belongs nowhere, by its head alone: told before its body is read. The place for 404,
    /// 405 and [`require_json`].
    ///
    /// # Errors
    /// The refusal that is the answer.
    fn route(&self, head: &Parts) -> Result<Route, Refusal>;

    /// Answers a request. The future is dropped when the client leaves, and a panic in it is a 500.
    fn call(&self, incoming: Incoming) -> BoxFuture<'_, Response<Body>>;

    /// A request was refused before it could be asked of [`Service::call`].
    fn refused(&self, id: &RequestId, refusal: &Refusal) {
        let _ = (id, refusal);
    }
}

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// It is answered at once, from memory, and tells no secrets: it has reserved connections and needs no token.
    Probe,
    /// Everything else.
    Work,
}

/// A whole request from somebody who may ask.
#[derive(Debug)]
pub struct Incoming {
    /// Its head.
    pub head: Parts,
    /// Its body, all of it.
    pub body: Bytes,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Who asks.
    pub client: ClientKey,
    /// Its number.
    pub id: RequestId,
    /// Whether the client is still there.
    pub gone: Gone,
}

/// What becomes of a front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It serves.
    Not,
    /// No new connection; those without a request are closed, the others when they are answered.
    Drain,
    /// Every connection is closed.
    Abort,
}

/// The side that clients see.
pub struct Front {
    config: watch::Receiver<FrontConfig>,
    service: Arc<dyn Service>,
}

// === impl Front ===

impl Front {
    /// A front before `service`.
    #[must_use]
    pub fn new(config: FrontConfig, service: Arc<dyn Service>) -> Self {
        Self::following(watch::Sender::new(config).subscribe(), service)
    }

    /// A front that goes by the latest of `config`: who may ask holds for each request that comes, also on connections that
    /// are there; the timers of a connection are those of its beginning.
    #[must_use]
    pub const fn following(config: watch::Receiver<FrontConfig>, service: Arc<dyn Service>) -> Self {
        Self { config, service }
    }

    /// Serves whoever connects to `acceptor`, under the port of `address`. Resolves when `stop` has said [`Stop::Drain`] and
    /// the last connection has ended, or at once with [`Stop::Abort`] or when its sender is gone. Dropping the future closes
    /// every connection.
    pub async fn serve<A: Acceptor>(self, acceptor: A, address: SocketAddr, stop: watch::Receiver<Stop>) {
        let core = Core {
            terms: Book::new(self.config, address),
            service: self.service,
            budget: Arc::default(),
            signals: Arc::default(),
            at_work: AtomicUsize::new(0),
        };
        accept::run(Arc::new(core), acceptor, stop).await;
    }
}

/// Refuses a request that is not marked as JSON: what a form on a web page can send without asking.
///
/// # Errors
/// 415.
pub fn require_json(head: &Parts) -> Result<(), Refusal> {
    let kind = head.headers.get(hyper::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|value| value.split(';').next()).map(str::trim);
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(Refusal::new(crate::Code::UnsupportedMediaType, "This needs `Content-Type: application/json`."))
}
