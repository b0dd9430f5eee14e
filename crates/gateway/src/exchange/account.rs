//! What is told of a request when it is over: once, and however it ends.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use hyper::StatusCode;
use mlx_tree_api::{RequestOutcome, Sample};
use tokio::time::Instant;

use super::verdict::Level;
use super::{Common, Ending};
use crate::front::RequestId;
use crate::{Code, Refusal};

/// One request. Dropped, it is told of; without an outcome by then, its client has left, or mlx-tree has.
pub(crate) struct Account {
    common: Arc<Common>,
    server: Option<Arc<str>>,
    request: RequestId,
    since: Instant,
    attempts: u32,
    waited: Duration,
    waits_since: Option<Instant>,
    first_byte: OnceLock<Duration>,
    /// The first word counts.
    end: OnceLock<(RequestOutcome, Option<Code>)>,
}

// === impl Account ===

impl Account {
    /// Of a request that has arrived at `since`.
    pub(crate) fn open(common: Arc<Common>, request: RequestId, since: Instant) -> Self {
        Self {
            common,
            server: None,
            request,
            since,
            attempts: 0,
            waited: Duration::ZERO,
            waits_since: None,
            first_byte: OnceLock::new(),
            end: OnceLock::new(),
        }
    }

    /// It is for this server.
    pub(crate) fn is_for(&mut self, server: &Arc<str>) {
        self.server = Some(Arc::clone(server));
    }

    /// It waits for a server.
    pub(crate) fn waits(&mut self) {
        self.waits_since = Some(Instant::now());
    }

    /// It waits no longer.
    pub(crate) fn waited(&mut self) {
        self.waited += self.waits_since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// It goes to a server once more.
    pub(crate) fn attempt(&mut self) {
        self.attempts += 1;
    }

    /// There is something of its answer.
    pub(crate) fn begun(&self) {
        // Looking is cheaper than taking the time, and all bytes but one are not the first.
        if self.first_byte.get().is_none() {
            let _ = self.first_byte.set(self.since.elapsed());
        }
    }

    /// All of its answer is there.
    pub(crate) fn answered(&self, outcome: RequestOutcome) {
        self.begun();
        let _ = self.end.set((outcome, None));
    }

    /// It ends with this, when its client had come so far.
    pub(crate) fn refused(&self, refusal: &Refusal, level: Level) {
        let outcome = match level {
            Level::Begun => RequestOutcome::Cut,
            Level::Nothing | Level::Opened => outcome(refusal.code),
        };
        let _ = self.end.set((outcome, Some(refusal.code)));
    }

    /// How it has ended, for want of a word about it.
    fn wordless(&self) -> (RequestOutcome, Option<Code>) {
        let ended = |code| match self.first_byte.get() {
            Some(_) => (RequestOutcome::Cut, Some(code)),
            None => (RequestOutcome::Failed, Some(code)),
        };
        if thread::panicking() {
            return ended(Code::InternalError);
        }
        let ending = *self.common.ending.borrow();
        match ending {
            Ending::Now => ended(Code::ShuttingDown),
            Ending::Not => (RequestOutcome::Left, None),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.waited();
        let (outcome, code) = self.end.get().copied().unwrap_or_else(|| self.wordless());
        self.common.observer.sample(&Sample::RequestEnded {
            server: self.server.as_deref().unwrap_or_default(),
            request: self.request.as_str(),
            outcome,
            code: code.map(Code::as_str),
            took: self.since.elapsed(),
            first_byte: self.first_byte.get().copied(),
            waited: self.waited,
            attempts: self.attempts,
        });
    }
}

/// Whose fault a refusal is. That there is too much to do is not the request's, whatever its number.
fn outcome(code: Code) -> RequestOutcome {
    match code.status() {
        StatusCode::TOO_MANY_REQUESTS => RequestOutcome::Failed,
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => RequestOutcome::Rejected,
        status if status.is_client_error() => RequestOutcome::Rejected,
        _ => RequestOutcome::Failed,
    }
}
