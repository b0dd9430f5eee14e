//! Reads keys one after another, collecting what holds, where it comes from, and everything that is wrong.

use std::collections::BTreeSet;

use figment::value::Value;

use crate::layers::{Found, Layers};
use crate::value::{Reject, Shown, nearest, show_safely};
use crate::{ConfigError, Origin, OtherKey, Problem};

/// A key that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `server.port`.
    pub key: String,
    /// Its value as it would be written in the configuration; `***` in place of a secret.
    pub shown: String,
    /// The layer that it comes from.
    pub origin: Origin,
}

/// The state of reading.
pub(crate) struct Reader<'a> {
    layers: &'a Layers,
    entries: Vec<Entry>,
    errors: Vec<ConfigError>,
    /// Keys that have an error already, so that what follows from it is not reported as well.
    bad: BTreeSet<String>,
}

/// One section: a reader that knows what its keys begin with, such as `server.` or, for an element of a list, `server[1].`.
pub(crate) struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    name: String,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Begins with the errors that the layers themselves have.
    pub(crate) fn new(layers: &'a Layers, errors: Vec<ConfigError>) -> Self {
        let bad = errors.iter().filter_map(|error| error.key.clone()).collect();
        Self { layers, entries: Vec::new(), errors, bad }
    }

    /// The section of this name; the keys outside of all sections if it is empty.
    pub(crate) fn section(&mut self, name: &str) -> Section<'_, 'a> {
        Section { name: name.to_owned(), reader: self }
    }

    /// The sections of the servers after the first.
    pub(crate) fn further_servers(&self) -> Vec<String> {
        self.layers.further_servers()
    }

    /// What the layers say about a key.
    pub(crate) fn found(&self, key: &str) -> Found {
        self.layers.find(key).unwrap_or_else(|| Found { value: self.default_of(key), origin: Origin::Default })
    }

    /// The layer that an entry of a table comes from.
    pub(crate) fn origin_of_value(&self, value: &Value) -> Origin {
        self.layers.origin(value.tag())
    }

    /// Reports that two keys make no sense together, unless one of them is wrong already. The one that comes from the
    /// later layer is blamed: whoever wrote it saw, or could have seen, the other.
    pub(crate) fn conflict(&mut self, one: &str, other: &str, reason: &str, help: &str) {
        if self.bad.contains(one) || self.bad.contains(other) {
            return;
        }
        let (blamed, with) =
            if self.found(other).origin > self.found(one).origin { (other, one) } else { (one, other) };
        let other = self.found(with);
        let value = show_safely(with, &other.value);
        let with = Box::new(OtherKey { key: with.to_owned(), value, origin: other.origin });
        let problem = Problem::Conflict { reason: reason.to_owned(), with };
        self.reject(blamed, Reject { problem, help: Some(help.to_owned()) });
    }

    /// Reports what is wrong with a key.
    pub(crate) fn reject(&mut self, key: &str, reject: Reject) {
        let found = self.found(key);
        self.bad.insert(key.to_owned());
        self.push(key.to_owned(), show_safely(key, &found.value), found.origin, reject);
    }

    /// Reports what is wrong with one entry of a table.
    pub(crate) fn reject_entry(&mut self, table: &str, name: &str, value: &Value, reject: Reject) {
        let origin = self.origin_of_value(value);
        self.bad.insert(table.to_owned());
        self.push(format!("{table}.{name}"), show_safely(name, value), origin, reject);
    }

    /// Whether nothing has been reported about a key.
    pub(crate) fn is_sound(&self, key: &str) -> bool {
        !self.bad.contains(key)
    }

    /// Notes a key that has been read.
    pub(crate) fn note(&mut self, key: String, shown: String, origin: Origin) {
        self.entries.push(Entry { key, shown, origin });
    }

    /// Reports the keys that do not exist, and answers what was read and what was wrong.
    pub(crate) fn finish(mut self) -> (Vec<Entry>, Vec<ConfigError>) {
        let known: Vec<String> = self.entries.iter().map(|entry| entry.key.clone()).collect();
        for (key, found) in self.layers.unknown() {
            self.errors.push(ConfigError {
                value: Some(show_safely(&key, &found.value)),
                help: suggest(&key, &known),
                key: Some(key),
                origin: found.origin,
                problem: Problem::UnknownKey,
            });
        }
        (self.entries, self.errors)
    }

    fn push(&mut self, key: String, value: String, origin: Origin, reject: Reject) {
        let (key, value) = (Some(key), Some(value));
        self.errors.push(ConfigError { key, value, origin, problem: reject.problem, help: reject.help });
    }

    fn default_of(&self, key: &str) -> Value {
        let default = self.layers.default_of(key);
        default.cloned().unwrap_or_else(|| panic!("`{key}` is missing in config/default.toml"))
    }
}

// === impl Section ===

impl<'a> Section<'_, 'a> {
    /// Reads a key. If its value is refused, that is noted and its default is used, so that reading can go on.
    ///
    /// # Panics
    /// If `config/default.toml` lacks the key or has a wrong value for it; a test reads all of it.
    pub(crate) fn read<T: Shown>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, Reject>) -> T {
        self.read_found(key, |found| parse(&found.value))
    }

    /// The same for values that depend on the layer that they come from.
    pub(crate) fn read_found<T: Shown>(&mut self, key: &str, parse: impl Fn(&Found) -> Result<T, Reject>) -> T {
        let key = self.key(key);
        let found = self.reader.found(&key);
        let value = match parse(&found) {
            Ok(value) => value,
            Err(reject) => {
                self.reader.reject(&key, reject);
                let default = Found { value: self.reader.default_of(&key), origin: Origin::Default };
                parse(&default).unwrap_or_else(|reject| panic!("the default of `{key}` is refused: {}", reject.problem))
            }
        };
        self.reader.note(key, value.shown(), found.origin);
        value
    }

    /// The full name of one of the section's keys.
    pub(crate) fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Reports that two of the section's keys make no sense together.
    pub(crate) fn conflict(&mut self, one: &str, other: &str, reason: &str, help: &str) {
        let (one, other) = (self.key(one), self.key(other));
        self.reader.conflict(&one, &other, reason, help);
    }

    /// The reader behind the section.
    pub(crate) const fn reader(&mut self) -> &mut Reader<'a> {
        self.reader
    }
}

/// What may have been meant by a key that does not exist.
fn suggest(key: &str, known: &[String]) -> Option<String> {
    // The same name in another section is the likeliest mistake of those who know the keys.
    let name = key.rsplit('.').next().unwrap_or(key);
    let namesake = known.iter().map(String::as_str).find(|known| known.rsplit('.').next() == Some(name));
    let meant = namesake.or_else(|| nearest(key, known.iter().map(String::as_str)));
    Some(match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "docs/CONFIGURATION.md lists all keys".to_owned(),
    })
}
