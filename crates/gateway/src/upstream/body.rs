//! What a server says, frame by frame, and how it ends.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use hyper_util::rt::TokioIo;

use super::socket::Socket;

/// The body of an answer. Dropped, it closes the connection at once.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    drive: Drive,
    framing: Framing,
}

/// Something of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// More of it, as it arrived: never empty, and of at most some 64 KiB.
    Data(Bytes),
    /// It is over.
    End(End),
}

/// How a body ended that was not broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has said that this was all: it had a length, or a last chunk.
    Framed,
    /// The connection was closed, which says nothing: a server that is killed looks the same.
    Eof,
}

/// The body broke off: the connection was reset, or ended inside what was announced.
#[derive(Debug, thiserror::Error)]
#[error("the server's answer broke off")]
pub struct Broken(#[source] hyper::Error);

/// How a body says where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Framed,
    Eof,
}

/// What moves the bytes. It has to be polled whenever somebody waits for something of the connection.
#[derive(Debug)]
pub(super) struct Drive(Option<Box<http1::Connection<TokioIo<Socket>, Full<Bytes>>>>);

// === impl Body ===

impl Body {
    pub(super) const fn new(incoming: Incoming, drive: Drive, framing: Framing) -> Self {
        Self { incoming, drive, framing }
    }

    /// The next bytes, or how the body ended; after that it is not to be asked again. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Broken`]: nothing more will come.
    pub async fn frame(&mut self) -> Result<Frame, Broken> {
        poll_fn(|context| self.poll_frame(context)).await
    }

    /// The same as [`Body::frame`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, Broken>> {
        self.drive.poll(context);
        self.poll_incoming()
    }

    /// What the drive has brought. Nobody else brings anything, so there is nothing to be woken for: whoever waits polls it again.
    fn poll_incoming(&mut self) -> Poll<Result<Frame, Broken>> {
        let context = &mut Context::from_waker(Waker::noop());
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.incoming).poll_frame(context)) {
                None => Ok(Frame::End(self.framing.end())),
                Some(Err(error)) => Err(Broken(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Ok(Frame::Data(data)),
                    // Trailers are nobody's business.
                    Ok(_) | Err(_) => continue,
                },
            });
        }
    }
}

// === impl Framing ===

impl Framing {
    /// How the body of an answer with this head ends. That length and chunks make sense hyper has seen to.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let codings = headers.get_all(TRANSFER_ENCODING).iter().next_back();
        let chunked = codings.and_then(|coding| coding.to_str().ok()?.rsplit(',').next());
        let chunked = chunked.is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"));
        if bodiless || chunked || headers.contains_key(CONTENT_LENGTH) { Self::Framed } else { Self::Eof }
    }

    const fn end(self) -> End {
        match self {
            Self::Framed => End::Framed,
            Self::Eof => End::Eof,
        }
    }
}

// === impl Drive ===

impl Drive {
    pub(super) fn new(connection: http1::Connection<TokioIo<Socket>, Full<Bytes>>) -> Self {
        Self(Some(Box::new(connection)))
    }

    /// Waits for `future`, which waits for the connection.
    pub(super) async fn along<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            self.poll(context);
            future.as_mut().poll(context)
        })
        .await
    }

    /// Moves what can be moved. What goes wrong is told to those who wait, so the result is of no interest; but a connection
    /// that is over must be let go of, or they would wait for ever.
    fn poll(&mut self, context: &mut Context<'_>) {
        if self.0.as_mut().is_some_and(|connection| Pin::new(connection).poll(context).is_ready()) {
            self.0 = None;
        }
    }
}
