//! What is known of a request while it lives: its attempts, its deadline, and what a fault makes of it.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_api::{Kind, Sample};
use tokio::time::Instant;

use super::attempt::{Running, begin};
use super::verdict::{Budget, Fault, Level, Repeatable, Standing, Verdict, quarantined};
use super::{Account, Caller, Common, Continuation, Route};
use crate::admission::{self, Entry, Outcome, Permit, Retry, Seq};
use crate::answer::chunk::{Chunk, Token};
use crate::answer::transcript::Ending;
use crate::backend::BackendState;
use crate::request::{Ask, Sampling};
use crate::{Code, Refusal};

/// How the server ended its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It has said so.
    Announced,
    /// It has closed the connection, as it also does when it is killed.
    Silent,
}

/// A request that is being served.
pub(super) struct Life {
    pub(super) common: Arc<Common>,
    pub(super) route: Arc<Route>,
    pub(super) ask: Ask,
    pub(super) caller: Caller,
    /// Attempts begun.
    pub(super) attempts: u32,
    /// Time spent waiting for a permit.
    pub(super) queued: Duration,
    /// The incarnation that has the present attempt, or had the last one.
    epoch: u64,
    deaths: u32,
    seq: Option<Seq>,
    standing: admission::Standing,
    pub(super) account: Account,
}

// === impl Life ===

impl Life {
    /// Begins one, unless its like is in quarantine.
    pub(super) fn begin(
        common: Arc<Common>,
        route: Arc<Route>,
        ask: Ask,
        caller: Caller,
        account: Account,
    ) -> Result<Self, Refusal> {
        let standing = match route.quarantine(|quarantine| quarantine.verdict(caller.since, &ask.digest)) {
            admission::Verdict::Clear(standing) => standing,
            admission::Verdict::Quarantined { remaining, .. } => {
                let refusal = quarantined().retry_after(remaining);
                account.refused(&refusal, Level::Nothing);
                return Err(refusal);
            }
        };
        route.retries(|retries| retries.on_request(caller.since));
        let queued = Duration::ZERO;
        Ok(Self { common, route, ask, caller, attempts: 0, queued, epoch: 0, deaths: 0, seq: None, standing, account })
    }

    /// An attempt whose first event is there, after as many attempts as that takes.
    pub(super) async fn first_event(&mut self, level: Level) -> Result<Running, Refusal> {
        loop {
            let permit = self.admit(level).await?;
            let fault = match begin(&self.common, &self.route, &self.ask, permit, &self.caller.id).await {
                Ok(running) => return Ok(running),
                Err(fault) => fault,
            };
            match self.judge(&fault, level, Repeatable::No) {
                Verdict::Replay | Verdict::Continue => {}
                Verdict::Quarantine(refusal) | Verdict::Fail(refusal) => return Err(refusal),
            }
        }
    }

    /// A permit for the next attempt.
    async fn admit(&mut self, level: Level) -> Result<Permit, Refusal> {
        self.note_a_hold();
        let entry =
            Entry { client: self.caller.client, deadline: self.deadline(), arrived: self.seq, standing: self.standing };
        self.account.waits();
        let entered = self.route.gate.enter(entry).await;
        self.account.waited();
        let permit = entered?;
        self.account.attempt();
        self.queued += permit.queued_for();
        self.seq = Some(permit.seq());
        self.epoch = permit.epoch();
        self.attempts += 1;
        if self.attempts > 1 && level != Level::Begun {
            let request = self.caller.id.to_string();
            self.tell(permit.epoch(), Kind::RequestReplayed { request, attempt: self.attempts });
        }
        Ok(permit)
    }

    /// What becomes of it after `fault`.
    pub(super) fn judge(&mut self, fault: &Fault, level: Level, repeatable: Repeatable) -> Verdict {
        let now = Instant::now();
        let mut suspected = None;
        if let Fault::Died = fault {
            self.deaths += 1;
            self.standing = admission::Standing::Suspect;
            suspected = Some(self.route.quarantine(|it| it.on_death(now, self.epoch, self.ask.digest)));
        }
        // An SDK's retry is another request with the same content: what that one did counts as well.
        let deaths = match suspected {
            Some(admission::Verdict::Quarantined { deaths, .. }) => deaths.max(self.deaths),
            Some(admission::Verdict::Clear(_)) | None => self.deaths,
        };
        let verdict = Standing { level, deaths, repeatable }.judge(fault, || {
            match self.route.retries(|retries| retries.on_retry(now)) {
                Retry::Granted => Budget::Granted,
                Retry::Spent => Budget::Spent,
            }
        });
        match &verdict {
            Verdict::Replay | Verdict::Continue => {}
            Verdict::Quarantine(_) => {
                let for_s = match self.route.quarantine(|it| it.verdict(now, &self.ask.digest)) {
                    admission::Verdict::Quarantined { remaining, .. } => remaining.as_secs_f64(),
                    admission::Verdict::Clear(_) => 0.0,
                };
                self.tell(self.epoch(), Kind::RequestQuarantined { request: self.caller.id.to_string(), for_s });
            }
            Verdict::Fail(_) => {}
        }
        verdict
    }

    /// Tells that it ends with an error, if that is not its own fault. That there is too much to do is nobody's; that the server
    /// was stopped or drained has been told once.
    pub(super) fn failed(&self, refusal: &Refusal, level: Level) {
        self.account.refused(refusal, level);
        let shed = matches!(
            refusal.code,
            Code::ServerOverloaded | Code::ClientShareExceeded | Code::ShuttingDown | Code::BackendStopped
        );
        if shed || !refusal.code.status().is_server_error() {
            return;
        }
        self.tell(
            self.epoch(),
            Kind::RequestFailed {
                request: self.caller.id.to_string(),
                code: refusal.code.as_str().to_owned(),
                message: refusal.message.clone(),
                cut: level == Level::Begun,
            },
        );
    }

    /// The stream of `running` is over: it is finished if its answer is whole, or there is a fault.
    pub(super) async fn end(&self, running: Running, ending: Ending, closing: Closing) -> Result<(), Fault> {
        match (ending, closing) {
            (Ending::Whole, _) => {}
            (Ending::WholeWithoutDone, _) => {
                tracing::warn!(request = %self.caller.id, "an answer without [DONE], whole otherwise");
            }
            (Ending::Cut, Closing::Silent) => return Err(running.cut().await),
            (Ending::Cut, Closing::Announced) => {
                return Err(Fault::Bad("it is over without a finish reason".to_owned()));
            }
        }
        self.finished(running);
        Ok(())
    }

    /// The answer of `running` was whole: it has taken nobody down.
    pub(super) fn finished(&self, running: Running) {
        if let Some(permit) = running.into_permit() {
            permit.finish(Outcome::Succeeded);
        }
        self.route.quarantine(|quarantine| quarantine.on_success(&self.ask.digest));
    }

    /// Whether a second generation must be the same as the first.
    pub(super) fn repeatable(&self) -> Repeatable {
        match (self.common.continuation, self.ask.sampling) {
            (Continuation::Greedy, Sampling::Greedy) => Repeatable::Yes,
            (Continuation::Greedy | Continuation::Never, Sampling::Sampled) | (Continuation::Never, _) => {
                Repeatable::No
            }
        }
    }

    /// A chunk of the server's has come.
    pub(super) fn count(&self, chunk: &Chunk<'_>) {
        if chunk.says_something() {
            self.count_tokens(1);
        }
    }

    /// A chunk of the server's has come that is like the last one but for its text.
    pub(super) fn count_token(&self, token: &Token<'_>) {
        self.count_tokens(u64::from(!token.text.is_empty()));
    }

    /// The server has made so many tokens.
    pub(super) fn count_tokens(&self, count: u64) {
        if count == 0 {
            return;
        }
        self.common.observer.sample(&Sample::Tokens { server: &self.route.server, count });
    }

    pub(super) fn tell(&self, epoch: u64, kind: Kind) {
        self.common.observer.tell(&self.route.server, epoch, kind);
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Until when it may wait. What it has waited for already counts; what the server has worked for does not, unless the
    /// client says how long it waits for everything.
    fn deadline(&self) -> Instant {
        let waiting = Instant::now() + self.common.hold_budget.saturating_sub(self.queued);
        match self.caller.patience {
            Some(patience) => waiting.min(self.caller.since + patience),
            None => waiting,
        }
    }

    fn note_a_hold(&self) {
        let (epoch, reason) = match &*self.route.backend.borrow() {
            crate::Backend { state: BackendState::Ready { .. } | BackendState::Draining, .. } => return,
            crate::Backend { epoch, state: BackendState::Asleep, .. } => (*epoch, "it is asleep".to_owned()),
            crate::Backend {
                epoch,
                state:
                    BackendState::Restarting { reason, .. }
                    | BackendState::BreakerOpen { reason, .. }
                    | BackendState::Yielding { reason, .. }
                    | BackendState::Recycling { reason }
                    | BackendState::Finishing { reason }
                    | BackendState::Stopped { reason },
                ..
            } => (*epoch, reason.to_string()),
        };
        self.tell(epoch, Kind::RequestHeld { request: self.caller.id.to_string(), reason });
    }
}
