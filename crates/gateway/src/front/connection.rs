//! One connection: its requests, one after the other, and its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::collect::{self, Budget, Failure, Held};
use super::config::Limits;
use super::door::{self, Page};
use super::link::{End, Link};
use super::signals::Signals;
use super::terms::Book;
use super::tokens::Fingerprint;
use super::wire::Wire;
use super::{ClientKey, Incoming, REQUEST_ID, RequestId, Route, Service};
use crate::answer::{Body, Cut};
use crate::{Code, Refusal};

/// The most that the HTTP library keeps of a head that it reads, and of an answer that it writes.
const LIBRARY_BUFFER: usize = 128 << 10;

/// What all connections share.
pub(super) struct Core {
    pub(super) terms: Book,
    pub(super) service: Arc<dyn Service>,
    pub(super) budget: Arc<Budget>,
    pub(super) signals: Arc<Signals>,
    /// Requests that are being served, without probes.
    pub(super) at_work: AtomicUsize,
}

/// Serves a connection until it ends.
pub(super) async fn serve(core: Arc<Core>, link: Arc<Link>, stream: TcpStream, peer: SocketAddr) {
    let presence = Presence(link);
    let link = &presence.0;
    let wire = Wire::new(stream, Arc::clone(link), Arc::clone(&core.signals), &core.terms.now().limits);
    let answer = |request: Request<hyper::body::Incoming>| {
        let turn = Turn { core: Arc::clone(&core), link: Arc::clone(link), load: Load::None, held: None };
        Box::pin(async move { Ok::<_, Infallible>(turn.answer(request, peer).await) })
    };
    let mut library = http1::Builder::new()
        .half_close(false)
        .header_read_timeout(None)
        .max_buf_size(LIBRARY_BUFFER)
        .serve_connection(wire, service_fn(answer));
    if let Err(error) = poll_fn(|cx| library.poll_without_shutdown(cx)).await {
        tracing::debug!(%peer, %error, "connection.broken");
    }
    let stream = library.into_parts().io.into_inner();
    link.finish(Instant::now());
    core.signals.free();
    close(stream, link.end(), core.terms.now().limits.linger).await;
}

/// Closing a socket with unread bytes resets it, and a client that is still sending would never read why it was refused. So
/// we say that we are done, and read what comes for a while.
async fn close(mut stream: TcpStream, end: End, linger: Duration) {
    match end {
        End::Left => {}
        // What is in the way to a client that does not read is dropped with the connection.
        End::Stalled => drop(stream.set_zero_linger()),
        End::Open => {
            let _ = timeout(linger, async {
                // Not on the stack: every connection would have the room for it from its beginning.
                let mut scratch = vec![0; 4096];
                stream.shutdown().await?;
                while stream.read(&mut scratch).await? > 0 {}
                std::io::Result::Ok(())
            })
            .await;
        }
    }
}

/// Tells the requests of a connection when it ends, however it ends.
struct Presence(Arc<Link>);

/// A request that is being answered.
struct Turn {
    core: Arc<Core>,
    link: Arc<Link>,
    load: Load,
    /// Its body's part of the budget.
    held: Option<Held>,
}

/// Whether a request counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    None,
    Work,
}

/// What comes through the door.
enum Admitted {
    /// A request.
    Request(Box<Incoming>),
    /// A browser's question whether it may ask, with the answer.
    Preflight(Response<Body>),
}

/// What is left of a request on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    Body,
}

/// What is known of a request while it is being answered.
struct Known {
    id: RequestId,
    page: Option<Page>,
    rest: Rest,
}

/// An answer on its way. Its turn ends with it.
pub(super) struct Answer {
    body: Body,
    turn: Turn,
    cut: Option<Cut>,
}

// === impl Presence ===

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.departure.happened();
    }
}

// === impl Turn ===

impl Turn {
    async fn answer(mut self, request: Request<hyper::body::Incoming>, peer: SocketAddr) -> Response<Answer> {
        let (head, body) = request.into_parts();
        let rest = if body.is_end_stream() { Rest::Nothing } else { Rest::Body };
        let mut known = Known { id: RequestId::of(&head.headers), page: None, rest };
        let chunked = head.headers.contains_key(TRANSFER_ENCODING);
        let served = AssertUnwindSafe(self.serve(head, body, peer, &mut known)).catch_unwind().await;
        let served = served.unwrap_or_else(|_| {
            tracing::error!(id = %known.id, "request.panicked");
            Err(Refusal::new(Code::InternalError, "This is a bug of mlx-tree; its log says more."))
        });
        let mut response = served.unwrap_or_else(|refusal| {
            let mut response = refusal.response().map(Body::from);
            door::complete(&refusal, &mut response);
            response
        });
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, known.id.header().clone());
        if let Some(page) = known.page {
            page.mark(headers);
        }
        // What follows a body in chunks is not read, whatever it is; nor is what follows one that was not read.
        if chunked || known.rest == Rest::Body || self.core.signals.is_draining() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Answer { body, turn: self, cut: None })
    }

    async fn serve(
        &mut self,
        head: Parts,
        body: hyper::body::Incoming,
        peer: SocketAddr,
        known: &mut Known,
    ) -> Result<Response<Body>, Refusal> {
        match self.let_in(head, body, peer, known).await {
            Ok(Admitted::Request(incoming)) => Ok(self.core.service.call(*incoming).await),
            Ok(Admitted::Preflight(answer)) => Ok(answer),
            Err(refusal) => {
                self.core.service.refused(&known.id, &refusal);
                Err(refusal)
            }
        }
    }

    async fn let_in(
        &mut self,
        head: Parts,
        body: hyper::body::Incoming,
        peer: SocketAddr,
        known: &mut Known,
    ) -> Result<Admitted, Refusal> {
        if let Some(refusal) = self.link.refusal() {
            return Err(refusal);
        }
        let terms = self.core.terms.now();
        known.page = terms.door.admit(&head.headers)?;
        if let Some(answer) = known.page.as_ref().and_then(|page| page.preflight(&head)) {
            return Ok(Admitted::Preflight(answer));
        }
        let token = Fingerprint::presented(&head.headers);
        let route = self.core.service.route(&head);
        if !matches!(route, Ok(Route::Probe)) {
            terms.door.authorise(token.as_ref())?;
        }
        match route? {
            Route::Probe => {}
            Route::Work => self.begin_work(&terms.limits)?,
        }
        let body = self.body(&head, body, &terms.limits).await?;
        known.rest = Rest::Nothing;
        let client = token.map_or(ClientKey::Address(peer.ip()), ClientKey::Token);
        let gone = self.link.departure.gone();
        let incoming = Incoming { head, body, peer, client, id: known.id.clone(), gone };
        Ok(Admitted::Request(Box::new(incoming)))
    }

    /// Some connections are kept free of work, so that a probe is answered whatever the load.
    fn begin_work(&mut self, limits: &Limits) -> Result<(), Refusal> {
        let most = limits.connections.saturating_sub(limits.reserved);
        self.load = Load::Work;
        if self.core.at_work.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        let refusal =
            Refusal::new(Code::ServerOverloaded, "Too many requests are open at once. Try again in a moment.");
        Err(refusal.retry_after(Duration::from_secs(1)))
    }

    async fn body(&mut self, head: &Parts, body: hyper::body::Incoming, limits: &Limits) -> Result<Bytes, Refusal> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        if let Some(coding) = head.headers.get(hyper::header::CONTENT_ENCODING)
            && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            let message = "Encoded bodies are not taken: send the request without `Content-Encoding`.";
            return Err(Refusal::new(Code::UnsupportedMediaType, message));
        }
        let held = self.held.insert(Held::new(Arc::clone(&self.core.budget)));
        collect::collect(body, limits, held).await.map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Broken => self.link.refusal().unwrap_or_else(|| {
                Refusal::new(Code::MalformedRequest, "The request's body has not come whole.").close()
            }),
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.load == Load::Work {
            self.core.at_work.fetch_sub(1, Ordering::Relaxed);
        }
        self.link.answered();
    }
}

// === impl Answer ===

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let answer = self.get_mut();
        if answer.cut.is_none() {
            match ready!(Pin::new(&mut answer.body).poll_frame(cx)) {
                Some(Err(cut)) => answer.cut = Some(cut),
                other => return Poll::Ready(other),
            }
        }
        // The library drops what it has not written when a body fails, and the last of that may say why it does.
        ready!(answer.turn.link.poll_flushed(cx));
        Poll::Ready(answer.cut.map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
