//! Which models clients may name, from the configuration.

use std::path::Path;
use std::sync::Arc;

use mlx_tree_gateway::request::{Catalogue, Served, Temperature};
use mlx_tree_settings::{ServerKind, ServerSettings, Settings, UnknownModel};
use serde_json::Value;

use crate::assemble::Label;
use crate::prepare::Prepared;

/// What `mlx_lm.server` calls the model that it was started with; clients of it say so too.
const DEFAULT_MODEL: &str = "default_model";

/// The servers by name, with what they are called in answers.
pub(super) fn members(settings: &Settings, label: Label) -> Vec<(Arc<str>, Arc<str>)> {
    let kind = |server: &ServerSettings| match label {
        Label::Server => server.kind.as_str(),
        Label::Demo => "demo",
    };
    settings.servers().map(|server| (server.name().into(), kind(server).into())).collect()
}

/// The models by name.
pub(super) fn catalogue(settings: &Settings, prepared: &Prepared) -> Catalogue {
    let mut catalogue = Catalogue::new();
    let prepared = std::iter::once(prepared).chain(&prepared.further);
    for (server, prepared) in settings.servers().zip(prepared) {
        let name = model_name(server);
        let mut served = match server.kind {
            ServerKind::MlxLm => Served::mlx_lm(name, server.name()),
            ServerKind::MlxVlm | ServerKind::LlamaCpp | ServerKind::Openai | ServerKind::Http => {
                Served::other(name, server.name(), server.model.as_str())
            }
        };
        if sets_temperature(&server.args) {
            served.temperature = Temperature::Other;
        }
        served.vocabulary = vocabulary(Path::new(&prepared.model));
        // Settings have refused what is ambiguous; of what is left, a name stays with the first who has it.
        if catalogue.add(served).is_err() {
            continue;
        }
        let aliases = server.aliases.iter().map(String::as_str).chain([server.model.as_str(), DEFAULT_MODEL]);
        for alias in aliases {
            let _ = catalogue.alias(alias, name);
        }
    }
    let default = model_name(&settings.server);
    let _ = catalogue.default_for_absent(default);
    match settings.gateway.unknown_model {
        UnknownModel::Refuse => {}
        UnknownModel::Default => drop(catalogue.default_for_unknown(default)),
    }
    catalogue
}

/// What clients see: the server's name if it has one, else its model.
fn model_name(server: &ServerSettings) -> &str {
    server.name.as_deref().unwrap_or(&server.model)
}

/// Whether the server is started with a temperature of its own.
fn sets_temperature(args: &[String]) -> bool {
    // Python's argparse takes every unambiguous beginning of a flag.
    let is_it = |flag: &str| flag.len() > "--te".len() && "--temp".starts_with(flag);
    args.iter().any(|arg| arg.split('=').next().is_some_and(is_it))
}

/// How many tokens the model in `dir` knows, if that can be read.
fn vocabulary(dir: &Path) -> Option<u32> {
    let config = std::fs::read(dir.join("config.json")).ok()?;
    let config: Value = serde_json::from_slice(&config).ok()?;
    let of = |value: &Value| value.get("vocab_size").and_then(Value::as_u64);
    of(&config).or_else(|| of(config.get("text_config")?)).and_then(|size| u32::try_from(size).ok())
}
