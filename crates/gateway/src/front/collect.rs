//! The body of a request, read whole: within its size, its time, its rate, and the sum of all of them.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::time::Instant;

use super::config::Limits;
use crate::{Code, Refusal};

/// The bytes of all bodies that are held.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

/// Why there is no body.
#[derive(Debug)]
pub(super) enum Failure {
    /// A limit.
    Refused(Refusal),
    /// The connection broke, or what came is malformed.
    Broken,
}

/// Reads `body` whole.
pub(super) async fn collect<B>(body: B, limits: &Limits, held: &mut Held) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes>,
{
    let announced = body.size_hint().exact();
    if announced.is_some_and(|bytes| bytes > limits.body_bytes as u64) {
        return Err(Failure::Refused(too_large(limits)));
    }
    let mut body = pin!(body);
    let mut pace = Pace { limits, since: None };
    let mut whole = Whole::Nothing;
    while let Some(frame) = pace.frame(body.as_mut(), whole.len()).await? {
        // There are no trailers: the framing has seen to that.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limits.body_bytes - whole.len() {
            return Err(Failure::Refused(too_large(limits)));
        }
        held.grow(data.len(), limits.buffered_bytes).map_err(Failure::Refused)?;
        let left = announced.map_or(0, |all| usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(whole.len()));
        whole = whole.with(data, left);
    }
    Ok(whole.bytes())
}

/// What has come. Most bodies come in one piece, which is then never copied.
enum Whole {
    Nothing,
    Piece(Bytes),
    Pieces(BytesMut),
}

/// When a body is too slow.
struct Pace<'a> {
    limits: &'a Limits,
    /// When it was first waited for.
    since: Option<Instant>,
}

/// Until when a body of which `received` bytes have come may make one wait for the next: until its rate falls below `rate`,
/// not counting the `grace` at its beginning, and no longer than `whole`.
fn patience(received: usize, rate: usize, grace: Duration, whole: Duration) -> Duration {
    let earned = Duration::from_secs_f64(received as f64 / rate.max(1) as f64);
    (grace + earned).min(whole)
}

fn too_large(limits: &Limits) -> Refusal {
    let message = format!("The request's body is larger than {} bytes.", limits.body_bytes);
    Refusal::new(Code::BodyTooLarge, message).close()
}

// === impl Whole ===

impl Whole {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Piece(piece) => piece.len(),
            Self::Pieces(pieces) => pieces.len(),
        }
    }

    /// `left` is what is still to come with `data`, if that is known.
    fn with(self, data: Bytes, left: usize) -> Self {
        let mut pieces = match self {
            Self::Nothing => return Self::Piece(data),
            Self::Piece(piece) => BytesMut::from(piece),
            Self::Pieces(pieces) => pieces,
        };
        // Doubling, but never beyond what was announced: an announcement alone takes no memory.
        if pieces.capacity() - pieces.len() < data.len() {
            let double = pieces.len().max(data.len());
            pieces.reserve(if left >= data.len() { double.min(left) } else { double }.max(data.len()));
        }
        pieces.extend_from_slice(&data);
        Self::Pieces(pieces)
    }

    fn bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::Piece(piece) => piece,
            Self::Pieces(pieces) => pieces.freeze(),
        }
    }
}

// === impl Pace ===

impl Pace<'_> {
    /// The next frame of `body`, of which `received` bytes have come.
    async fn frame<B>(&mut self, mut body: Pin<&mut B>, received: usize) -> Result<Option<Frame<Bytes>>, Failure>
    where
        B: Body<Data = Bytes>,
    {
        let mut sleep = pin!(None);
        poll_fn(|cx| {
            if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
                return Poll::Ready(frame.transpose().map_err(|_| Failure::Broken));
            }
            // Only a body that has to be waited for costs a timer.
            if sleep.is_none() {
                let since = *self.since.get_or_insert_with(Instant::now);
                let Limits { body_rate, body_grace, body_time, .. } = *self.limits;
                let until = since + patience(received, body_rate, body_grace, body_time);
                sleep.set(Some(tokio::time::sleep_until(until)));
            }
            match sleep.as_mut().as_pin_mut().map(|sleep| sleep.poll(cx)) {
                Some(Poll::Ready(())) => {
                    let message = format!("The request's body came too slowly: {received} bytes so far.");
                    Poll::Ready(Err(Failure::Refused(Refusal::new(Code::RequestTimeout, message).close())))
                }
                Some(Poll::Pending) | None => Poll::Pending,
            }
        })
        .await
    }
}

// === impl Held ===

impl Held {
    /// Nothing as yet.
    pub(super) const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0 }
    }

    fn grow(&mut self, bytes: usize, limit: usize) -> Result<(), Refusal> {
        let grown = self.budget.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|held| *held <= limit)
        });
        if grown.is_err() {
            let message = "Too many large requests are being read at once. Try again in a moment.";
            let refusal = Refusal::new(Code::ServerOverloaded, message);
            return Err(refusal.retry_after(Duration::from_secs(1)).close());
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
