//! Which models clients may name, from the configuration.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlx_tree_gateway::request::{Catalogue, Release, Served, Temperature, vocabulary};
use mlx_tree_settings::{Environment, ServerKind, ServerSettings, Settings, UnknownModel};

use super::fallback::consents;
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
pub(crate) fn catalogue(settings: &Settings, environment: &Environment, prepared: &[Prepared]) -> Catalogue {
    let mut catalogue = Catalogue::new();
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
        if let Some(python) = &prepared.python
            && is_older(&python.module_version)
        {
            served.release = Release::Older;
        }
        served.vocabulary = config_of(&prepared.model, server, environment).and_then(|config| vocabulary(&config));
        served.consent = consents(settings.fallback.consent_of(name));
        // Settings have refused what is ambiguous; of what is left, a name stays with the first who has it.
        if catalogue.add(served.clone()).is_err() {
            continue;
        }
        let aliases = server.aliases.iter().map(String::as_str).chain([server.model.as_str(), DEFAULT_MODEL]);
        for alias in aliases {
            let consent = consents(settings.fallback.consent_of(alias));
            let _ = if consent == served.consent {
                catalogue.alias(alias, name)
            } else {
                // Whoever uses this name says something else by it, so it is a model of its own.
                catalogue.add(Served { name: alias.into(), consent, ..served.clone() })
            };
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

/// Whether this is an `mlx_lm` before 0.32.
fn is_older(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(Some(0)), Some(Some(minor))) if minor < 32)
}

/// The `config.json` of a model: in its directory, or in the hub's cache if it has been downloaded already.
fn config_of(model: &str, server: &ServerSettings, environment: &Environment) -> Option<Vec<u8>> {
    if let Ok(config) = std::fs::read(Path::new(model).join("config.json")) {
        return Some(config);
    }
    let variable = |name: &str| {
        let own = server.env.get(name).map(OsString::from);
        own.or_else(|| environment.get(name).map(ToOwned::to_owned)).map(PathBuf::from)
    };
    // The order in which huggingface_hub looks.
    let cache = variable("HF_HUB_CACHE")
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(variable("HOME")?.join(".cache/huggingface/hub")))?;
    let snapshots = cache.join(format!("models--{}", model.replace('/', "--"))).join("snapshots");
    let newest = std::fs::read_dir(snapshots)
        .ok()?
        .flatten()
        .max_by_key(|snapshot| snapshot.metadata().and_then(|data| data.modified()).ok())?;
    std::fs::read(newest.path().join("config.json")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_may_be_abbreviated_as_python_lets_it() {
        let sets = |args: &[&str]| sets_temperature(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        assert!(sets(&["--temp", "0.7"]));
        assert!(sets(&["--tem=0.7"]));
        assert!(!sets(&["--max-tokens", "7"]));
        assert!(!sets(&[]));
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for older in ["0.26.4", "0.31.3", "0.9.1"] {
            assert!(is_older(older), "{older}");
        }
        for current in ["0.32.2", "0.100.0", "1.0.0", "unknown", ""] {
            assert!(!is_older(current), "{current}");
        }
    }
}
