//! A connection as the HTTP library sees it: proper requests, one at a time, and nobody who dawdles.
//!
//! The library reads and writes through a [`Wire`], which lets through what [`Framing`] has found proper. When it finds
//! something else, it leaves the refusal in the [`Link`] and lets the library read one small request of its own making, so
//! that the refusal is answered the way every other is.
//!
//! While a request is being answered, nothing of the next one goes to the library: with bytes in hand it would not look
//! whether the client is still there.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut as _;
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::config::Limits;
use super::framing::{Framing, Next, Part, Verdict};
use super::link::{Link, Taken};
use super::signals::Signals;
use crate::alarm::Alarm;
use crate::{Code, Refusal};

/// What the library reads in place of a request that was refused.
const SUBSTITUTE: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// So much is read at once at first, and at most.
const PIECE: usize = 8 << 10;
const PIECE_MAX: usize = 64 << 10;

/// So much of the requests after the current one is kept until their turn comes; a client that sends more of them without
/// waiting for an answer gets only the current one.
const AHEAD: usize = 64 << 10;

pub(super) struct Wire<S> {
    stream: S,
    link: Arc<Link>,
    signals: Arc<Signals>,
    framing: Framing,
    limits: Limits,
    inbound: Inbound,
    /// How many of the inbound bytes may go to the library.
    cleared: usize,
    /// What is left of the substitute.
    substitute: &'static [u8],
    /// Whether the library is told that there is nothing more.
    closing: Closing,
    /// Since when the next head is waited for, or read.
    since: Instant,
    reading: Alarm,
    /// Since when nothing could be written.
    blocked: Option<Instant>,
    writing: Alarm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Not,
    /// Once the current request is answered: the client has sent too much ahead.
    Ahead,
    /// Once the refusal is written. Until then it does not matter whether the client has said all it wants to.
    Refused,
    Now,
}

/// Bytes that have come and are not let through yet.
struct Inbound {
    bytes: Vec<u8>,
    /// So many of them are gone.
    start: usize,
    /// How much to read at once: more when there was more.
    piece: usize,
}

// === impl Wire ===

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, link: Arc<Link>, signals: Arc<Signals>, limits: &Limits) -> Self {
        Self {
            stream,
            link,
            signals,
            framing: Framing::new(limits),
            limits: limits.clone(),
            inbound: Inbound { bytes: Vec::new(), start: 0, piece: PIECE },
            cleared: 0,
            substitute: &[],
            closing: Closing::Not,
            since: Instant::now(),
            reading: Alarm::default(),
            blocked: None,
            writing: Alarm::default(),
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Ready with no byte: the client sends no more, which is taken as having left.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let filled = ready!(self.inbound.poll_fill(&mut self.stream, cx));
        if !matches!(filled, Ok(1..)) {
            self.closing = Closing::Now;
            self.link.leave();
        }
        Poll::Ready(filled)
    }

    /// The library reads the substitute, if it is about to read a head; else its body breaks.
    fn refuse(&mut self, refusal: Refusal, part: Part) -> io::Result<()> {
        self.framing.abandon();
        self.link.refuse(refusal);
        self.closing = Closing::Refused;
        match part {
            Part::Head if self.link.begin() == Taken::Yes => {
                self.substitute = SUBSTITUTE;
                Ok(())
            }
            Part::Head => {
                self.closing = Closing::Now;
                Ok(())
            }
            Part::Body => Err(io::Error::new(io::ErrorKind::InvalidData, "the body is malformed")),
        }
    }

    /// A request is over: waits for its answer, and sees whether the client leaves.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.link.poll_idle(cx).is_ready() {
            let more = self.closing == Closing::Not && !self.signals.is_draining();
            if more && self.framing.next() == Next::Allowed {
                self.since = Instant::now();
            } else {
                self.closing = Closing::Now;
            }
            return Poll::Ready(Ok(()));
        }
        match self.closing {
            Closing::Refused => return Poll::Pending,
            Closing::Not if self.inbound.len() == 0 => self.inbound.piece = PIECE,
            Closing::Not if self.inbound.len() <= AHEAD => {}
            Closing::Not | Closing::Ahead | Closing::Now => {
                self.closing = Closing::Ahead;
                self.inbound.clear();
            }
        }
        self.poll_fill(cx).map_ok(|_| ())
    }

    /// More bytes are needed.
    fn poll_more(&mut self, cx: &mut Context<'_>, part: Part) -> Poll<io::Result<()>> {
        let waiting = part == Part::Head && self.inbound.len() == 0;
        if waiting && self.signals.is_draining() {
            self.closing = Closing::Now;
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(filled) = self.poll_fill(cx) {
            if waiting {
                self.since = Instant::now();
            }
            return Poll::Ready(filled.map(|_| ()));
        }
        match part {
            Part::Head if waiting => {
                ready!(self.reading.poll(cx, self.since + self.limits.idle_time));
                self.closing = Closing::Now;
                Poll::Ready(Ok(()))
            }
            Part::Head => {
                ready!(self.reading.poll(cx, self.since + self.limits.head_time));
                let message = format!("The request's head has not come in {:?}.", self.limits.head_time);
                let refusal = Refusal::new(Code::RequestTimeout, message).close();
                Poll::Ready(self.refuse(refusal, part))
            }
            // Who waits for the body watches the time.
            Part::Body => Poll::Pending,
        }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.blocked = None;
            return written;
        }
        let since = *self.blocked.get_or_insert_with(Instant::now);
        ready!(self.writing.poll(cx, since + self.limits.write_time));
        self.link.stall();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Read for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        loop {
            if !wire.substitute.is_empty() {
                let (now, later) = wire.substitute.split_at(wire.substitute.len().min(buf.remaining()));
                buf.put_slice(now);
                wire.substitute = later;
                return Poll::Ready(Ok(()));
            }
            if wire.cleared > 0 {
                let here = wire.cleared.min(buf.remaining());
                buf.put_slice(&wire.inbound.bytes()[..here]);
                wire.inbound.consume(here);
                wire.cleared -= here;
                return Poll::Ready(Ok(()));
            }
            if wire.closing == Closing::Now {
                return Poll::Ready(Ok(()));
            }
            let part = wire.framing.part();
            match wire.framing.judge(wire.inbound.bytes()) {
                Verdict::Head(bytes) => match wire.link.begin() {
                    Taken::Yes => wire.cleared = bytes,
                    Taken::No => wire.closing = Closing::Now,
                },
                Verdict::Body(bytes) => wire.cleared = bytes,
                Verdict::More => ready!(wire.poll_more(cx, part))?,
                Verdict::Over => ready!(wire.poll_next(cx))?,
                Verdict::Refuse(refusal) => wire.refuse(refusal, part)?,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Write for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = Pin::new(&mut wire.stream).poll_write(cx, buf);
        wire.watch(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = Pin::new(&mut wire.stream).poll_write_vectored(cx, bufs);
        wire.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let flushed = Pin::new(&mut wire.stream).poll_flush(cx);
        ready!(wire.watch(cx, flushed))?;
        if wire.link.has_flushed() == Taken::Yes {
            wire.signals.free();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

// === impl Inbound ===

impl Inbound {
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        if self.len() == 0 {
            self.clear();
        }
    }

    fn clear(&mut self) {
        (self.bytes, self.start) = (Vec::new(), 0);
    }

    /// Reads once, into a place that grows with what is kept. As long as nothing large comes, nothing is kept for it: most
    /// connections wait for their answers, or for nothing in particular.
    fn poll_fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let read = if self.piece == PIECE {
            let mut scratch = [const { MaybeUninit::uninit() }; PIECE];
            let mut place = ReadBuf::uninit(&mut scratch);
            ready!(Pin::new(stream).poll_read(cx, &mut place))?;
            self.bytes.extend_from_slice(place.filled());
            place.filled().len()
        } else {
            self.bytes.reserve(self.piece);
            let mut place = (&mut self.bytes).limit(self.piece);
            ready!(pin!(stream.read_buf(&mut place)).poll(cx))?
        };
        if read == self.piece {
            self.piece = (self.piece * 2).min(PIECE_MAX);
        }
        Poll::Ready(Ok(read))
    }
}

#[cfg(test)]
#[path = "wire/tests.rs"]
mod tests;
