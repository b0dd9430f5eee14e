//! One who is told: what of, how often at most, and by which way.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use mlx_tree_api::Level;

/// One who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What it is called. No two of a list are called the same.
    pub name: String,
    /// The way.
    pub sink: Sink,
    /// It is told what has this level or a higher one; of [`Level::Error`], what needs a human.
    pub level: Level,
    /// It is told these beside that: names of events, or of groups of them (`breaker.*`).
    pub events: Vec<String>,
    /// At most one message in so much time.
    pub min_interval: Duration,
    /// The whole environment of a program that is run for it.
    pub environment: Environment,
}

/// A way to tell somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// POST, with a JSON object.
    Webhook(Url),
    /// POST, as Slack's incoming webhooks take it.
    Slack(Url),
    /// A program, which is given the JSON object on its stdin. No shell.
    Command(Vec<String>),
    /// A notification of the desktop.
    Desktop,
}

/// An `http://` or `https://` URL, which is a secret: prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

/// Variables for a program; prints their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(pub Vec<(OsString, OsString)>);

// === impl Url ===

impl Url {
    /// Takes in a URL. Whoever reads it has checked that it has no quotes, spaces and control characters.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is to be reached by TLS, which is curl's work.
    pub(crate) fn scheme(&self) -> Scheme {
        if self.0.starts_with("https://") { Scheme::Https } else { Scheme::Http }
    }
}

/// What a URL begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

// === impl Environment ===

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
