//! The fallback, if the configuration wants one: what the gateway diverts to, and the worker that looks after it.

use std::sync::Arc;

use mlx_tree_api::FallbackView;
use mlx_tree_gateway::divert::{Fallback, InvalidTarget, Target, TargetConfig, TargetKind, TargetModel};
use mlx_tree_settings::{AliasConsent, FallbackKind, FallbackPolicy, FallbackSettings};
use mlx_tree_supervision::ChildSpec;
use mlx_tree_workers::SERVER;
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::clock::Clock;
use mlx_tree_workers::fallback::{FallbackLinks, OpenAi};
use mlx_tree_workers::ollama::Ollama;
use mlx_tree_workers::server::ServerView;
use mlx_tree_workers::server::probe::Client;
use mlx_tree_workers::tree::Plan;

use tokio::sync::watch;

/// A fallback and its worker.
pub(super) struct Planned {
    pub(super) fallback: Arc<dyn Fallback>,
    pub(super) child: ChildSpec,
}

/// What a fallback's worker has around it.
pub(super) struct Around {
    client: Client,
    servers: Vec<(String, watch::Receiver<ServerView>)>,
    bus: Bus,
    clock: Clock,
}

// === impl Around ===

impl Around {
    /// The tree of `plan`.
    pub(super) fn of(plan: &Plan) -> Self {
        let blueprint = &plan.server.blueprint;
        let first = (SERVER.to_owned(), blueprint.view.subscribe());
        let further =
            plan.further.iter().map(|server| (server.blueprint.name.to_string(), server.blueprint.view.subscribe()));
        Self {
            client: blueprint.client.clone(),
            servers: std::iter::once(first).chain(further).collect(),
            bus: blueprint.bus.clone(),
            clock: blueprint.clock,
        }
    }
}

/// The fallback of `settings`; `None` if nobody is to be served by one.
pub(super) fn planned(settings: &FallbackSettings, around: &Around) -> Result<Option<Planned>, InvalidTarget> {
    if settings.policy == FallbackPolicy::Deny {
        return Ok(None);
    }
    let kind = match settings.kind {
        FallbackKind::Ollama => TargetKind::Ollama { keep_alive: settings.keep_alive },
        FallbackKind::Openai => TargetKind::OpenAi,
    };
    let view = watch::Sender::new(FallbackView::unknown(kind.as_str()));
    let models = settings
        .targets()
        .map(|(name, target)| TargetModel { name: name.map(ToOwned::to_owned), target: target.to_owned() });
    let config = TargetConfig {
        kind,
        address: settings.address,
        models: models.collect(),
        num_ctx: settings.num_ctx.map(|tokens| u64::from(tokens.get())),
        timeout: settings.timeout,
        max_inflight: usize::try_from(settings.max_inflight.get()).unwrap_or(usize::MAX),
        breaker: TargetConfig::own_breaker(settings.timeout),
    };
    let target = Target::new(config, view.subscribe())?;
    let links = FallbackLinks {
        client: around.client.clone(),
        base: format!("http://{}", settings.address),
        models: settings.targets().map(|(_, target)| target.to_owned()).collect(),
        view,
        usage: target.usage(),
        servers: around.servers.clone(),
        bus: around.bus.clone(),
        clock: around.clock,
    };
    let child = match settings.kind {
        FallbackKind::Ollama => Ollama::child_spec(links),
        FallbackKind::Openai => OpenAi::child_spec(links),
    };
    Ok(Some(Planned { fallback: Arc::new(target), child }))
}

/// Whether a request for the model of this name consents by that alone.
pub(super) const fn consents(consent: AliasConsent) -> mlx_tree_gateway::request::Consent {
    match consent {
        AliasConsent::Given => mlx_tree_gateway::request::Consent::Given,
        AliasConsent::Silent => mlx_tree_gateway::request::Consent::NotGiven,
    }
}
