//! A permit in use, and what ends an attempt from outside.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::admission::{Outcome, Permit};
use crate::backend::End;
use crate::exchange::verdict::Fault;
use crate::exchange::{Ending, SETTLE};

/// A permit in use. Dropped, the server is given the time to notice that nobody listens any more.
pub(super) struct Held {
    permit: Option<Permit>,
    grace: Duration,
    outside: Outside,
}

/// What ends an attempt from outside. It is waited for once, not once for each frame.
struct Outside {
    known: Option<Cause>,
    news: BoxFuture<'static, Cause>,
}

#[derive(Debug, Clone, Copy)]
enum Cause {
    /// The server goes down, so.
    Server(End),
    /// We do.
    Us,
}

// === impl Held ===

impl Held {
    /// Of an attempt that ends with its server or when `ending` says so.
    pub(super) fn new(permit: Permit, mut ending: watch::Receiver<Ending>) -> Self {
        let gone = permit.gone();
        let news = async move {
            tokio::select! {
                biased;
                end = gone => Cause::Server(end),
                // Its sender lives as long as anybody asks.
                _ = ending.wait_for(|ending| *ending == Ending::Now) => Cause::Us,
            }
        };
        let outside = Outside { known: None, news: news.boxed() };
        Self { permit: Some(permit), grace: Duration::MAX, outside }
    }

    pub(super) fn address(&self) -> Result<std::net::SocketAddr, Fault> {
        self.permit.as_ref().map(Permit::address).ok_or(Fault::Died)
    }

    /// How long the server takes to notice that nobody listens.
    pub(super) const fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// The permit, of an attempt that is over.
    pub(super) const fn take(&mut self) -> Option<Permit> {
        self.permit.take()
    }

    /// What `wait` comes to, unless the server goes down first, or we do.
    pub(super) async fn alive<F: Future>(&mut self, wait: F) -> Result<F::Output, Fault> {
        if self.permit.is_none() {
            return Err(Fault::Died);
        }
        let cause = tokio::select! {
            biased;
            done = wait => return Ok(done),
            cause = poll_fn(|cx| self.outside.poll(cx)) => cause,
        };
        Err(match cause {
            Cause::Server(end) => self.ended(end),
            Cause::Us => Fault::Ending,
        })
    }

    /// The connection is of no use any more: because the server is going down, as will be known in a moment, or without that.
    pub(super) async fn broken(&mut self, how: &(impl std::fmt::Display + ?Sized)) -> Fault {
        if let Some(end) = self.ends_within(SETTLE).await {
            return self.ended(end);
        }
        // Nobody works on it: its connection is closed from the other side.
        self.release(Outcome::Failed);
        Fault::Bad(how.to_string())
    }

    /// How the server goes down, if it does within `span`.
    pub(super) async fn ends_within(&mut self, span: Duration) -> Option<End> {
        match &self.permit {
            Some(permit) => timeout(span, permit.gone()).await.ok(),
            None => Some(End::Death),
        }
    }

    pub(super) fn ended(&mut self, end: End) -> Fault {
        match end {
            End::Death => {
                self.release(Outcome::BackendDied);
                Fault::Died
            }
            End::Planned => {
                self.release(Outcome::Failed);
                Fault::Ended
            }
        }
    }

    pub(super) fn release(&mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            permit.finish(outcome);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.linger(self.grace);
        }
    }
}

// === impl Outside ===

impl Outside {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        let cause = match self.known {
            Some(cause) => cause,
            None => ready!(self.news.as_mut().poll(cx)),
        };
        self.known = Some(cause);
        Poll::Ready(cause)
    }
}
