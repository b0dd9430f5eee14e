//! `GET /running` and `POST /unload`, as users of llama-swap know them: which models are in memory, and which are to go.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::backend::{BackendState, Observer};
use crate::exchange::Route;
use crate::request::Catalogue;
use crate::{Code, Refusal};

/// The models whose servers have a process, or are about to.
pub(super) fn running<'a>(catalogue: &Catalogue, route_of: impl Fn(&str) -> Option<&'a Arc<Route>>) -> Value {
    let state = |server: &str| {
        Some(match route_of(server)?.backend.borrow().state {
            BackendState::Ready { .. } | BackendState::Yielding { .. } => "ready",
            BackendState::Restarting { .. } | BackendState::Recycling { .. } | BackendState::BreakerOpen { .. } => {
                "starting"
            }
            BackendState::Finishing { .. } | BackendState::Draining => "stopping",
            BackendState::Asleep | BackendState::Stopped { .. } => return None,
        })
    };
    let models = catalogue.models().iter();
    let models = models.filter_map(|model| Some(json!({"model": &*model.name, "state": state(&model.server)?})));
    json!({"running": models.collect::<Vec<_>>()})
}

/// Puts the server of the model that the body names to sleep, or all that may sleep if it names none. Resolves when what is in
/// flight there is over and the processes are gone.
pub(super) async fn unload(catalogue: &Catalogue, observer: &dyn Observer, body: &[u8]) -> Result<Value, Refusal> {
    let body: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        let invalid =
            |_| Refusal::new(Code::InvalidJson, "This needs a JSON object such as {\"model\": \"name\"}, or nothing.");
        serde_json::from_slice(body).map_err(invalid)?
    };
    let named = match body.get("model") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(catalogue.get(name).ok_or_else(|| catalogue.not_found(name))?),
        Some(_) => return Err(Refusal::new(Code::InvalidParameter, "The model is a name.").param("model")),
    };
    let mut unloaded = Vec::new();
    for model in catalogue.models().iter().filter(|model| named.is_none_or(|named| named.name == model.name)) {
        match observer.unload(&model.server).await {
            Ok(()) => unloaded.push(&*model.name),
            Err(why) if named.is_some() => return Err(Refusal::new(Code::InvalidParameter, why).param("model")),
            // Of all, those that may.
            Err(_) => {}
        }
    }
    Ok(json!({"unloaded": unloaded}))
}
