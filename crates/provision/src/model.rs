//! What to pass as `--model`: the built-in tiny model, a directory, or a repository of the Hugging Face hub.

use std::{
    io,
    path::{Path, PathBuf},
};

mod tiny;

/// The name of the model that needs no download.
pub const BUILTIN_TINY: &str = "builtin:tiny";

/// A model that a server can be started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The value for `--model`: an absolute path or a hub id.
    pub argument: String,
    /// Where it comes from.
    pub source: Source,
}

/// Where a model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Made by this crate in the data directory.
    Builtin,
    /// A directory of the user.
    Directory,
    /// The hub. The server downloads it at its first start unless it is in the cache, so the start can take minutes
    /// and needs a network.
    Hub,
}

/// Whether the server may need the network for its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Never: start it with `HF_HUB_OFFLINE=1`.
    NotNeeded,
    /// For the first download.
    MayDownload,
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The name is empty, or neither a path nor `organisation/name`.
    #[error("model {name:?} is neither {BUILTIN_TINY}, nor a directory, nor organisation/name of the hub")]
    UnknownName {
        /// As it was given.
        name: String,
    },
    /// A `builtin:` name that does not exist.
    #[error("there is no built-in model {name:?}; the one there is: {BUILTIN_TINY}")]
    UnknownBuiltin {
        /// As it was given.
        name: String,
    },
    /// The directory does not exist.
    #[error("the model directory {} does not exist", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// A file stands where the directory should be.
    #[error("{} is a file; a model is the directory that holds config.json", path.display())]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// The directory lacks what every model has.
    #[error("the model directory {} lacks {}", path.display(), missing.join(", "))]
    Incomplete {
        /// The directory.
        path: PathBuf,
        /// What is not there.
        missing: Vec<&'static str>,
    },
    /// A path that is not UTF-8 cannot be a command-line value here.
    #[error("the path {} is not UTF-8", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// The model or its directory cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Finds the model of this name, and makes it when it is [`BUILTIN_TINY`] and not there yet (half a megabyte below
/// `<data_dir>/models/`, in one step: a process that is interrupted leaves nothing half-made under the final name).
///
/// A name with a leading `/`, `./`, `../` or `~/`, or one that exists, is a directory; `organisation/name` is of the
/// hub and is only passed on. `base` is what a relative path is relative to.
///
/// # Errors
/// See [`ModelError`].
pub async fn resolve(name: &str, base: &Path, data_dir: &Path) -> Result<Model, ModelError> {
    let (name, base, data_dir) = (name.to_owned(), base.to_owned(), data_dir.to_owned());
    let work = tokio::task::spawn_blocking(move || resolve_blocking(&name, &base, &data_dir));
    work.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// What [`resolve`] would answer, without making anything: the built-in model is answered by its name. Blocks.
///
/// # Errors
/// See [`ModelError`].
pub fn check(name: &str, base: &Path) -> Result<Model, ModelError> {
    if name == BUILTIN_TINY {
        return Ok(Model { argument: name.to_owned(), source: Source::Builtin });
    }
    named(name, base)
}

fn resolve_blocking(name: &str, base: &Path, data_dir: &Path) -> Result<Model, ModelError> {
    if name == BUILTIN_TINY {
        let directory = tiny::ensure(&data_dir.join("models"))?;
        return Ok(Model { argument: text(&directory)?, source: Source::Builtin });
    }
    named(name, base)
}

fn named(name: &str, base: &Path) -> Result<Model, ModelError> {
    if name.starts_with("builtin:") {
        return Err(ModelError::UnknownBuiltin { name: name.to_owned() });
    }
    let path = base.join(name);
    let looks_like_path = ["/", "./", "../"].iter().any(|start| name.starts_with(start)) || name == "." || name == "..";
    if name.is_empty() || !(looks_like_path || path.exists()) {
        return match is_hub_id(name) {
            true => Ok(Model { argument: name.to_owned(), source: Source::Hub }),
            false => Err(ModelError::UnknownName { name: name.to_owned() }),
        };
    }
    directory(&path)
}

fn directory(path: &Path) -> Result<Model, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    match path.metadata() {
        Ok(found) if !found.is_dir() => return Err(ModelError::NotADirectory { path: path.to_owned() }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ModelError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(io(error)),
    }
    let names: Vec<String> = path
        .read_dir()
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect())
        .map_err(io)?;
    let has = |wanted: &dyn Fn(&str) -> bool| names.iter().any(|name| wanted(name));
    let wanted: [(&'static str, bool); 3] = [
        ("config.json", has(&|name| name == "config.json")),
        ("model*.safetensors", has(&|name| name.starts_with("model") && name.ends_with(".safetensors"))),
        (
            "tokenizer.json (or tokenizer.model)",
            has(&|name| ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json"].contains(&name)),
        ),
    ];
    let missing: Vec<_> = wanted.into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect();
    if !missing.is_empty() {
        return Err(ModelError::Incomplete { path: path.to_owned(), missing });
    }
    let absolute = path.canonicalize().map_err(io)?;
    Ok(Model { argument: text(&absolute)?, source: Source::Directory })
}

/// The hub's own rule: two parts of letters, digits, `-`, `_` and `.`, none of them beginning or ending with `-` or `.`.
fn is_hub_id(name: &str) -> bool {
    let good = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty()
            && part.len() <= 96
            && part.chars().all(allowed)
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && !part.contains("..")
    };
    name.split_once('/').is_some_and(|(organisation, model)| good(organisation) && good(model))
}

fn text(path: &Path) -> Result<String, ModelError> {
    path.to_str().map(Into::into).ok_or_else(|| ModelError::NotText { path: path.to_owned() })
}

// === impl Model ===

impl Model {
    /// Whether the server may need the network for it.
    #[must_use]
    pub fn network(&self) -> Network {
        match self.source {
            Source::Builtin | Source::Directory => Network::NotNeeded,
            Source::Hub => Network::MayDownload,
        }
    }

    /// What to tell a person whose server cannot load this model, if there is anything to tell.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self.source {
            Source::Builtin | Source::Directory => None,
            Source::Hub => Some(format!(
                "{} is downloaded from the Hugging Face hub at the first start; without a network use a directory, or {BUILTIN_TINY}",
                self.argument
            )),
        }
    }
}
