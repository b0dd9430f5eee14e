//! From the command line to what is to run: every path absolute, no secret, nothing that depends on who has typed it.

use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use clap::ValueEnum as _;
use mlx_tree::service::{Definition, Manager, Scope};
use mlx_tree::settings::{Environment, looks_secret};

use crate::cli::arguments::{SettingsArguments, Which};
use crate::cli::own_program;
use crate::cli::report::{Code, Report};
use crate::cli::settings::Loaded;

/// What an orderly end takes beside `shutdown.drain` and `shutdown.grace`.
const MARGIN: Duration = Duration::from_secs(15);

/// The service that runs what `mlx-tree run` with these arguments would.
pub(super) fn definition(
    which: &Which,
    manager: Manager,
    loaded: &Loaded,
    arguments: &SettingsArguments,
) -> Result<Definition, Report> {
    let shutdown = &loaded.settings.shutdown;
    let (name, scope) = (which.name.clone(), which.scope());
    let places = Places::of(name.as_str(), scope);
    let log = match manager {
        Manager::Systemd => None,
        Manager::Launchd => {
            let home = loaded.environment.home().unwrap_or_else(|| PathBuf::from("/"));
            Some(utf8(&home.join(format!("Library/Logs/{name}.log")))?)
        }
    };
    let writes = match scope {
        Scope::User => Vec::new(),
        Scope::System => arguments.state_dir.iter().map(|dir| full(dir)).collect::<Result<_, _>>()?,
    };
    Ok(Definition {
        arguments: words(arguments, &places)?,
        name,
        scope,
        program: own_path()?,
        variables: variables(&places, &loaded.environment)?,
        run_as: match scope {
            Scope::User => None,
            Scope::System => Some(which.run_as.clone()),
        },
        stop: shutdown.drain + shutdown.grace + MARGIN,
        writes,
        log,
    })
}

/// Where this program is.
pub(super) fn own_path() -> Result<String, Report> {
    utf8(Path::new(&own_program()?))
}

/// Where a service of the machine has its things; a user's has them where the user has.
enum Places {
    Users,
    Machines { config: Option<PathBuf>, state: String, data: String, hub: String },
}

// === impl Places ===

impl Places {
    fn of(name: &str, scope: Scope) -> Self {
        match scope {
            Scope::User => Self::Users,
            Scope::System => Self::Machines {
                config: Some(PathBuf::from(format!("/etc/{name}/config.toml"))).filter(|file| file.exists()),
                state: format!("/var/lib/{name}"),
                data: format!("/var/lib/{name}/data"),
                hub: format!("/var/cache/{name}/huggingface"),
            },
        }
    }
}

fn words(arguments: &SettingsArguments, places: &Places) -> Result<Vec<String>, Report> {
    let SettingsArguments { config, set, model, port, state_dir, log_format } = arguments;
    let mut words = Vec::new();
    let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    let (default_config, default_state, data) = match places {
        Places::Users => (None, None, None),
        Places::Machines { config, state, data, .. } => (config.as_ref(), Some(state), Some(data)),
    };
    if let Some(file) = config.as_ref().or(default_config) {
        add("--config", full(file)?);
    }
    match (state_dir, default_state) {
        (Some(dir), _) => add("--state-dir", full(dir)?),
        (None, Some(dir)) => add("--state-dir", dir.clone()),
        (None, None) => {}
    }
    let sets_data = set.iter().any(|(key, _)| key == "data_dir");
    if let Some(data) = data.filter(|_| !sets_data) {
        add("--set", format!("data_dir={data}"));
    }
    if let Some(model) = model {
        // A directory that was named from here is the same one for the service.
        let path = Path::new(model);
        add("--model", if path.is_dir() { full(path)? } else { model.clone() });
    }
    if let Some(port) = port {
        add("--port", port.to_string());
    }
    if let Some(format) = log_format.and_then(|format| format.to_possible_value()) {
        add("--log-format", format.get_name().to_owned());
    }
    for (key, value) in set {
        if looks_secret(key) {
            let refusal = format!("{key} may be a secret, and anybody can read the command line of a service");
            return Err(Report::new(Code::Config, refusal)
                .help("put it into a configuration file, and name that with --config"));
        }
        add("--set", format!("{key}={value}"));
    }
    Ok(words)
}

fn variables(places: &Places, environment: &Environment) -> Result<Vec<(String, String)>, Report> {
    let mut variables = Vec::new();
    match places {
        Places::Users => {
            for (name, value) in environment.of_a_service() {
                variables.push((name.to_owned(), utf8(Path::new(value))?));
            }
        }
        Places::Machines { state, hub, .. } => {
            variables.extend([("HOME".to_owned(), state.clone()), ("HF_HOME".to_owned(), hub.clone())]);
            if let Some(locale) = environment.get("LANG") {
                variables.push(("LANG".to_owned(), utf8(Path::new(locale))?));
            }
        }
    }
    Ok(variables)
}

fn full(path: &Path) -> Result<String, Report> {
    utf8(&absolute(path).map_err(|error| Report::new(Code::Config, error))?)
}

fn utf8(path: &Path) -> Result<String, Report> {
    let refusal =
        || Report::new(Code::Config, format!("{} is not UTF-8, so it cannot stand in a unit", path.display()));
    path.to_str().map(str::to_owned).ok_or_else(refusal)
}
