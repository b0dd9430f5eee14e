//! The way to a fallback: asked for, possible, labelled, or not at all.
//!
//! ```text
//!  exchange ── Wish ──▶ judge ──▶ Plan ──▶ send ──▶ Answer ── chunks ──▶ relay, assembly
//!                         │                  │         │
//!                         │ cannot do it     │ full, open breaker, down, model missing, does not fit
//!                         ▼                  ▼         ▼ broke off: an error, and no second backend
//!                      Refusal            Refusal   Refusal
//! ```
//!
//! An [`Answer`] yields the data events that an OpenAI server would send (`chat.completion.chunk` or `text_completion`), so
//! whoever relays or assembles does not know the difference. Consent comes before all of this
//! ([`Ask::consent`](crate::request::Ask::consent)), and only a request of which nothing has been sent yet may come here.
//!
//! *Architecture Invariant:* no request can change where this goes. The address is a loopback address of the configuration;
//! of the request only its body is read, key by key from a list.

mod answer;
mod asked;
mod fit;
mod http;
mod ollama;
mod openai;
mod reading;
mod target;
mod wish;

pub use answer::{Answer, Next};
pub use target::{InvalidTarget, Target, TargetConfig, TargetKind, TargetModel};
pub use wish::{Plan, Wish};

use futures_util::future::BoxFuture;

use crate::Refusal;

/// Something that can serve a request in place of the server. [`Target`] is the one there is; tests have their own.
pub trait Fallback: Send + Sync + 'static {
    /// What it is, for `x-mlx-tree-backend`: `ollama` or `openai`.
    fn name(&self) -> &str;

    /// Whether it can do what is wished, without asking it.
    ///
    /// # Errors
    /// `fallback_unsupported`, `fallback_model_missing` or `fallback_unavailable`, with why.
    fn judge(&self, wish: &Wish<'_>) -> Result<Plan, Refusal>;

    /// Carries a plan out. Resolves once it has begun to answer, so that an error can still be one with a status. Dropping
    /// the future or the answer closes the connection, and the fallback stops.
    ///
    /// # Errors
    /// As for [`Fallback::judge`], `server_overloaded`, `upstream_timeout` or `bad_upstream_response`.
    fn send(&self, plan: Plan) -> BoxFuture<'_, Result<Answer, Refusal>>;
}

/// What a client is told when neither the server nor the fallback serves it: the first reason and the second (F68).
#[must_use]
pub fn neither(primary: &Refusal, fallback: Refusal) -> Refusal {
    let message = format!("{} And the fallback: {}", ended(&primary.message), fallback.message);
    let retry_after = primary.retry_after.or(fallback.retry_after);
    Refusal { message, retry_after, ..fallback }
}

fn ended(sentence: &str) -> String {
    let sentence = sentence.trim_end();
    if sentence.ends_with(['.', '!', '?']) { sentence.to_owned() } else { format!("{sentence}.") }
}
