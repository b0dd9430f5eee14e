//! Which models there are, under which names, and what is known of the servers behind them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::json::Document;
use super::{Consent, invalid};
use crate::refusal::{Code, Refusal};

/// The longest name of a model. Hub names have at most 96 characters on either side of their slash.
const NAME_MAX: usize = 256;

/// How many names a refusal lists.
const LISTED: usize = 20;

/// The models that there are. A client's `model` is a key of it and nothing else.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// In the order in which they were given.
    models: Vec<Served>,
    /// Names and aliases.
    keys: BTreeMap<Arc<str>, usize>,
    absent: Option<usize>,
    unknown: Option<usize>,
}

/// A model that is served.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// Its name for clients, and in answers.
    pub name: Arc<str>,
    /// The server that has it.
    pub server: Arc<str>,
    /// What the server calls it; `default_model` is what `mlx_lm.server` calls the one it was started with.
    pub upstream: Arc<str>,
    /// Which fields the server reads, and what it bears in them.
    pub dialect: Dialect,
    /// How old the server is, as far as that changes what it bears.
    pub release: Release,
    /// The temperature when the request has none.
    pub temperature: Temperature,
    /// How many tokens there are, if known (see [`vocabulary`]): a token id is below it.
    pub vocabulary: Option<u32>,
    /// Whether requests for it may be answered by the fallback without asking for it.
    pub consent: Consent,
}

/// What a server reads in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `mlx_lm.server`, whose every field is known, and what kills it.
    MlxLm,
    /// Any other one of OpenAI's kind: nothing but the common shapes is checked.
    Other,
}

/// How old a server is, as far as that changes what it bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Release {
    /// As what mlx-tree installs, or newer, or nobody knows.
    Current,
    /// `mlx_lm` before 0.32: its generation thread does not survive `xtc_probability` when tokens are drawn.
    Older,
}

/// What a server takes for the temperature when a request has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Temperature {
    /// 0, as `mlx_lm.server` without `--temp`.
    Zero,
    /// Something else, or nobody knows.
    Other,
}

/// Why a catalogue cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// A name has two models.
    #[error("the model name {name:?} is given twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A name that no client could use.
    #[error("{name:?} is no name for a model: 1 to {NAME_MAX} bytes without control characters")]
    Name {
        /// The name.
        name: String,
    },
    /// A default or an alias for a model that is not there.
    #[error("there is no model {name:?}")]
    Missing {
        /// The name.
        name: String,
    },
}

// === impl Catalogue ===

impl Catalogue {
    /// A catalogue without models.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model.
    ///
    /// # Errors
    ///
    /// If its name is taken, or is none.
    pub fn add(&mut self, served: Served) -> Result<(), CatalogueError> {
        self.key(&served.name, self.models.len())?;
        self.models.push(served);
        Ok(())
    }

    /// Gives the model `name` another name.
    ///
    /// # Errors
    ///
    /// If the alias is taken or is none, or there is no such model.
    pub fn alias(&mut self, alias: &str, name: &str) -> Result<(), CatalogueError> {
        let at = self.place(name)?;
        self.key(&Arc::from(alias), at)
    }

    /// Has requests without a model answered by `name`.
    ///
    /// # Errors
    ///
    /// If there is no such model.
    pub fn default_for_absent(&mut self, name: &str) -> Result<(), CatalogueError> {
        self.absent = Some(self.place(name)?);
        Ok(())
    }

    /// Has requests for a model that is not there answered by `name`. The answer names the model that has answered.
    ///
    /// # Errors
    ///
    /// If there is no such model.
    pub fn default_for_unknown(&mut self, name: &str) -> Result<(), CatalogueError> {
        self.unknown = Some(self.place(name)?);
        Ok(())
    }

    /// The models, in the order in which they were added.
    #[must_use]
    pub fn models(&self) -> &[Served] {
        &self.models
    }

    /// The model of this name or alias.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Served> {
        self.keys.get(name).and_then(|at| self.models.get(*at))
    }

    /// The other names of a model.
    pub fn aliases<'a>(&'a self, served: &'a Served) -> impl Iterator<Item = &'a str> {
        let of = |at: &usize| self.models.get(*at).is_some_and(|it| it.name == served.name);
        self.keys.iter().filter(move |(key, at)| of(at) && **key != served.name).map(|(key, _)| &**key)
    }

    /// The model that a request is for.
    pub(super) fn find(&self, document: &Document<'_>) -> Result<&Served, Refusal> {
        match document.fields.get("model") {
            None | Some(Value::Null) => self.absent.and_then(|at| self.models.get(at)).ok_or_else(|| {
                invalid("model", format!("it is missing, and there is no default; there is {}", self.names()))
            }),
            Some(Value::String(name)) => {
                let known = self.get(name).or_else(|| self.unknown.and_then(|at| self.models.get(at)));
                if name.contains('\0') {
                    return Err(invalid("model", "a name has no NUL in it"));
                }
                known.ok_or_else(|| self.not_found(name))
            }
            Some(_) => Err(invalid("model", "it is a string")),
        }
    }

    /// The refusal of a name that is not here.
    #[must_use]
    pub fn not_found(&self, name: &str) -> Refusal {
        let message = format!("The model {} does not exist here; there is {}.", quoted(name), self.names());
        Refusal::new(Code::ModelNotFound, message).param("model")
    }

    fn names(&self) -> String {
        let mut names: Vec<_> = self.keys.keys().take(LISTED).map(|name| quoted(name)).collect();
        if self.keys.len() > LISTED {
            names.push(format!("{} more", self.keys.len() - LISTED));
        }
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn place(&self, name: &str) -> Result<usize, CatalogueError> {
        self.keys.get(name).copied().ok_or_else(|| CatalogueError::Missing { name: name.to_owned() })
    }

    fn key(&mut self, name: &Arc<str>, at: usize) -> Result<(), CatalogueError> {
        if name.is_empty() || name.len() > NAME_MAX || name.contains(char::is_control) {
            return Err(CatalogueError::Name { name: name.to_string() });
        }
        if self.keys.contains_key(name) {
            return Err(CatalogueError::Twice { name: name.to_string() });
        }
        self.keys.insert(Arc::clone(name), at);
        Ok(())
    }
}

// === impl Served ===

impl Served {
    /// A model of `mlx_lm.server` as mlx-tree starts it: the one that it was started with, nothing known of its vocabulary.
    #[must_use]
    pub fn mlx_lm(name: impl Into<Arc<str>>, server: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            server: server.into(),
            upstream: Arc::from("default_model"),
            dialect: Dialect::MlxLm,
            release: Release::Current,
            temperature: Temperature::Zero,
            vocabulary: None,
            consent: Consent::NotGiven,
        }
    }

    /// A model of another server, which calls it `upstream`.
    #[must_use]
    pub fn other(name: impl Into<Arc<str>>, server: impl Into<Arc<str>>, upstream: impl Into<Arc<str>>) -> Self {
        Self {
            upstream: upstream.into(),
            dialect: Dialect::Other,
            temperature: Temperature::Other,
            ..Self::mlx_lm(name, server)
        }
    }
}

/// How many tokens a model has, by its `config.json`: as many as its last layer has rows, which may be more than its tokenizer
/// knows. `None` if the file does not say.
#[must_use]
pub fn vocabulary(config: &[u8]) -> Option<u32> {
    let config: Value = serde_json::from_slice(config).ok()?;
    // A model with eyes keeps what is about words in a part of its own.
    let inner = config.get("text_config").and_then(|text| text.get("vocab_size"));
    inner.or_else(|| config.get("vocab_size"))?.as_u64()?.try_into().ok()
}

/// A client's word for people to read: short, and without anything that a terminal would act on.
fn quoted(word: &str) -> String {
    let mut short: String = word.chars().take(64).collect();
    if short.len() < word.len() {
        short.push('…');
    }
    format!("{short:?}")
}
