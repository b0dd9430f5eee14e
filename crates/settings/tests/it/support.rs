//! A home directory of one's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mlx_tree_settings::{ConfigErrors, Environment, Flag, Loaded, Platform, Sources, load};
use tempfile::TempDir;

/// A user with a home directory, and whatever configuration the test gives them.
pub(crate) struct User {
    home: TempDir,
    environment: Environment,
    file: Option<PathBuf>,
    flags: Vec<Flag>,
}

impl User {
    /// A user without any configuration.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let environment = Environment::from_variables([("HOME", home.path())]).in_dir(home.path()).on(Platform::Linux);
        Self { home, environment, file: None, flags: Vec::new() }
    }

    /// With this text in their own file.
    pub(crate) fn with_user_file(self, text: &str) -> Self {
        self.write(".config/mlx-tree/config.toml", text);
        self
    }

    /// With `--config` and a file of this text.
    pub(crate) fn with_file(mut self, text: &str) -> Self {
        self.file = Some(self.write("given.toml", text));
        self
    }

    /// With `--config` and this path.
    pub(crate) fn with_file_at(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    pub(crate) fn with_flag(mut self, name: &str, key: &str, value: &str) -> Self {
        self.flags.push(Flag::text(name, key, value));
        self
    }

    pub(crate) fn with_words(mut self, name: &str, key: &str, words: &[&str]) -> Self {
        self.flags.push(Flag::list(name, key, words.iter().copied()));
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file below the home directory that only its owner can change.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().expect("a file below the home directory")).expect("a directory");
        fs::write(&path, text).expect("a file");
        self.set_mode(&path, 0o600);
        path
    }

    pub(crate) fn set_mode(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
    }

    pub(crate) fn load(&self) -> Result<Loaded, ConfigErrors> {
        let mut sources = Sources::new(self.environment.clone());
        if let Some(file) = &self.file {
            sources = sources.config_file(file);
        }
        load(&self.flags.iter().cloned().fold(sources, Sources::flag))
    }

    /// The configuration, which is expected to be sound.
    pub(crate) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The report about a configuration that is expected to be wrong, with `~` for the home directory.
    pub(crate) fn report(&self) -> String {
        match self.load() {
            Ok(loaded) => panic!("this was accepted:\n{loaded}"),
            Err(errors) => self.without_home(&errors.to_string()),
        }
    }

    /// A text that does not depend on where the temporary directory is.
    pub(crate) fn without_home(&self, text: &str) -> String {
        text.replace(&self.home.path().display().to_string(), "~")
    }
}
