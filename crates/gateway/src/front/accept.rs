//! The accept loop: who gets a connection, who gives one up, and how it ends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{ClientKey, Departure, FrontConfig, Incoming, RequestId, Service, Stop};
use crate::answer::Body;
use crate::{Code, Refusal};

/// What connections come from.
pub trait Acceptor: Send + Sync + 'static {
    /// The next one. Must be safe to drop before it resolves.
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Acceptor for TcpListener {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self).await
    }
}

pub(super) struct Core {
    pub(super) config: FrontConfig,
    pub(super) service: Arc<dyn Service>,
}

pub(super) async fn run<A: Acceptor>(
    core: Arc<Core>,
    acceptor: A,
    _address: SocketAddr,
    mut stop: watch::Receiver<Stop>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            changed = stop.wait_for(|stop| *stop != Stop::Not) => {
                if matches!(changed.as_deref(), Ok(Stop::Drain)) {
                    while connections.join_next().await.is_some() {}
                }
                return;
            }
            accepted = acceptor.accept() => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(Arc::clone(&core), stream, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept.failed");
                    tokio::time::sleep(core.config.limits.accept_pause).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(core: Arc<Core>, stream: TcpStream, peer: SocketAddr) {
    let departure = Departure::default();
    let answer = |request: Request<hyper::body::Incoming>| {
        let core = Arc::clone(&core);
        let gone = departure.gone();
        async move {
            let (head, body) = request.into_parts();
            let id = RequestId::of(&head.headers);
            if let Err(refusal) = core.service.route(&head) {
                return Ok(refusal.response().map(Body::from));
            }
            let limit = core.config.limits.body_bytes;
            let answer: Result<Response<Body>, hyper::Error> =
                match http_body_util::Limited::new(body, limit).collect().await.map(|body| body.to_bytes()) {
                    Ok(body) => {
                        let incoming = Incoming { head, body, peer, client: ClientKey::Address(peer.ip()), id, gone };
                        Ok(core.service.call(incoming).await)
                    }
                    Err(_) => Ok(Refusal::new(Code::BodyTooLarge, "The body is too large.").response().map(Body::from)),
                };
            answer
        }
    };
    let io = hyper_util::rt::TokioIo::new(stream);
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service_fn(answer)).await;
}
