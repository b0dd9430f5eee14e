//! The fallback of the configuration: where it is, which models stand in for which, and its own limits.

mod slot;

pub(super) use slot::Slot;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mlx_tree_api::{FallbackModel, FallbackState, FallbackUse, FallbackView};
use mlx_tree_policy::{BreakerConfig, InvalidBreaker};
use tokio::sync::watch;

use self::slot::Desk;
use super::answer::{Answer, Dialect};
use super::{Fallback, Plan, Wish, fit, http, ollama, openai};
use crate::request::Endpoint;
use crate::{Code, Refusal};

/// What a fallback is built from. It comes from the configuration and from nowhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetConfig {
    /// What it is.
    pub kind: TargetKind,
    /// Where it listens: a loopback address.
    pub address: SocketAddr,
    /// Which of its models stands in for which of ours. The first that fits holds.
    pub models: Vec<TargetModel>,
    /// The context that it is given (Ollama) or has (others), in tokens; `None` leaves that to a server that has one of its
    /// own.
    pub num_ctx: Option<u64>,
    /// The longest that it may say nothing: before its first word, which includes loading the model, and between two.
    pub timeout: Duration,
    /// So many requests at a time, no more.
    pub max_inflight: usize,
    /// When it is left alone. Its own: the server's breaker knows nothing of it.
    pub breaker: BreakerConfig,
}

/// What a fallback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// Ollama, by its native API.
    Ollama {
        /// How long it keeps the model in memory after a request.
        keep_alive: Duration,
    },
    /// Any server that speaks OpenAI's API.
    OpenAi,
}

/// One model of the fallback's for one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetModel {
    /// Our name for the model that it stands in for; `None` for any.
    pub name: Option<String>,
    /// Its name at the fallback.
    pub target: String,
}

/// Why there can be no such fallback.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidTarget {
    /// Prompts would leave this machine, in the clear.
    #[error("{0} is no loopback address")]
    NotLoopback(SocketAddr),
    /// Nothing could ever be sent.
    #[error("no request at a time is none at all")]
    NoRoom,
    /// The breaker's numbers make no sense.
    #[error(transparent)]
    Breaker(#[from] InvalidBreaker),
}

/// The fallback of the configuration.
#[derive(Debug)]
pub struct Target {
    config: TargetConfig,
    view: watch::Receiver<FallbackView>,
    desk: Arc<Desk>,
}

// === impl TargetConfig ===

impl TargetConfig {
    /// The breaker of a fallback whose silence may last for `timeout`: three failures, 10 s, doubling, up to two minutes.
    #[must_use]
    pub const fn own_breaker(timeout: Duration) -> BreakerConfig {
        BreakerConfig {
            failure_threshold: 3,
            open_for: Duration::from_secs(10),
            open_growth: 2.0,
            open_max: Duration::from_secs(120),
            // One answer decides.
            probation: Duration::ZERO,
            half_open_deadline: timeout.saturating_add(Duration::from_secs(10)),
        }
    }
}

// === impl TargetKind ===

impl TargetKind {
    /// The name in headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ollama { .. } => "ollama",
            Self::OpenAi => "openai",
        }
    }
}

// === impl Target ===

impl Target {
    /// A fallback, judged by what its worker says of it in `view`. While nobody has looked yet it is asked all the same.
    ///
    /// # Errors
    /// [`InvalidTarget`].
    pub fn new(config: TargetConfig, view: watch::Receiver<FallbackView>) -> Result<Self, InvalidTarget> {
        if !config.address.ip().is_loopback() {
            return Err(InvalidTarget::NotLoopback(config.address));
        }
        if config.max_inflight == 0 {
            return Err(InvalidTarget::NoRoom);
        }
        let desk = Desk::new(config.breaker, config.max_inflight)?;
        Ok(Self { config, view, desk: Arc::new(desk) })
    }

    /// What is going on there, for its worker, which unloads what nobody is served by.
    #[must_use]
    pub fn usage(&self) -> watch::Receiver<FallbackUse> {
        self.desk.usage()
    }

    fn plan(&self, wish: &Wish<'_>) -> Result<Plan, Refusal> {
        let mapped =
            self.config.models.iter().find(|model| model.name.as_deref().is_none_or(|name| name == wish.model));
        let target = &mapped.ok_or_else(|| self.not_mapped(wish.model))?.target;
        let view = self.view.borrow().clone();
        let known = match view.state {
            FallbackState::Unknown => None,
            FallbackState::Unavailable => return Err(unavailable(&view)),
            FallbackState::Ready => Some(view.model(target).ok_or_else(|| self.missing(target))?),
        };
        if let Some(remote) = known.and_then(|model| model.remote.as_deref()) {
            return Err(unsupported(format!("Its model {target:?} does not run on this machine but at {remote}.")));
        }
        let (path, dialect) = match (self.config.kind, wish.endpoint) {
            (TargetKind::Ollama { .. }, Endpoint::Chat) => ("/api/chat", Dialect::OllamaChat),
            (TargetKind::Ollama { .. }, Endpoint::Completions) => ("/api/generate", Dialect::OllamaText),
            (TargetKind::OpenAi, Endpoint::Chat) => ("/v1/chat/completions", Dialect::OpenAi),
            (TargetKind::OpenAi, Endpoint::Completions) => ("/v1/completions", Dialect::OpenAi),
            (_, Endpoint::Embeddings) => {
                return Err(unsupported("Embeddings of another model are not comparable with this one's."));
            }
        };
        let num_ctx = shorter(self.config.num_ctx, known.and_then(|model| model.context_length));
        let (body, room) = match self.config.kind {
            TargetKind::Ollama { keep_alive } => ollama::request(wish, target, known, num_ctx, keep_alive)?,
            TargetKind::OpenAi => openai::request(wish, target)?,
        };
        fits(wish, room, num_ctx, known)?;
        Ok(Plan { model: target.as_str().into(), path, body, dialect })
    }

    async fn carry_out(&self, plan: Plan) -> Result<Answer, Refusal> {
        let mut slot = self.desk.slot(&plan.model)?;
        let silence = self.config.timeout;
        let sent = http::post(self.config.address, plan.path, plan.body, silence).await;
        let (status, body) = sent.inspect_err(|refusal| slot.failed(refusal))?;
        if !status.is_success() {
            let text = body.error_text(silence).await;
            let refusal = match self.config.kind {
                TargetKind::Ollama { .. } => ollama::refusal(status, &text, &plan.model),
                TargetKind::OpenAi => openai::refusal(status, &text, &plan.model),
            };
            slot.failed(&refusal);
            return Err(refusal);
        }
        let mut answer = Answer::new(plan.dialect, plan.model, body, slot, silence);
        answer.begin().await.map_err(before_its_first_word)?;
        Ok(answer)
    }

    fn not_mapped(&self, model: &str) -> Refusal {
        let message = format!("No model of the fallback stands in for {model:?} (fallback.models).");
        Refusal::new(Code::FallbackModelMissing, message)
    }

    fn missing(&self, target: &str) -> Refusal {
        let help = match self.config.kind {
            TargetKind::Ollama { .. } => format!(" It is never pulled from here: `ollama pull {target}`."),
            TargetKind::OpenAi => String::new(),
        };
        Refusal::new(Code::FallbackModelMissing, format!("The fallback does not have the model {target:?}.{help}"))
    }
}

impl Fallback for Target {
    fn name(&self) -> &str {
        self.config.kind.as_str()
    }

    fn judge(&self, wish: &Wish<'_>) -> Result<Plan, Refusal> {
        self.plan(wish)
    }

    fn send(&self, plan: Plan) -> BoxFuture<'_, Result<Answer, Refusal>> {
        self.carry_out(plan).boxed()
    }
}

/// A refusal because the fallback cannot do what is asked.
pub(super) fn unsupported(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::FallbackUnsupported, why.into())
}

fn unavailable(view: &FallbackView) -> Refusal {
    let reason = view.reason.as_deref().unwrap_or("it does not answer");
    Refusal::new(Code::FallbackUnavailable, format!("The fallback cannot be asked: {reason}."))
}

/// Before its first word, a failure of the fallback is its absence.
fn before_its_first_word(refusal: Refusal) -> Refusal {
    match refusal.code {
        Code::UpstreamTimeout | Code::BadUpstreamResponse => Refusal { code: Code::FallbackUnavailable, ..refusal },
        _ => refusal,
    }
}

fn shorter(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Whether prompt and answer have room in the context (F71).
fn fits(wish: &Wish<'_>, room: u64, num_ctx: Option<u64>, known: Option<&FallbackModel>) -> Result<(), Refusal> {
    let Some(num_ctx) = num_ctx else { return Ok(()) };
    let prompt = fit::prompt_tokens(wish.endpoint, wish.body);
    if prompt.saturating_add(room) <= num_ctx {
        return Ok(());
    }
    let whose = match known.and_then(|model| model.context_length).filter(|length| *length <= num_ctx) {
        Some(_) => "the model has a context of",
        None => "fallback.num_ctx is",
    };
    Err(unsupported(format!(
        "The request does not fit: about {prompt} tokens and {room} to be generated, and {whose} {num_ctx}."
    )))
}
