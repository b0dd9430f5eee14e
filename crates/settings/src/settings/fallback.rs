//! `[fallback]`: what may answer in the server's place, for whom, and within which limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use figment::value::{Dict, Value};

use crate::Problem;
use crate::plan::Diff;
use crate::reader::Section;
use crate::value::{Choice, Reject, Shown, choice, duration, flag, integer, nearest, span, text};

/// The fallback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackSettings {
    /// Who is served by it at all.
    pub policy: FallbackPolicy,
    /// What it is.
    pub kind: FallbackKind,
    /// Where it listens: a loopback address.
    pub address: SocketAddr,
    /// Its model for every name that `models` does not list; `None`: there is none.
    pub model: Option<String>,
    /// Its models for single names of ours.
    pub models: Vec<FallbackModel>,
    /// The context of a request, in tokens. `None` for a server whose context is not ours to choose.
    pub num_ctx: Option<NonZeroU32>,
    /// How long Ollama keeps the model in memory after a request.
    pub keep_alive: Duration,
    /// The longest that it may say nothing.
    pub timeout: Duration,
    /// Requests that it is given at the same time.
    pub max_inflight: NonZeroU32,
}

/// Who is served by the fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackPolicy {
    /// Nobody.
    Deny,
    /// Requests that ask for it, by themselves or by the name of their model.
    OptIn,
    /// All but those that refuse it; the label has to do.
    Label,
}

/// What the fallback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackKind {
    /// Ollama, by its native API.
    Ollama,
    /// Any server that speaks OpenAI's API.
    Openai,
}

/// A model of the fallback's for one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackModel {
    /// The name by which clients know ours.
    pub name: String,
    /// The name of the fallback's.
    pub fallback: String,
    /// Whether whoever uses this name consents.
    pub consent: AliasConsent,
}

/// What using a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AliasConsent {
    /// Nothing.
    Silent,
    /// That a fallback may answer.
    Given,
}

/// The model for every name, for reading.
struct AnyModel(Option<String>);

/// All models, for reading.
#[derive(PartialEq)]
struct Models(Vec<FallbackModel>);

/// A number of tokens; 0 is none.
struct Context(u32);

impl FallbackSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let settings = Self {
            policy: section.read("policy", choice),
            kind: section.read("kind", choice),
            address: section.read("url", |value| url(&text(value)?)).0,
            model: section.read("model", |value| any_model(text(value)?)).0,
            models: section.read("models", models).0,
            num_ctx: NonZeroU32::new(section.read("num_ctx", |value| integer(0..=100_000_000)(value).map(Context)).0),
            keep_alive: section.read("keep_alive", duration),
            timeout: section.read("timeout", span),
            max_inflight: NonZeroU32::new(section.read("max_inflight", integer(1..=1_000))).unwrap_or(NonZeroU32::MIN),
        };
        if settings.policy != FallbackPolicy::Deny && settings.model.is_none() && settings.models.is_empty() {
            section.conflict(
                "policy",
                "model",
                "there is no model that could answer",
                "set fallback.model to a model that the fallback has, or list some in fallback.models",
            );
        }
        if settings.kind == FallbackKind::Ollama && settings.num_ctx.is_none() {
            section.conflict(
                "num_ctx",
                "kind",
                "Ollama would choose a context by itself, and a small one",
                "set fallback.num_ctx to a number of tokens, such as 8192",
            );
        }
        settings
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { policy, kind, address, model, models, num_ctx, keep_alive, timeout, max_inflight } = self;
        let context = |tokens: Option<NonZeroU32>| tokens.map_or(0, NonZeroU32::get);
        diff.live("policy", policy, &new.policy);
        diff.live("kind", kind, &new.kind);
        diff.live("url", &Url(*address), &Url(new.address));
        diff.live("model", model, &new.model);
        diff.live("models", &Models(models.clone()), &Models(new.models.clone()));
        diff.live("num_ctx", &context(*num_ctx), &context(new.num_ctx));
        diff.live("keep_alive", keep_alive, &new.keep_alive);
        diff.live("timeout", timeout, &new.timeout);
        diff.live("max_inflight", max_inflight, &new.max_inflight);
    }

    /// Whether requests for this name may be answered by the fallback without asking for it.
    #[must_use]
    pub fn consent_of(&self, name: &str) -> AliasConsent {
        match self.policy {
            FallbackPolicy::Deny => AliasConsent::Silent,
            FallbackPolicy::Label => AliasConsent::Given,
            FallbackPolicy::OptIn => {
                self.models.iter().find(|model| model.name == name).map_or(AliasConsent::Silent, |model| model.consent)
            }
        }
    }

    /// Its models, each with the name that it stands in for, `None` for any. The first that fits holds.
    pub fn targets(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let single = self.models.iter().map(|model| (Some(model.name.as_str()), model.fallback.as_str()));
        single.chain(self.model.as_deref().map(|model| (None, model)))
    }
}

fn any_model(text: String) -> Result<AnyModel, Reject> {
    if text.is_empty() { Ok(AnyModel(None)) } else { target(text).map(|model| AnyModel(Some(model))) }
}

/// A model of the fallback's that is run on this machine, as far as its name tells.
fn target(text: String) -> Result<String, Reject> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Reject::invalid("this is no name of a model", r#"a name such as "qwen3:8b""#));
    }
    if text.ends_with("-cloud") || text.ends_with(":cloud") {
        let help = "a model that runs on this machine";
        return Err(Reject::invalid("prompts would leave this machine for Ollama's cloud", help));
    }
    Ok(text)
}

/// Where it is, for reading.
#[derive(PartialEq)]
struct Url(SocketAddr);

fn url(text: &str) -> Result<Url, Reject> {
    const HELP: &str = r#"a URL on this machine without a path, such as "http://127.0.0.1:11434""#;
    let bad = |what: &str| Reject::malformed(what, HELP);
    let rest = text.strip_prefix("http://").ok_or_else(|| bad("this is no http:// URL"))?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@']) {
        return Err(bad("there is more than a host and a port in it"));
    }
    let address = match rest.strip_prefix("localhost:") {
        Some(port) => port.parse().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).ok(),
        None => rest.parse().ok(),
    };
    let address: SocketAddr = address.ok_or_else(|| bad("there is no address with a port in it"))?;
    if address.port() == 0 {
        return Err(bad("port 0 is no port"));
    }
    if address.ip().is_loopback() {
        Ok(Url(address))
    } else {
        Err(Reject {
            problem: Problem::NotLoopback("prompts would leave this machine, and in the clear".to_owned()),
            help: Some(HELP.to_owned()),
        })
    }
}

fn models(value: &Value) -> Result<Models, Reject> {
    let items = value.as_array().ok_or_else(|| Reject::malformed("this is no list", MODELS))?;
    let mut models: Vec<FallbackModel> = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let table = item.as_dict().ok_or_else(|| Reject::malformed("this is no table", MODELS).in_item(i + 1))?;
        let model = one(table).map_err(|reject| reject.in_item(i + 1))?;
        if models.iter().any(|other| other.name == model.name) {
            return Err(Reject::invalid("this name has a model already", MODELS).in_item(i + 1));
        }
        models.push(model);
    }
    Ok(Models(models))
}

const MODELS: &str = r#"a list of tables like { name = "qwen", fallback = "qwen3:8b", consent = true }"#;

fn one(table: &Dict) -> Result<FallbackModel, Reject> {
    const KEYS: [&str; 3] = ["name", "fallback", "consent"];
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let help = nearest(unknown, KEYS.into_iter()).map_or(MODELS.to_owned(), |key| format!("did you mean `{key}`?"));
        return Err(Reject::malformed(format!("there is no key `{unknown}`"), help));
    }
    let needed = |key: &str| {
        let value = table.get(key).ok_or_else(|| Reject::malformed(format!("`{key}` is missing"), MODELS))?;
        text(value)
    };
    let consent = match table.get("consent").map(flag).transpose()? {
        Some(true) => AliasConsent::Given,
        Some(false) | None => AliasConsent::Silent,
    };
    Ok(FallbackModel { name: needed("name")?, fallback: target(needed("fallback")?)?, consent })
}

// === impl FallbackPolicy, FallbackKind ===

impl Choice for FallbackPolicy {
    const WORDS: &'static [(&'static str, Self)] =
        &[("deny", Self::Deny), ("opt-in", Self::OptIn), ("label", Self::Label)];
}

impl Choice for FallbackKind {
    const WORDS: &'static [(&'static str, Self)] = &[("ollama", Self::Ollama), ("openai", Self::Openai)];
}

// === impl AnyModel, Models, Context, Url ===

impl Shown for AnyModel {
    fn shown(&self) -> String {
        self.0.clone().unwrap_or_default().shown()
    }
}

impl Shown for Models {
    fn shown(&self) -> String {
        let items = self.0.iter().map(|FallbackModel { name, fallback, consent }| {
            let consent = match consent {
                AliasConsent::Given => ", consent = true",
                AliasConsent::Silent => "",
            };
            format!("{{ name = {}, fallback = {}{consent} }}", name.shown(), fallback.shown())
        });
        format!("[{}]", items.collect::<Vec<_>>().join(", "))
    }
}

impl Shown for Context {
    fn shown(&self) -> String {
        self.0.to_string()
    }
}

impl Shown for Url {
    fn shown(&self) -> String {
        format!("http://{}", self.0).shown()
    }
}
