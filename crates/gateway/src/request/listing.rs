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
        BackendState::Recycling { .. } => "restarting",
        BackendState::Yielding { .. } => "yielding",
        BackendState::Finishing { .. } => "stopping",
        BackendState::Asleep => "asleep",
        BackendState::Stopped { .. } => "stopped",
        BackendState::Draining => "draining",
    }
}

fn ready_in(state: &BackendState, now: Instant) -> Option<u64> {
    let at = match state {
        BackendState::Restarting { ready_at, .. } | BackendState::BreakerOpen { ready_at, .. } => (*ready_at)?,
        BackendState::Ready { .. } => now,
        BackendState::Recycling { .. }
        | BackendState::Yielding { .. }
        | BackendState::Finishing { .. }
        | BackendState::Asleep
        | BackendState::Stopped { .. }
        | BackendState::Draining => return None,
    };
    u64::try_from(at.saturating_duration_since(now).as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::new();
        catalogue.add(Served::mlx_lm("tiny", "main")).expect("the first one");
        catalogue.add(Served::other("big", "second", "org/big")).expect("another name");
        catalogue.alias("gpt-4o", "tiny").expect("a free name");
        catalogue
    }

    fn state(state: BackendState) -> Vec<Listed> {
        vec![Listed { server: "main".to_owned(), backend: Backend::new(1, state) }]
    }

    fn read(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn the_list_has_openais_shape_and_the_state_beside_it() {
        let now = Instant::now();
        let ready_at = Some(now + Duration::from_millis(1_500));
        let servers = state(BackendState::Restarting { ready_at, reason: Arc::from("it crashed") });
        let list = read(&listing(&catalogue(), &servers, 1_700_000_000, now));
        let tiny = json!({"server": "main", "state": "restarting", "ready_in_ms": 1500, "aliases": ["gpt-4o"]});
        let big = json!({"server": "second", "state": "unknown", "ready_in_ms": null, "aliases": []});
        let model = |id, more| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "mlx-tree", "mlx_tree": more});
        assert_eq!(list, json!({"object": "list", "data": [model("tiny", tiny), model("big", big)]}));
        assert_eq!(read(&listing(&Catalogue::new(), &[], 0, now)), json!({"object": "list", "data": []}));
    }

    #[test]
    fn one_model_is_found_by_each_of_its_names() {
        let (now, servers) = (Instant::now(), state(BackendState::Asleep));
        for name in ["tiny", "gpt-4o"] {
            let found = read(&one(&catalogue(), name, &servers, 0, now).expect("it is there"));
            assert_eq!((&found["id"], &found["mlx_tree"]["state"]), (&json!("tiny"), &json!("asleep")));
        }
        let refusal = one(&catalogue(), "../tiny", &servers, 0, now).expect_err("it is not there");
        assert_eq!(refusal.code, crate::refusal::Code::ModelNotFound);
    }

    #[test]
    fn every_state_has_a_word_of_its_own() {
        let (now, reason) = (Instant::now(), Arc::<str>::from("why"));
        let states = [
            (BackendState::Ready { address: ([127, 0, 0, 1], 1).into() }, json!(0)),
            (BackendState::Restarting { ready_at: None, reason: Arc::clone(&reason) }, json!(null)),
            (BackendState::BreakerOpen { ready_at: Some(now), reason: Arc::clone(&reason) }, json!(0)),
            (BackendState::Asleep, json!(null)),
            (BackendState::Stopped { reason }, json!(null)),
            (BackendState::Draining, json!(null)),
        ];
        let mut words = std::collections::BTreeSet::new();
        for (it, ready) in states {
            let found = read(&one(&catalogue(), "tiny", &state(it), 0, now).expect("it is there"));
            assert_eq!(found["mlx_tree"]["ready_in_ms"], ready);
            assert!(words.insert(found["mlx_tree"]["state"].as_str().expect("a word").to_owned()));
        }
        assert_eq!(words.len(), 6);
    }
}
