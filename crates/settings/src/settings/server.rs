//! `[server]`: what is kept alive, and how it is started.

mod arguments;
mod command;
mod compare;
mod env;
mod launch;
mod naming;
mod preload;

pub use command::CommandTemplate;
pub use launch::{LaunchSettings, Ranks};
pub use preload::Preload;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::directories::{path, resolve};
use crate::layers::Found;
use crate::reader::Section;
use crate::value::{Choice, Reject, Shown, choice, duration, flag, integer, optional_size, span, text, texts};
use crate::{Environment, Problem, ServerEnv};

/// The server that is kept alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// What it is called among several; a single one need not have a name.
    pub name: Option<String>,
    /// Further names by which clients may ask for it.
    pub aliases: Vec<String>,
    /// What it is.
    pub kind: ServerKind,
    /// The Python that has its package.
    pub python: PythonChoice,
    /// `builtin:tiny`, an absolute path, or a name on the hub.
    pub model: String,
    /// Further arguments. None of them sets what mlx-tree sets.
    pub args: Vec<String>,
    /// A whole command line in place of the one that `kind` stands for.
    pub command: Option<CommandTemplate>,
    /// Its working directory. Absolute.
    pub cwd: PathBuf,
    /// Environment variables on top of the inherited ones.
    pub env: ServerEnv,
    /// The loopback address that it listens on.
    pub host: IpAddr,
    /// The port that it listens on; 0 means a free one at each launch.
    pub port: u16,
    /// What a fresh server is asked before it counts as ready.
    pub preload: Vec<Preload>,
    /// How long a start may take, until ready.
    pub start_timeout: Duration,
    /// Whether code that comes with a model may be run.
    pub trust_remote_code: bool,
    /// When it is started.
    pub start: StartMode,
    /// After how much time without a request it is put to sleep; `None` means never.
    pub idle_stop: Option<Duration>,
    /// How much memory it needs, in bytes; counts towards the budget.
    pub memory: Option<u64>,
    /// How much memory it may use before it is restarted when that suits, in bytes.
    pub memory_soft_limit: Option<u64>,
    /// How much memory it may use before it is ended, in bytes.
    pub memory_hard_limit: Option<u64>,
    /// How its process becomes several, if it does.
    pub launch: Option<LaunchSettings>,
}

/// When a server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartMode {
    /// With the tree. It stays, whatever the others need.
    Always,
    /// With the tree, if there is room; from then on as `OnDemand`.
    Preload,
    /// When a request asks for it. It gives way to others when it is idle.
    OnDemand,
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// `python -m mlx_lm server`.
    MlxLm,
    /// `python -m mlx_vlm.server`.
    MlxVlm,
    /// llama.cpp's server.
    LlamaCpp,
    /// Any server that speaks OpenAI's API; it needs a command.
    Openai,
    /// Any server at all; it needs a command.
    Http,
}

/// Which Python runs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PythonChoice {
    /// An active virtual environment that has the package, else one that mlx-tree makes.
    Auto,
    /// This interpreter: an absolute path, or a name to be found on the search path.
    At(PathBuf),
}

// === impl ServerSettings ===

impl ServerSettings {
    pub(super) fn read(section: &mut Section<'_, '_>, environment: &Environment, state_dir: &Path) -> Self {
        let settings = Self {
            name: naming::name(section),
            aliases: naming::aliases(section),
            kind: section.read("kind", choice),
            python: section.read_found("python", |found| python(found, environment)),
            model: section.read_found("model", |found| model(found, environment)),
            args: section.read("args", texts),
            command: command::read(section),
            cwd: section.read_found("cwd", |found| match text(&found.value)?.as_str() {
                "" => Ok(state_dir.to_owned()),
                _ => path(found, environment),
            }),
            env: env::read(section),
            host: section.read("host", |value| host(&text(value)?)),
            port: section.read("port", integer(0..=i128::from(u16::MAX))),
            preload: preload::read(section),
            start_timeout: section.read("start_timeout", span),
            trust_remote_code: section.read("trust_remote_code", flag),
            start: section.read("start", choice),
            idle_stop: Some(section.read("idle_stop", duration)).filter(|span| !span.is_zero()),
            memory: section.read("memory", optional_size).0,
            memory_soft_limit: section.read("memory_soft_limit", optional_size).0,
            memory_hard_limit: section.read("memory_hard_limit", optional_size).0,
            launch: launch::read(section, environment),
        };
        arguments::check(&settings, section);
        launch::check(&settings, section);
        if let (Some(soft), Some(hard)) = (settings.memory_soft_limit, settings.memory_hard_limit)
            && soft >= hard
        {
            section.conflict(
                "memory_soft_limit",
                "memory_hard_limit",
                "it would be ended before it could be restarted",
                "a soft limit below the hard one",
            );
        }
        if settings.start == StartMode::Always && settings.idle_stop.is_some() {
            section.conflict(
                "idle_stop",
                "start",
                "a server that is always there is never put to sleep",
                "start = \"preload\" for one that is started with the tree and may sleep later",
            );
        }
        settings
    }

    /// What it is called, in events, in the picture and by clients.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("server")
    }
}

/// `auto`, a path, or a name to be found on the search path.
fn python(found: &Found, environment: &Environment) -> Result<PythonChoice, Reject> {
    let text = text(&found.value)?;
    match text.as_str() {
        "" => Err(Reject::invalid("it is empty", r#""auto", or the path of an interpreter"#)),
        "auto" => Ok(PythonChoice::Auto),
        name if !name.contains('/') && name != "~" => Ok(PythonChoice::At(name.into())),
        path => resolve(path, &found.origin, environment).map(PythonChoice::At),
    }
}

/// A path if it is written like one (`/`, `./`, `../`, `~/`), otherwise a name.
fn model(found: &Found, environment: &Environment) -> Result<String, Reject> {
    let text = text(&found.value)?;
    if text.is_empty() {
        return Err(Reject::invalid("it is empty", r#""builtin:tiny", a directory, or a name on the hub"#));
    }
    if text.starts_with('-') {
        return Err(Reject::invalid("the server would take it for a flag", "a model does not begin with -"));
    }
    if ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start)) {
        let path = resolve(&text, &found.origin, environment)?;
        return Ok(path.display().to_string());
    }
    Ok(text)
}

/// A loopback address: clients reach the server only through what stands before it.
fn host(text: &str) -> Result<IpAddr, Reject> {
    const HELP: &str = "a loopback address, such as \"127.0.0.1\"";
    let host = match text {
        "localhost" => IpAddr::from(Ipv4Addr::LOCALHOST),
        text => text.parse().map_err(|_| Reject::malformed("this is no IP address", HELP))?,
    };
    if host.is_loopback() {
        Ok(host)
    } else {
        Err(Reject {
            problem: Problem::NotLoopback("others could reach the server past mlx-tree".to_owned()),
            help: Some(HELP.to_owned()),
        })
    }
}

// === impl ServerKind ===

impl ServerKind {
    /// The name of the kind in configuration and status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.name()
    }
}

impl Choice for ServerKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mlx_lm", Self::MlxLm),
        ("mlx_vlm", Self::MlxVlm),
        ("llama_cpp", Self::LlamaCpp),
        ("openai", Self::Openai),
        ("http", Self::Http),
    ];
}

impl Choice for StartMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("preload", Self::Preload), ("on_demand", Self::OnDemand)];
}

// === impl PythonChoice ===

impl Shown for PythonChoice {
    fn shown(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned().shown(),
            Self::At(path) => path.shown(),
        }
    }
}
