//! What mlx-tree knows about each kind of server: how it is started, and what its answers prove.
//!
//! A new kind of server is a new profile here; `docs/ARCHITECTURE.md` says what else.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use mlx_tree_api::Probe;
use mlx_tree_settings::{CommandTemplate, ServerKind};

use super::job::Job;

/// How one kind of server is started and judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its kind, for the status.
    pub kind: ServerKind,
    /// `GET` this path for liveness.
    pub health_path: String,
    /// What a healthy answer looks like.
    pub healthy: Healthy,
    /// How a completion of one token is asked for.
    pub canary: Canary,
}

/// What a healthy answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Healthy {
    /// Any 2xx.
    Success,
    /// A 2xx whose JSON body names a loaded model (`mlx_vlm`: `loaded_model` is not null).
    ModelLoaded,
}

/// How a completion of one token is asked for: the only thing that proves that a model is loaded and generates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    /// `POST /v1/completions` with this model name.
    Completion {
        /// The `model` of the request.
        model: String,
    },
    /// `POST /v1/chat/completions` with this model name.
    Chat {
        /// The `model` of the request.
        model: String,
    },
    /// The server is not a language model: its health check is all there is.
    None,
}

/// What a profile needs to know to write a command line.
#[derive(Debug, Clone)]
pub struct CommandParts {
    /// The interpreter, for the Python servers.
    pub python: PathBuf,
    /// The model: a directory or a hub name.
    pub model: String,
    /// The configured further arguments.
    pub args: Vec<String>,
    /// A whole command line instead of the kind's own.
    pub command: Option<CommandTemplate>,
    /// Where to listen.
    pub host: IpAddr,
    /// The port to listen on.
    pub port: u16,
    /// The job of several processes that it is to be, if it is.
    pub job: Option<Job>,
}

// === impl Canary ===

impl Canary {
    /// As what its answer is measured: not at all, if nothing is asked.
    pub(crate) const fn told_as(&self, probe: Probe) -> Option<Probe> {
        match self {
            Self::Completion { .. } | Self::Chat { .. } => Some(probe),
            Self::None => None,
        }
    }
}

// === impl Profile ===

impl Profile {
    /// The profile of `kind` for `model`; `health_path`, where there is one, replaces the kind's own.
    #[must_use]
    pub fn of(kind: ServerKind, model: &str, health_path: Option<&str>) -> Self {
        let model = model.to_owned();
        let (path, healthy, canary) = match kind {
            // `default_model` names whatever was loaded at start, so a canary can never make mlx_lm load another one.
            ServerKind::MlxLm => {
                ("/health", Healthy::Success, Canary::Completion { model: "default_model".to_owned() })
            }
            ServerKind::MlxVlm => ("/health", Healthy::ModelLoaded, Canary::Chat { model }),
            // llama.cpp answers 503 while it loads.
            ServerKind::LlamaCpp => ("/health", Healthy::Success, Canary::Completion { model }),
            ServerKind::Openai => ("/health", Healthy::Success, Canary::Chat { model }),
            ServerKind::Http => ("/", Healthy::Success, Canary::None),
        };
        Self { kind, health_path: health_path.unwrap_or(path).to_owned(), healthy, canary }
    }

    /// The command line, as an argv that no shell will see.
    #[must_use]
    pub fn argv(&self, parts: &CommandParts) -> Vec<OsString> {
        let server = self.server_argv(parts);
        match &parts.job {
            Some(job) => job.argv(server),
            None => server,
        }
    }

    fn server_argv(&self, parts: &CommandParts) -> Vec<OsString> {
        if let Some(command) = &parts.command {
            let words =
                command.fill(parts.host, parts.port, &parts.model).into_iter().chain(parts.args.iter().cloned());
            return words.map(OsString::from).collect();
        }
        let host_and_port =
            ["--host".into(), parts.host.to_string().into(), "--port".into(), parts.port.to_string().into()];
        let mut argv: Vec<OsString> = match self.kind {
            ServerKind::MlxLm => {
                let python = parts.python.clone().into_os_string();
                // Only pages of the server's own origin may call it: a web page must not reach it through the browser (S4).
                let origin = format!("http://{}", SocketAddr::new(parts.host, parts.port));
                let head = [python, "-m".into(), "mlx_lm".into(), "server".into()];
                head.into_iter()
                    .chain(["--model".into(), parts.model.clone().into(), "--allowed-origins".into(), origin.into()])
                    .collect()
            }
            ServerKind::MlxVlm => {
                let python = parts.python.clone().into_os_string();
                [python, "-m".into(), "mlx_vlm.server".into(), "--model".into(), parts.model.clone().into()]
                    .into_iter()
                    .collect()
            }
            ServerKind::LlamaCpp => {
                ["llama-server".into(), "--model".into(), parts.model.clone().into()].into_iter().collect()
            }
            // Settings refuse these kinds without a command.
            ServerKind::Openai | ServerKind::Http => Vec::new(),
        };
        argv.extend(host_and_port);
        argv.extend(parts.args.iter().map(OsString::from));
        argv
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::server::job::Ranks;

    fn parts() -> CommandParts {
        CommandParts {
            python: "/venv/bin/python".into(),
            model: "/models/tiny".to_owned(),
            args: vec!["--log-level".to_owned(), "INFO".to_owned()],
            command: None,
            host: Ipv4Addr::LOCALHOST.into(),
            port: 9000,
            job: None,
        }
    }

    fn words(argv: Vec<OsString>) -> String {
        argv.into_iter().map(|word| word.into_string().expect("utf-8")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_job_is_the_launchers_with_the_servers_own_command_line_behind_it() {
        let ranks = Ranks::Here { count: 2, first_port: 20_000 };
        let job = Job { launcher: "/venv/bin/mlx.launch".into(), ranks, backend: "ring".to_owned() };
        let argv = Profile::of(ServerKind::MlxLm, "tiny", None).argv(&CommandParts { job: Some(job), ..parts() });
        assert_eq!(
            words(argv),
            "/venv/bin/mlx.launch --backend ring -n 2 --starting-port 20000 -- \
             /venv/bin/python -m mlx_lm server --model /models/tiny --allowed-origins http://127.0.0.1:9000 \
             --host 127.0.0.1 --port 9000 --log-level INFO"
        );
    }

    #[test]
    fn mlx_lm_is_started_on_our_address_and_keeps_foreign_origins_out() {
        let argv = Profile::of(ServerKind::MlxLm, "tiny", None).argv(&parts());
        assert_eq!(
            words(argv),
            "/venv/bin/python -m mlx_lm server --model /models/tiny --allowed-origins http://127.0.0.1:9000 \
             --host 127.0.0.1 --port 9000 --log-level INFO"
        );
    }
}
