//! What was seen, as plain data: the judge sees nothing else, so that every illness can be made up in a test.

use std::path::PathBuf;

use mlx_tree::process::machine::Memory;
use mlx_tree::process::port::PortState;

/// What was seen, or why it could not be looked at.
pub(super) type Known<T> = Result<T, String>;

/// Everything.
pub(super) struct Facts {
    pub(super) places: Vec<Place>,
    pub(super) servers: Vec<Server>,
    pub(super) ports: Vec<Port>,
    pub(super) machine: Machine,
    pub(super) running: Running,
    /// Other processes of mlx-tree that supervise something.
    pub(super) others: Known<Vec<i32>>,
    pub(super) fallback: Option<Fallback>,
    pub(super) services: Known<Vec<Service>>,
    /// Variables that name a proxy, and whether loopback is an exception from it.
    pub(super) proxies: Vec<String>,
    pub(super) loopback_is_direct: bool,
    pub(super) mac: Option<Mac>,
}

/// A directory of ours.
pub(super) struct Place {
    /// The key that names it.
    pub(super) key: &'static str,
    pub(super) path: PathBuf,
    pub(super) seen: Known<Seen>,
    /// What is free where it is, in bytes.
    pub(super) free: Known<u64>,
}

/// What stands where a directory of ours should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing yet; it can be made.
    Absent,
    /// Nothing, and the directory above cannot be written to.
    CannotBeMade,
    /// A directory.
    Directory { owner: Owner, mode: u32 },
    /// A symbolic link.
    Link,
    /// Something else.
    Other,
}

/// Whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Us,
    /// Another user, by number.
    User(u32),
}

/// A server that is configured.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) python: Option<Python>,
    pub(super) model: Model,
    pub(super) start_offline: bool,
}

/// The interpreter of a server.
pub(super) struct Python {
    /// As `mlx_lm`.
    pub(super) module: &'static str,
    pub(super) found: Found,
}

/// What the search for it came to.
pub(super) enum Found {
    /// It is there.
    There {
        path: PathBuf,
        version: String,
        module_version: String,
        /// The version of `mlx`, and the machine that it was made for.
        mlx: Known<(String, String)>,
    },
    /// It would be made at the first run.
    WouldBeMade,
    /// It is not, and this is why and what helps.
    Failed { why: String, help: Option<String> },
    /// It could not be asked.
    Unknown(String),
}

/// A server's model.
pub(super) enum Model {
    /// A command of the user's own has it.
    NotOurs,
    /// Made by mlx-tree.
    Builtin,
    /// On the hub, and perhaps in its cache.
    Hub { id: String, cached: Option<Files> },
    /// A directory.
    Directory(Files),
    /// It is not there, or not complete.
    Wrong(String),
    /// It could not be looked at.
    Unknown(String),
}

/// The files of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Files {
    pub(super) path: PathBuf,
    /// What is not there.
    pub(super) missing: Vec<String>,
    /// What is there and wrong, and how.
    pub(super) damaged: Vec<(String, Damage)>,
    /// The weights together, in bytes.
    pub(super) weights: u64,
}

/// How a file is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Damage {
    Empty,
    /// A pointer of Git LFS in place of the file.
    LfsPointer,
    /// Shorter or longer than its own head says.
    Size {
        has: u64,
        wants: u64,
    },
    /// Not what it should be.
    Malformed(String),
}

/// An address that something of ours needs.
pub(super) struct Port {
    pub(super) key: String,
    pub(super) address: std::net::SocketAddr,
    pub(super) state: Known<PortState>,
    pub(super) ours: Ours,
}

/// Whether who holds it belongs to the mlx-tree that runs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    Yes,
    No,
}

/// The machine and what it lets us have.
pub(super) struct Machine {
    pub(super) open_files: Known<(u64, u64)>,
    pub(super) memory: Option<Memory>,
    pub(super) limit: Option<u64>,
    pub(super) pressure: Option<f64>,
    pub(super) gpu_limit: Option<u64>,
    pub(super) boot_id: String,
}

/// The mlx-tree of this state directory.
pub(super) enum Running {
    No,
    /// It answers.
    Answers {
        pid: u32,
        version: String,
        degraded: Vec<String>,
    },
    /// Its access file is there, and nobody answers.
    Silent {
        pid: u32,
        alive: Alive,
    },
    Unknown(String),
}

/// Whether a process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alive {
    Yes,
    No,
}

/// The fallback that is configured.
pub(super) struct Fallback {
    pub(super) address: std::net::SocketAddr,
    pub(super) wanted: Vec<String>,
    pub(super) models: Known<Vec<String>>,
    pub(super) pull: Pull,
}

/// How a missing model is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pull {
    Ollama,
    ByHand,
}

/// A unit or property list that runs mlx-tree.
pub(super) struct Service {
    pub(super) file: PathBuf,
    /// What it starts.
    pub(super) program: Option<PathBuf>,
    pub(super) program_is: Program,
    /// As the service manager says: `enabled`, `disabled` …
    pub(super) enabled: Known<String>,
    /// Whether it runs without its user being logged in.
    pub(super) lingers: Option<Lingers>,
}

/// What became of a service's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// It is this one.
    ThisOne,
    /// It is there, and another one than this.
    Another,
    Gone,
}

/// Whether a user's services outlive the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lingers {
    Yes,
    No,
}

/// What only a Mac has.
pub(super) struct Mac {
    /// Whether mlx-tree itself is translated from x86-64.
    pub(super) translated: Known<bool>,
    pub(super) low_power: Known<bool>,
}
