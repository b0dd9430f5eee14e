//! The fallback's own limits: so many at a time, and a breaker that no other backend knows of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mlx_tree_api::FallbackUse;
use mlx_tree_policy::{Breaker, BreakerConfig, InvalidBreaker, Monotonic, Permit, Refused};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::{Code, Refusal};

/// Where slots are given out.
#[derive(Debug)]
pub(super) struct Desk {
    places: Arc<Semaphore>,
    limit: usize,
    breaker: Mutex<Breaker>,
    started: Instant,
    usage: watch::Sender<FallbackUse>,
}

/// The right to one request, until it is dropped. Its outcome is the breaker's.
#[derive(Debug)]
pub(in crate::divert) struct Slot {
    desk: Arc<Desk>,
    permit: Permit,
    standing: Standing,
    _place: OwnedSemaphorePermit,
}

/// What is known of the request's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing has been heard.
    Open,
    /// It answers.
    Heard,
    /// The breaker knows.
    Told,
}

// === impl Desk ===

impl Desk {
    pub(super) fn new(breaker: BreakerConfig, limit: usize) -> Result<Self, InvalidBreaker> {
        Ok(Self {
            places: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            limit,
            breaker: Mutex::new(Breaker::new(breaker)?),
            started: Instant::now(),
            usage: watch::Sender::new(FallbackUse::default()),
        })
    }

    pub(super) fn usage(&self) -> watch::Receiver<FallbackUse> {
        self.usage.subscribe()
    }

    /// A slot for a request to `model`, now or not at all: who has waited for the server need not wait again.
    pub(super) fn slot(self: &Arc<Self>, model: &str) -> Result<Slot, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| self.full())?;
        let now = self.now();
        let permit = self.breaker().acquire(now).map_err(|refused| left_alone(refused, now))?;
        self.usage.send_modify(|usage| {
            usage.in_flight = usage.in_flight.saturating_add(1);
            *usage.begun.entry(model.to_owned()).or_default() += 1;
        });
        Ok(Slot { desk: Arc::clone(self), permit, standing: Standing::Open, _place: place })
    }

    fn full(&self) -> Refusal {
        let message = format!("The fallback serves {} requests already (fallback.max_inflight).", self.limit);
        Refusal::new(Code::ServerOverloaded, message).retry_after(Duration::from_secs(2))
    }

    fn now(&self) -> Monotonic {
        Monotonic::new(self.started.elapsed())
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left_alone(refused: Refused, now: Monotonic) -> Refusal {
    let until = match refused {
        Refused::NotDue { until } => until,
        Refused::TrialUnderWay { deadline } => Some(deadline),
        Refused::NotOpen => None,
    };
    let message = "The fallback has failed several times in a row and is left alone for a while.";
    let refusal = Refusal::new(Code::FallbackUnavailable, message);
    match until {
        Some(until) => refusal.retry_after(until.saturating_since(now)),
        None => refusal,
    }
}

// === impl Slot ===

impl Slot {
    /// Something of an answer has come.
    pub(in crate::divert) fn heard(&mut self) {
        if self.standing == Standing::Open {
            self.standing = Standing::Heard;
        }
    }

    /// The answer was whole.
    pub(in crate::divert) fn succeeded(&mut self) {
        if std::mem::replace(&mut self.standing, Standing::Told) != Standing::Told {
            let _ = self.desk.breaker().on_success(&self.permit);
        }
    }

    /// The answer was an error. Only those count that say that the fallback is not well: one that answers that it has no
    /// such model is.
    pub(in crate::divert) fn failed(&mut self, refusal: &Refusal) {
        match refusal.code {
            Code::FallbackUnavailable | Code::UpstreamTimeout | Code::BadUpstreamResponse => {
                if std::mem::replace(&mut self.standing, Standing::Told) != Standing::Told {
                    let now = self.desk.now();
                    let _ = self.desk.breaker().on_failure(&self.permit, &refusal.message, now);
                }
            }
            _ => self.succeeded(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.standing {
            // The client left in the middle of an answer, which it was.
            Standing::Heard => self.succeeded(),
            Standing::Open | Standing::Told => {}
        }
        self.desk.usage.send_modify(|usage| usage.in_flight = usage.in_flight.saturating_sub(1));
    }
}
