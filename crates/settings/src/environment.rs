//! The process environment, captured once. Nothing else in the workspace reads it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Language;

/// Variables that begin like this are configuration.
pub(crate) const PREFIX: &str = "MLX_TREE__";

/// Variables that the server inherits, beside the families in [`INHERITED_FAMILIES`]. A list, so that a secret which
/// happens to be set does not reach it.
const INHERITED: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "XDG_CACHE_HOME",
    "SSL_CERT_FILE",
];

/// Families of variables that the server inherits.
const INHERITED_FAMILIES: [&str; 4] = ["LC_", "HF_", "MLX_", "PYTHON"];

/// Variables that say where things are and in which language to speak. A service manager starts its services without them, so
/// they are written down when a service is installed. No secret is among them.
const OF_A_SERVICE: [&str; 17] = [
    "PATH",
    "VIRTUAL_ENV",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_MESSAGES",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TMPDIR",
];

/// Our own variables, which are nobody else's business though they look like MLX's.
const OURS: &str = "MLX_TREE_";

/// The environment of this process, or one that a test has made up.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    current_dir: PathBuf,
    platform: Platform,
}

/// Whose customs hold for directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// XDG base directories.
    Linux,
    /// `~/Library/Application Support`.
    MacOs,
}

// === impl Environment ===

impl Environment {
    /// Takes in the environment of this process. To be called once, by the program.
    #[must_use]
    pub fn capture() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            // Only relative paths need it, and they are of little use in a directory that is gone.
            current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            platform: Platform::current(),
        }
    }

    /// An environment with these variables and nothing else, in `/`, on this platform.
    #[must_use]
    pub fn from_variables<K: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        Self {
            variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            current_dir: PathBuf::from("/"),
            platform: Platform::current(),
        }
    }

    /// The same environment with one more variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The same environment in another directory.
    #[must_use]
    pub fn in_dir(mut self, current_dir: impl Into<PathBuf>) -> Self {
        self.current_dir = current_dir.into();
        self
    }

    /// The same environment on another platform.
    #[must_use]
    pub const fn on(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// The value of a variable, unless it is unset or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The language that people are spoken to in, unless the configuration names one: that of `MLX_TREE__LOG__LANGUAGE`, else
    /// that of the locale, by the variables and in the order that POSIX names. What is neither known nor set means English.
    #[must_use]
    pub fn language(&self) -> Language {
        let named =
            ["MLX_TREE__LOG__LANGUAGE"].into_iter().filter(|name| self.get(name).is_some_and(|word| word != "auto"));
        let word = named.chain(["LC_ALL", "LC_MESSAGES", "LANG"]).find_map(|name| self.get(name));
        match word.and_then(OsStr::to_str) {
            Some(locale) if locale.starts_with("ru") => Language::Ru,
            Some(_) | None => Language::En,
        }
    }

    /// The home directory.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        self.directory("HOME")
    }

    /// The active virtual environment.
    #[must_use]
    pub fn virtual_env(&self) -> Option<PathBuf> {
        self.directory("VIRTUAL_ENV")
    }

    /// Where units of the user's own belong; `None` without a home directory.
    #[must_use]
    pub fn user_units(&self) -> Option<PathBuf> {
        let base = self.directory("XDG_CONFIG_HOME").or_else(|| Some(self.home()?.join(".config")))?;
        Some(base.join("systemd/user"))
    }

    /// Whoever has started this process.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        ["USER", "LOGNAME"].into_iter().find_map(|name| self.get(name))?.to_str()
    }

    /// Where the service manager wants to be told how this process is, if it does.
    #[must_use]
    pub fn notify_socket(&self) -> Option<&OsStr> {
        self.get("NOTIFY_SOCKET")
    }

    /// How often the service manager wants to hear from process `pid` that it lives, if it does. The variables of a parent, which
    /// are inherited by mistake, are about another process.
    #[must_use]
    pub fn watchdog(&self, pid: u32) -> Option<Duration> {
        let number = |name| self.get(name).and_then(OsStr::to_str).and_then(|text| text.parse::<u64>().ok());
        let about_us = self.get("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(pid.into());
        let period = number("WATCHDOG_USEC").filter(|period| about_us && *period > 0)?;
        Some(Duration::from_micros(period))
    }

    /// The variables that a service of this user needs in order to find what this process finds.
    pub fn of_a_service(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        OF_A_SERVICE.into_iter().filter_map(|name| Some((name, self.get(name)?)))
    }

    /// The names of those that are set here and that a service will do without: configuration, and what may be secret.
    pub fn not_of_a_service(&self) -> impl Iterator<Item = &str> {
        let names = self.variables.keys().filter_map(|name| name.to_str());
        names.filter(|name| name.starts_with(PREFIX) || *name == "HF_TOKEN")
    }

    /// The directory that this process was started in.
    #[must_use]
    pub fn current_dir(&self) -> &Path {
        &self.current_dir
    }

    /// Whose customs hold for directories.
    #[must_use]
    pub const fn platform(&self) -> Platform {
        self.platform
    }

    /// The user's own configuration file, whether or not it exists; `None` without a home directory.
    #[must_use]
    pub fn user_config_file(&self) -> Option<PathBuf> {
        Some(self.base("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
    }

    /// Where state is kept unless the configuration says otherwise; `None` without a home directory.
    #[must_use]
    pub fn default_state_dir(&self) -> Option<PathBuf> {
        self.base("XDG_STATE_HOME", ".local/state")
    }

    /// Where data is kept unless the configuration says otherwise; `None` without a home directory.
    #[must_use]
    pub fn default_data_dir(&self) -> Option<PathBuf> {
        self.base("XDG_DATA_HOME", ".local/share")
    }

    /// The variables that a server inherits: a list of well-known ones, and none of mlx-tree's own.
    pub fn inherited_by_server(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .filter(|(name, _)| {
                name.to_str().is_some_and(|name| {
                    let family = INHERITED_FAMILIES.iter().any(|family| name.starts_with(family));
                    (INHERITED.contains(&name) || family) && !name.starts_with(OURS)
                })
            })
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The variables that are configuration, with the part of their names after the prefix, in the order of their names.
    pub(crate) fn configuration(&self) -> impl Iterator<Item = (&str, &str, &OsStr)> {
        self.variables.iter().filter_map(|(name, value)| {
            let name = name.to_str()?;
            Some((name, name.strip_prefix(PREFIX)?, value.as_os_str()))
        })
    }

    /// mlx-tree's own directory below one of the base directories.
    fn base(&self, xdg: &str, below_home: &str) -> Option<PathBuf> {
        let base = match self.platform {
            Platform::Linux => self.directory(xdg).or_else(|| Some(self.home()?.join(below_home)))?,
            Platform::MacOs => self.home()?.join("Library/Application Support"),
        };
        Some(base.join("mlx-tree"))
    }

    /// A variable that holds an absolute path; a relative one is ignored, as the XDG specification demands.
    fn directory(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }
}

/// Shows the names only: any value may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("current_dir", &self.current_dir)
            .field("platform", &self.platform)
            .finish()
    }
}

// === impl Platform ===

impl Platform {
    /// The platform that this program was built for.
    #[must_use]
    pub const fn current() -> Self {
        if cfg!(target_os = "macos") { Self::MacOs } else { Self::Linux }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Environment {
        Environment::from_variables([("HOME", "/home/ada")]).on(Platform::Linux)
    }

    #[test]
    fn on_linux_the_directories_follow_xdg() {
        assert_eq!(home().user_config_file(), Some("/home/ada/.config/mlx-tree/config.toml".into()));
        assert_eq!(home().default_state_dir(), Some("/home/ada/.local/state/mlx-tree".into()));
        assert_eq!(home().default_data_dir(), Some("/home/ada/.local/share/mlx-tree".into()));
        let moved = home().with("XDG_STATE_HOME", "/var/ada").with("XDG_CONFIG_HOME", "/etc/ada");
        assert_eq!(moved.default_state_dir(), Some("/var/ada/mlx-tree".into()));
        assert_eq!(moved.user_config_file(), Some("/etc/ada/mlx-tree/config.toml".into()));
    }

    #[test]
    fn on_macos_everything_is_in_application_support() {
        let mac = home().on(Platform::MacOs).with("XDG_STATE_HOME", "/var/ada");
        let support = PathBuf::from("/home/ada/Library/Application Support/mlx-tree");
        assert_eq!(mac.user_config_file(), Some(support.join("config.toml")));
        assert_eq!(mac.default_state_dir(), Some(support.clone()));
        assert_eq!(mac.default_data_dir(), Some(support));
    }

    #[test]
    fn empty_and_relative_directories_count_as_unset() {
        let odd = home().with("XDG_STATE_HOME", "").with("XDG_CONFIG_HOME", "relative");
        assert_eq!(odd.default_state_dir(), Some("/home/ada/.local/state/mlx-tree".into()));
        assert_eq!(odd.user_config_file(), Some("/home/ada/.config/mlx-tree/config.toml".into()));
        assert_eq!(Environment::from_variables([("HOME", "")]).default_state_dir(), None);
    }

    #[test]
    fn a_server_inherits_what_is_on_the_list_and_none_of_our_secrets() {
        let environment = home()
            .with("HF_HOME", "/models")
            .with("MLX_METAL_JIT", "1")
            .with("LC_ALL", "C")
            .with("AWS_SECRET_ACCESS_KEY", "canary")
            .with("MLX_TREE__CONTROL__LISTEN", "127.0.0.1:1")
            .with("MLX_TREE_TOKEN", "canary");
        let names: Vec<&str> = environment.inherited_by_server().filter_map(|(name, _)| name.to_str()).collect();
        assert_eq!(names, ["HF_HOME", "HOME", "LC_ALL", "MLX_METAL_JIT"]);
    }

    #[test]
    fn a_watchdog_of_another_process_is_none_of_ours() {
        let watched = home().with("WATCHDOG_USEC", "60000000");
        assert_eq!(watched.watchdog(7), Some(Duration::from_secs(60)));
        assert_eq!(watched.clone().with("WATCHDOG_PID", "7").watchdog(7), Some(Duration::from_secs(60)));
        assert_eq!(watched.clone().with("WATCHDOG_PID", "8").watchdog(7), None);
        assert_eq!(watched.clone().with("WATCHDOG_PID", "x").watchdog(7), None);
        for odd in ["0", "-1", "soon", ""] {
            assert_eq!(watched.clone().with("WATCHDOG_USEC", odd).watchdog(7), None, "{odd:?}");
        }
        let told = watched.with("NOTIFY_SOCKET", "@systemd");
        assert_eq!(told.notify_socket(), Some(OsStr::new("@systemd")));
        assert!(
            told.inherited_by_server().all(|(name, _)| name == "HOME"),
            "a server speaks to nobody's service manager"
        );
    }

    #[test]
    fn a_service_gets_what_it_needs_to_find_things_and_no_secret() {
        let environment = home()
            .with("PATH", "/usr/bin")
            .with("HF_HOME", "/models")
            .with("HF_TOKEN", "canary")
            .with("MLX_TREE__CONTROL__LISTEN", "127.0.0.1:1");
        let carried: Vec<_> = environment.of_a_service().map(|(name, _)| name).collect();
        assert_eq!(carried, ["PATH", "HF_HOME"]);
        let left: Vec<_> = environment.not_of_a_service().collect();
        assert_eq!(left, ["HF_TOKEN", "MLX_TREE__CONTROL__LISTEN"]);
        assert_eq!(environment.user_units(), Some("/home/ada/.config/systemd/user".into()));
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", home().with("HF_TOKEN", "canary"));
        assert!(shown.contains("HF_TOKEN"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
