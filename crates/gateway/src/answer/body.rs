//! What goes back to a client: bytes that are all there, or frames as they come, with an end that cannot be mistaken.
//!
//! A stream is over when its [`Sender`] says so with [`Sender::finish`]. A sender that is dropped before (because its task
//! failed, panicked or was aborted) cuts the connection instead, without the chunk that would make the answer look whole.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// The body of an answer.
pub struct Body(Kind);

enum Kind {
    Whole(Bytes),
    Stream(Stream),
    Over,
}

struct Stream {
    pieces: mpsc::Receiver<Piece>,
    /// What fills the channel, if that is done in place.
    relay: Option<BoxFuture<'static, ()>>,
}

enum Piece {
    Data(Bytes),
    End,
}

/// The filling end of a streamed [`Body`]. Dropped without [`Sender::finish`], it cuts the connection.
#[derive(Debug)]
pub struct Sender(mpsc::Sender<Piece>);

/// The client has left, so nothing more can be sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has left")]
pub struct Left;

/// A streamed answer ended before it was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer was cut")]
pub struct Cut;

// === impl Body ===

impl Body {
    /// A body that is all there.
    #[must_use]
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Whole(bytes.into()))
    }

    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self(Kind::Over)
    }

    /// A body that is filled through a channel of at most `frames` frames, by another task.
    ///
    /// # Panics
    /// When `frames` is 0.
    #[must_use]
    pub fn channel(frames: usize) -> (Sender, Self) {
        let (sender, pieces) = mpsc::channel(frames);
        (Sender(sender), Self(Kind::Stream(Stream { pieces, relay: None })))
    }

    /// A body that `fill` writes, in place: the future is polled when the connection can take more, without a task of its
    /// own, and is dropped with the body, as soon as the client leaves.
    ///
    /// # Panics
    /// When `frames` is 0.
    #[must_use]
    pub fn relay<F>(frames: usize, fill: impl FnOnce(Sender) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, pieces) = mpsc::channel(frames);
        Self(Kind::Stream(Stream { pieces, relay: Some(Box::pin(fill(Sender(sender)))) }))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let body = self.get_mut();
        let answer = match &mut body.0 {
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)))
            }
            Kind::Stream(stream) => match ready!(stream.poll_piece(cx)) {
                Some(Piece::Data(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Piece::End) => None,
                None => Some(Err(Cut)),
            },
            Kind::Over => None,
        };
        body.0 = Kind::Over;
        Poll::Ready(answer)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream(_) => false,
            Kind::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
            Kind::Over => SizeHint::with_exact(0),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::whole(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
            Kind::Over => f.write_str("Body(over)"),
        }
    }
}

// === impl Stream ===

impl Stream {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let Some(relay) = &mut self.relay else { return self.pieces.poll_recv(cx) };
        // Whoever fills it in place has nobody to wake: it is our own poll that lets it.
        if let Ok(piece) = self.pieces.try_recv() {
            return Poll::Ready(Some(piece));
        }
        if relay.as_mut().poll(cx).is_ready() {
            self.relay = None;
            return self.pieces.poll_recv(cx);
        }
        self.pieces.try_recv().map_or(Poll::Pending, |piece| Poll::Ready(Some(piece)))
    }
}

// === impl Sender ===

impl Sender {
    /// Sends a frame, waiting while the client does not read. An empty frame is nothing.
    ///
    /// # Errors
    /// When the client has left.
    pub async fn send(&self, bytes: impl Into<Bytes>) -> Result<(), Left> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(());
        }
        self.0.send(Piece::Data(bytes)).await.map_err(|_| Left)
    }

    /// Ends the body properly.
    ///
    /// # Errors
    /// When the client has left.
    pub async fn finish(self) -> Result<(), Left> {
        self.0.send(Piece::End).await.map_err(|_| Left)
    }

    /// Cuts the body after what was sent: all of that is written to the client first, then the connection ends in a way that
    /// no client takes for a whole answer.
    pub fn cut(self) {
        drop(self);
    }

    /// Resolves when the client has left.
    pub async fn left(&self) {
        self.0.closed().await;
    }
}

// === impl Cut ===

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
