//! From the places where configuration is found to [`Settings`].

mod file;

use std::fmt;
use std::path::PathBuf;

use crate::layers::Layers;
use crate::reader::Reader;
use crate::{ConfigError, ConfigErrors, Entry, Environment, Flag, Language, Origin, Settings, report};

/// Where configuration is looked for.
#[derive(Debug, Clone)]
pub struct Sources {
    environment: Environment,
    file: Option<PathBuf>,
    flags: Vec<Flag>,
    reading: Reading,
}

/// Whether files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Files,
    NoFiles,
}

/// A configuration that holds, and where each of its values comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What holds.
    pub settings: Settings,
    entries: Vec<Entry>,
    files: Vec<UsedFile>,
}

/// A file that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedFile {
    /// Where.
    pub path: PathBuf,
    /// What came of it.
    pub used: FileUse,
}

/// What came of looking for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileUse {
    /// It was read.
    Read,
    /// It is not there, which is fine.
    Absent,
}

/// Reads all layers and checks what they amount to.
///
/// Reads the user's file and the one given, and nothing else: the environment is the one in `sources`.
///
/// # Errors
/// [`ConfigErrors`] with everything that is wrong in any layer.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let (loaded, errors) = read(sources);
    ConfigErrors::from_list(errors)?;
    Ok(loaded)
}

/// The language in which to tell what is wrong: that of the layers which can be read, however wrong the rest of them is.
#[must_use]
pub fn language(sources: &Sources) -> Language {
    read(sources).0.settings.log.language
}

/// What the layers amount to, as far as they can be read, and everything that is wrong with them.
fn read(sources: &Sources) -> (Loaded, Vec<ConfigError>) {
    let (mut layers, mut errors, mut files) = (Layers::built_in(), Vec::new(), Vec::new());
    let paths = match sources.reading {
        Reading::Files => (sources.environment.user_config_file(), sources.file.as_ref()),
        Reading::NoFiles => (None, None),
    };
    if let Some(path) = paths.0 {
        let origin = Origin::UserFile(path);
        files.extend(file::add(&mut layers, &origin, file::Demand::IfPresent, &mut errors));
    }
    if let Some(path) = paths.1 {
        let origin = Origin::File(sources.environment.current_dir().join(path));
        files.extend(file::add(&mut layers, &origin, file::Demand::Required, &mut errors));
    }
    layers.add_environment(&sources.environment, &mut errors);
    for flag in &sources.flags {
        layers.add_flag(flag, &mut errors);
    }

    let mut reader = Reader::new(&layers, errors);
    let settings = Settings::read(&mut reader, &sources.environment);
    let (entries, errors) = reader.finish();
    (Loaded { settings, entries, files }, errors)
}

// === impl Sources ===

impl Sources {
    /// The built-in defaults, the user's file and the variables that `environment` names.
    #[must_use]
    pub const fn new(environment: Environment) -> Self {
        Self { environment, file: None, flags: Vec::new(), reading: Reading::Files }
    }

    /// Also this file, which has to exist.
    #[must_use]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Also this flag; later ones win.
    #[must_use]
    pub fn flag(mut self, flag: Flag) -> Self {
        self.flags.push(flag);
        self
    }

    /// The files that are looked for, in the order in which they are.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let given = self.file.as_ref().map(|path| self.environment.current_dir().join(path));
        self.environment.user_config_file().into_iter().chain(given).collect()
    }

    /// The same without any file: what is left for one who has to find a running mlx-tree although a file is broken.
    #[must_use]
    pub fn without_files(mut self) -> Self {
        self.reading = Reading::NoFiles;
        self
    }

    /// The environment that is looked into.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }
}

// === impl Loaded ===

impl Loaded {
    /// The layer that the value of `key` comes from; `None` if there is no such key.
    #[must_use]
    pub fn origin_of(&self, key: &str) -> Option<&Origin> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.origin)
    }

    /// Every key with its value and its origin, section by section.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The files that were looked for, in the order in which they were.
    #[must_use]
    pub fn files(&self) -> &[UsedFile] {
        &self.files
    }
}

/// What `mlx-tree check` prints: the files, then every key with its value and where that comes from.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report::write(f, self)
    }
}
