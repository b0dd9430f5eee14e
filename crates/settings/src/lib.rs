//! Layered configuration, validated into the types that the other crates accept; the only reader of the environment.
//!
//! ```text
//!   built-in defaults ◀ user file ◀ --config FILE ◀ MLX_TREE__SECTION__KEY ◀ flags        (later layers win)
//!         └─────────────────── merged by figment, every value tagged with its layer ──┐
//!                                                                                      ▼
//!    Settings + the origin of each key   ◀── one reader per section, cross-checks ── values
//!    or ConfigErrors: all that is wrong, each with key, value, layer and what would be right
//! ```
//!
//! The built-in layer is `config/default.toml`: a key exists if and only if it is in there, so a default is written in one
//! place and a key that is spelt wrongly has something to be compared with.
//!
//! To add a key: write it into `config/default.toml` with a comment, read it in its section's `read`, say in its `compare`
//! what a change of it takes, and add its row to `docs/CONFIGURATION.md`; tests report whatever was forgotten. To add a section: a file below `settings/`, and a line in
//! [`Settings`].

mod duration;
mod environment;
mod error;
mod layers;
mod load;
mod origin;
mod plan;
mod reader;
mod report;
mod secret;
mod settings;
mod size;
mod value;

pub use duration::{DurationError, format_duration, parse_duration};
pub use environment::{Environment, Platform};
pub use error::{ConfigError, ConfigErrors, OtherKey, Problem};
pub use load::{FileUse, Loaded, Sources, UsedFile, language, load};
pub use origin::{Flag, FlagValue, Origin};
pub use plan::{Change, Contradiction, Effect, Plan, plan};
pub use reader::Entry;
pub use secret::{ServerEnv, looks_secret};
pub use settings::{
    AliasConsent, BreakerSettings, CommandTemplate, ContinueStreams, ControlSettings, FallbackKind, FallbackModel,
    FallbackPolicy, FallbackSettings, GatewaySettings, HealthSettings, Language, LaunchSettings, LogFormat, LogLevel,
    LogSettings, MemorySettings, NotifyLevel, NotifySettings, NotifySink, Preload, PythonChoice, Ranks,
    ReportsSettings, RestartMode, RestartSettings, SecretUrl, ServerKind, ServerSettings, Settings, ShutdownSettings,
    StartMode, Tokens, UnknownModel,
};
pub use size::{SizeError, format_size, parse_size};

/// The built-in configuration, with a comment for each key.
pub const DEFAULT_TOML: &str = include_str!("../../../config/default.toml");
