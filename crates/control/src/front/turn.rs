//! One connection: its requests one after the other, each in its turn.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response, StatusCode};
use futures_util::FutureExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::Limits;
use super::link::Link;
use super::wire::Wire;
use crate::pace::{Bucket, Pace};
use crate::routes::answers::{self, Busy};
use crate::{Token, guard};

/// A head must fit into it, and no more of an answer than this is kept for a caller that does not read.
const BUFFER: usize = 64 << 10;

/// No caller has reason to send more.
const HEADERS: usize = 64;

/// What all connections share.
pub(super) struct Core {
    pub(super) limits: Limits,
    pub(super) router: Router,
    pub(super) token: Token,
    pub(super) bucket: Mutex<Bucket>,
}

/// Serves a connection until it ends or is overdue.
pub(super) async fn serve(core: Arc<Core>, link: Arc<Link>, stream: TcpStream) {
    let wire = Wire::new(stream, Arc::clone(&link));
    let answer = |request: Request<Incoming>| {
        link.begin();
        let (core, link) = (Arc::clone(&core), Arc::clone(&link));
        async move { Ok::<_, Infallible>(core.answer(request, &link).await.map(|body| Told { body, link })) }
    };
    let connection = http1::Builder::new()
        .half_close(false)
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS)
        .serve_connection(wire, service_fn(answer));
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "control.connection_broken");
        },
        () = link.overdue() => tracing::debug!("control.connection_overdue"),
    }
}

/// A body that tells the link when all of it is with the library, or when nobody wants it any more.
struct Told {
    body: Body,
    link: Arc<Link>,
}

// === impl Core ===

impl Core {
    async fn answer(&self, request: Request<Incoming>, link: &Link) -> Response<Body> {
        let known = guard::admit_bearer(request.headers(), &self.token).is_ok();
        if !known && self.take() == Pace::Exceeded {
            link.repent();
            sleep(self.limits.penance).await;
            return answers::marked(answers::busy(Busy::Requests));
        }
        let routed = AssertUnwindSafe(TowerToHyperService::new(self.router.clone()).call(request)).catch_unwind();
        match routed.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(never)) => match never {},
            Err(_panic) => {
                let code = StatusCode::INTERNAL_SERVER_ERROR;
                answers::marked(answers::error(code, "internal", "this is a bug of mlx-tree; see its log", None))
            }
        }
    }

    fn take(&self) -> Pace {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }
}

// === impl Told ===

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.link.answered();
    }
}
