//! Looks at everything, side by side. Each probe has its time; one that takes longer is a thing that nobody knows.

mod disk;
mod model;
mod running;
mod service;

use std::path::Path;
use std::time::Duration;

use mlx_tree::process::{clock, limits, machine};
use mlx_tree::provision::python::{self, Choice, Module, Surroundings};
use mlx_tree::settings::{Environment, Platform, PythonChoice, ServerKind, ServerSettings};
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::super::settings::Loaded;
use super::facts::{Facts, Found, Known, Mac, Machine, Model, Place, Python, Server};

/// For most probes.
const SHORT: Duration = Duration::from_secs(5);
/// To import MLX for the first time.
const LONG: Duration = Duration::from_secs(60);

/// What there is to see.
pub(super) async fn look(loaded: &Loaded) -> Facts {
    let Loaded { settings, environment, sources: _ } = loaded;
    let asked = async {
        let (running, status) = running::running(&settings.state_dir).await;
        let ports = running::ports(settings, &running, status.as_ref()).await;
        (running, ports)
    };
    let (places, servers, (running, ports), others, fallback, services, mac, machine) = tokio::join!(
        places(&settings.state_dir, &settings.data_dir),
        servers(loaded),
        asked,
        running::others(&settings.state_dir),
        running::fallback(&settings.fallback),
        service::services(environment),
        mac(environment),
        machine(),
    );
    let proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let direct = |name: &&str| {
        let exceptions = environment.get(name).and_then(|value| value.to_str()).unwrap_or_default();
        exceptions.split(',').any(|it| ["127.0.0.1", "localhost", "*"].contains(&it.trim()))
    };
    Facts {
        places,
        servers,
        ports,
        machine,
        running,
        others,
        fallback,
        services,
        proxies: proxies.into_iter().filter(|name| environment.get(name).is_some()).map(str::to_owned).collect(),
        loopback_is_direct: ["NO_PROXY", "no_proxy"].iter().any(direct),
        mac,
    }
}

/// What `work` finds out within `limit`. It may go on in vain on its own thread after that.
async fn bounded<T>(limit: Duration, work: impl Future<Output = Known<T>>) -> Known<T> {
    let late = || format!("no answer within {} s", limit.as_secs());
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}

/// The same for work that blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Known<T> + Send + 'static) -> Known<T> {
    bounded(SHORT, async { spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string())) }).await
}

/// What a program prints, and whether it ended with 0. It is killed when it takes too long.
async fn printed(program: &Path, arguments: &[&str], limit: Duration) -> Known<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let run = async { command.output().await.map_err(|error| format!("{}: {error}", program.display())) };
    let output = bounded(limit, run).await?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    match (output.status.success(), complaint.lines().last()) {
        (true, _) => Ok(text),
        // Some say what they know and end with 1 (`systemctl is-enabled`).
        (false, _) if !text.is_empty() => Ok(text),
        (false, Some(last)) => Err(last.to_owned()),
        (false, None) => Err(output.status.to_string()),
    }
}

async fn places(state_dir: &Path, data_dir: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    for (key, path) in [("state_dir", state_dir), ("data_dir", data_dir)] {
        let (one, other) = (path.to_owned(), path.to_owned());
        let (seen, free) = tokio::join!(blocking(move || disk::seen(&one)), blocking(move || disk::free(&other)));
        places.push(Place { key, path: path.to_owned(), seen, free });
    }
    places
}

async fn servers(loaded: &Loaded) -> Vec<Server> {
    let mut servers = Vec::new();
    for server in loaded.settings.servers() {
        let (python, model) = tokio::join!(python(server, loaded), model(server, loaded));
        let offline = |value: &std::ffi::OsStr| value != "0";
        servers.push(Server {
            name: server.name().to_owned(),
            python,
            model,
            start_offline: loaded.environment.get("HF_HUB_OFFLINE").is_some_and(offline),
        });
    }
    servers
}

async fn python(server: &ServerSettings, loaded: &Loaded) -> Option<Python> {
    let module = match (server.command.is_none(), server.kind) {
        (true, ServerKind::MlxLm) => Module::MlxLm,
        (true, ServerKind::MlxVlm) => Module::MlxVlm,
        (true, ServerKind::LlamaCpp | ServerKind::Openai | ServerKind::Http) | (false, _) => return None,
    };
    let environment = &loaded.environment;
    let surroundings =
        Surroundings { path: environment.get("PATH").map(ToOwned::to_owned), virtual_env: environment.virtual_env() };
    let choice = match &server.python {
        PythonChoice::Auto => Choice::Auto,
        PythonChoice::At(interpreter) => Choice::Interpreter(interpreter.clone()),
    };
    let looked = tokio::time::timeout(LONG, python::look(&choice, module, &surroundings, &loaded.settings.data_dir));
    let found = match looked.await {
        Err(_) => Found::Unknown(format!("no answer within {} s", LONG.as_secs())),
        Ok(Err(error)) => Found::Failed { why: error.to_string(), help: error.help() },
        Ok(Ok(None)) => Found::WouldBeMade,
        Ok(Ok(Some(python))) => {
            let mlx = mlx(&python.interpreter).await;
            Found::There {
                path: python.interpreter,
                version: python.version,
                module_version: python.module_version,
                mlx,
            }
        }
    };
    Some(Python { module: module.import_name(), found })
}

/// The version of MLX itself, and the machine that the interpreter is made for.
async fn mlx(interpreter: &Path) -> Known<(String, String)> {
    // Without the working directory: whatever lies there is nobody's to run.
    const SCRIPT: &str = "import sys; sys.path[:1] = [p for p in sys.path[:1] if p != '']; \
                          import importlib.metadata as m, platform; print(m.version('mlx'), platform.machine())";
    let answer = printed(interpreter, &["-c", SCRIPT], LONG).await?;
    let (version, machine) = answer.split_once(' ').ok_or_else(|| answer.clone())?;
    Ok((version.to_owned(), machine.to_owned()))
}

async fn model(server: &ServerSettings, loaded: &Loaded) -> Model {
    if server.command.is_some() {
        return Model::NotOurs;
    }
    let (name, environment) = (server.model.clone(), loaded.environment.clone());
    match blocking(move || Ok(model::look(&name, &environment))).await {
        Ok(model) => model,
        Err(why) => Model::Unknown(why),
    }
}

async fn machine() -> Machine {
    let looked = blocking(|| {
        Ok(Machine {
            open_files: limits::open_files().map_err(|error| error.to_string()),
            memory: machine::memory(),
            limit: machine::memory_limit(),
            pressure: machine::memory_pressure(),
            gpu_limit: machine::gpu_wired_limit(),
            boot_id: clock::boot_id().to_owned(),
        })
    });
    looked.await.unwrap_or_else(|why| Machine {
        open_files: Err(why),
        memory: None,
        limit: None,
        pressure: None,
        gpu_limit: None,
        boot_id: String::new(),
    })
}

async fn mac(environment: &Environment) -> Option<Mac> {
    match environment.platform() {
        Platform::Linux => return None,
        Platform::MacOs => {}
    }
    let (translated, power) = tokio::join!(
        printed(Path::new("/usr/sbin/sysctl"), &["-n", "sysctl.proc_translated"], SHORT),
        printed(Path::new("/usr/bin/pmset"), &["-g"], SHORT),
    );
    let low_power = power.map(|text| {
        let mut lines = text.lines().map(str::split_whitespace);
        lines.any(|mut words| words.next() == Some("lowpowermode") && words.next() == Some("1"))
    });
    // An Intel Mac does not know the name.
    let translated = Ok(translated.is_ok_and(|text| text == "1"));
    Some(Mac { translated, low_power })
}
