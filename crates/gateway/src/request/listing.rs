//! The body of `GET /v1/models`: the catalogue in OpenAI's shape, and beside each model what its server is doing.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Catalogue, Served};
use crate::backend::{Backend, BackendState};
use crate::refusal::Refusal;

/// What there is to say of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The server's name, as in [`Served::server`].
    pub server: String,
    /// What it is doing.
    pub backend: Backend,
}

/// The body of `GET /v1/models`. `created` is when mlx-tree was started, in seconds since 1970.
#[must_use]
pub fn listing(catalogue: &Catalogue, servers: &[Listed], created: u64, now: Instant) -> Bytes {
    let models: Vec<_> =
        catalogue.models().iter().map(|served| object(catalogue, served, servers, created, now)).collect();
    json!({"object": "list", "data": models}).to_string().into()
}

/// The body of `GET /v1/models/{name}`.
///
/// # Errors
///
/// 404 for a name that is not in the catalogue.
pub fn one(
    catalogue: &Catalogue,
    name: &str,
    servers: &[Listed],
    created: u64,
    now: Instant,
) -> Result<Bytes, Refusal> {
    let served = catalogue.get(name).ok_or_else(|| catalogue.not_found(name))?;
    Ok(object(catalogue, served, servers, created, now).to_string().into())
}

fn object(catalogue: &Catalogue, served: &Served, servers: &[Listed], created: u64, now: Instant) -> Value {
    let backend = servers.iter().find(|it| *it.server == *served.server).map(|it| &it.backend);
    json!({
        "id": &*served.name,
        "object": "model",
        "created": created,
        "owned_by": "mlx-tree",
        "mlx_tree": {
            "server": &*served.server,
            "state": backend.map_or("unknown", |it| word(&it.state)),
            "ready_in_ms": backend.and_then(|it| ready_in(&it.state, now)),
            "aliases": catalogue.aliases(served).collect::<Vec<_>>(),
        },
    })
}

const fn word(state: &BackendState) -> &'static str {
    match state {
        BackendState::Ready { .. } => "ready",
        BackendState::Restarting { .. } => "restarting",
        BackendState::BreakerOpen { .. } => "breaker_open",
        BackendState::Asleep => "asleep",
        BackendState::Stopped { .. } => "stopped",
        BackendState::Draining => "draining",
    }
}

fn ready_in(state: &BackendState, now: Instant) -> Option<u64> {
    let at = match state {
        BackendState::Restarting { ready_at, .. } | BackendState::BreakerOpen { ready_at, .. } => (*ready_at)?,
        BackendState::Ready { .. } => now,
        BackendState::Asleep | BackendState::Stopped { .. } | BackendState::Draining => return None,
    };
    u64::try_from(at.saturating_duration_since(now).as_millis()).ok()
}
