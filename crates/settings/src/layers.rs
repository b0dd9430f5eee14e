//! The layers and what they amount to: which value holds for a key, and which layer it comes from.

mod servers;

use std::ffi::OsStr;
use std::ops::Range;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Num, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use self::servers::{Spread, schema};
use crate::value::show_safely;
use crate::{ConfigError, DEFAULT_TOML, Environment, Flag, FlagValue, Origin, Problem};

/// All layers, lowest first, and what they amount to.
pub(crate) struct Layers {
    figment: Figment,
    origins: Vec<Origin>,
    /// The values of each layer, for the day on which a later one replaces a whole list.
    given: Vec<Dict>,
    defaults: Dict,
}

/// A value with the layer that it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// One layer as figment takes it in. Its source is its index, by which its origin is found again.
struct Layer {
    index: usize,
    values: Dict,
}

/// A table whose keys are the user's own, not ours: they keep their case and are not checked.
const FREE_TABLE: [&str; 2] = ["server", "env"];

// === impl Layers ===

impl Layers {
    /// The built-in layer alone.
    pub(crate) fn built_in() -> Self {
        let defaults = Toml::from_str::<Dict>(DEFAULT_TOML).expect("config/default.toml is TOML, as a test shows");
        let mut layers =
            Self { figment: Figment::new(), origins: Vec::new(), given: Vec::new(), defaults: Dict::new() };
        layers.push(Origin::Default, defaults.clone());
        layers.defaults = defaults;
        layers
    }

    /// Adds the text of a file.
    pub(crate) fn add_file(&mut self, origin: &Origin, text: &str, errors: &mut Vec<ConfigError>) {
        match Toml::from_str::<Dict>(text) {
            Ok(mut values) => {
                if servers::spread(&mut values) == Spread::List {
                    self.forget_servers();
                }
                let values = self.keep_sections(values, &self.defaults, "", origin, errors);
                self.push(origin.clone(), values);
            }
            Err(error) => {
                // The parser's own report quotes the line, and a line may hold a secret.
                let (line, column) = position(text, error.span());
                let message = error.message().trim().replace('\n', ", ");
                let problem = Problem::Syntax { line, column, message };
                errors.push(ConfigError { key: None, value: None, origin: origin.clone(), problem, help: None });
            }
        }
    }

    /// Adds the variables that are configuration, each as a layer of its own, so that each error can name its variable.
    ///
    /// The order in which they were set does not matter: two variables for one key are an error, and one for a whole table
    /// comes before those for its entries.
    pub(crate) fn add_environment(&mut self, environment: &Environment, errors: &mut Vec<ConfigError>) {
        let mut variables: Vec<(Vec<String>, &str, &OsStr)> = environment
            .configuration()
            .map(|(name, rest, value)| (split_key(rest, "__", Case::Fold), name, value))
            .collect();
        variables
            .sort_by(|(a, name_a, _), (b, name_b, _)| a.len().cmp(&b.len()).then(a.cmp(b)).then(name_a.cmp(name_b)));
        let mut previous: Option<(Vec<String>, &str)> = None;
        for (path, name, value) in variables {
            let origin = Origin::Env(name.to_owned());
            let reject = |problem, help| ConfigError {
                key: Some(path.join(".")),
                value: None,
                origin: origin.clone(),
                problem,
                help,
            };
            if let Some((_, twin)) = previous.as_ref().filter(|(before, _)| *before == path) {
                errors.push(reject(Problem::SetTwice((*twin).to_owned()), Some("keep one of the two".to_owned())));
                continue;
            }
            match value.to_str() {
                Some(text) => self.add_text(&path, text, &origin, errors),
                None => errors.push(reject(Problem::NotUnicode, None)),
            }
            previous = Some((path, name));
        }
    }

    /// Adds one flag as a layer of its own.
    pub(crate) fn add_flag(&mut self, flag: &Flag, errors: &mut Vec<ConfigError>) {
        let path = split_key(&flag.key, ".", Case::Keep);
        let origin = Origin::Flag(flag.name.clone());
        match &flag.value {
            FlagValue::Text(text) => self.add_text(&path, text, &origin, errors),
            FlagValue::List(words) => {
                let words: Vec<Value> = words.iter().cloned().map(Value::from).collect();
                self.add_value(&path, Value::from(words), &origin, errors);
            }
        }
    }

    /// The value of `section.key` and the layer that it comes from.
    pub(crate) fn find(&self, path: &str) -> Option<Found> {
        let value = self.figment.find_value(path).ok()?;
        let origin = self.origin(value.tag());
        Some(Found { value, origin })
    }

    /// The built-in value of a key.
    pub(crate) fn default_of(&self, path: &str) -> Option<&Value> {
        find(&self.defaults, path)
    }

    /// The sections of the further servers, in their order.
    pub(crate) fn further_servers(&self) -> Vec<String> {
        servers::further(&self.merged())
    }

    /// Every leaf of every layer that the built-in layer does not have, with its path.
    pub(crate) fn unknown(&self) -> Vec<(String, Found)> {
        let mut unknown = Vec::new();
        let merged = self.merged();
        self.collect_unknown(&merged, &self.defaults, "", &mut unknown);
        unknown
    }

    /// The layer that a tagged value comes from.
    pub(crate) fn origin(&self, tag: Tag) -> Origin {
        self.figment
            .get_metadata(tag)
            .and_then(|metadata| metadata.source.as_ref()?.custom()?.parse::<usize>().ok())
            .and_then(|index| self.origins.get(index))
            .cloned()
            .unwrap_or(Origin::Default)
    }

    fn push(&mut self, origin: Origin, values: Dict) {
        let index = self.origins.len();
        self.origins.push(origin);
        self.given.push(values.clone());
        self.figment = std::mem::take(&mut self.figment).merge(Layer { index, values });
    }

    /// A list of servers replaces what the layers below it say about servers, the built-in defaults excepted.
    fn forget_servers(&mut self) {
        self.figment = Figment::new();
        for (index, values) in self.given.iter_mut().enumerate() {
            if index > 0 {
                values.retain(|name, _| schema(name) != servers::SECTION);
            }
            self.figment = std::mem::take(&mut self.figment).merge(Layer { index, values: values.clone() });
        }
    }

    fn merged(&self) -> Dict {
        self.figment.data().unwrap_or_default().remove(&Profile::Default).unwrap_or_default()
    }

    /// Adds a word for a key, read as the type of the key's default demands.
    fn add_text(&mut self, path: &[String], text: &str, origin: &Origin, errors: &mut Vec<ConfigError>) {
        let key = path.join(".");
        match coerce(&key, text, self.default_of(&key)) {
            Ok(value) => self.add_value(path, value, origin, errors),
            Err(help) => errors.push(ConfigError {
                value: Some(show_safely(&key, &Value::from(text))),
                key: Some(key),
                origin: origin.clone(),
                problem: Problem::Malformed("the value cannot be read".to_owned()),
                help: Some(help),
            }),
        }
    }

    fn add_value(&mut self, path: &[String], value: Value, origin: &Origin, errors: &mut Vec<ConfigError>) {
        let nested =
            path.iter().rev().fold(value, |inner, segment| Value::from(Dict::from([(segment.clone(), inner)])));
        if let Value::Dict(_, values) = nested {
            let values = self.keep_sections(values, &self.defaults, "", origin, errors);
            self.push(origin.clone(), values);
        }
    }

    /// Takes out what is given in place of a whole section, so that it cannot hide the section's defaults.
    fn keep_sections(
        &self,
        values: Dict,
        defaults: &Dict,
        prefix: &str,
        origin: &Origin,
        errors: &mut Vec<ConfigError>,
    ) -> Dict {
        let mut kept = Dict::new();
        for (name, value) in values {
            let key = format!("{prefix}{name}");
            match (defaults.get(schema(&name)), value) {
                (Some(Value::Dict(_, inner)), Value::Dict(tag, values)) if !is_free_table(&key) => {
                    let values = self.keep_sections(values, inner, &format!("{key}."), origin, errors);
                    kept.insert(name, Value::Dict(tag, values));
                }
                (Some(Value::Dict(..)), value @ Value::Dict(..)) => {
                    kept.insert(name, value);
                }
                (Some(Value::Dict(..)), value) => {
                    let help = match (&value, origin) {
                        (_, Origin::Env(name)) => format!("set its keys one by one, as {name}__KEY"),
                        (Value::Array(..), _) if key == servers::SECTION => {
                            "write [server], or [[server]] once for each of several".to_owned()
                        }
                        (Value::Array(..), _) => format!("write [{key}] once, with single brackets"),
                        (_, _) => format!("write [{key}], and its keys below it"),
                    };
                    errors.push(ConfigError {
                        value: Some(show_safely(&key, &value)),
                        key: Some(key),
                        origin: origin.clone(),
                        problem: Problem::Malformed("this is a section, not a value".to_owned()),
                        help: Some(help),
                    });
                }
                (Some(_) | None, value) => {
                    kept.insert(name, value);
                }
            }
        }
        kept
    }

    fn collect_unknown(&self, values: &Dict, defaults: &Dict, prefix: &str, unknown: &mut Vec<(String, Found)>) {
        for (name, value) in values {
            let key = format!("{prefix}{name}");
            match (defaults.get(schema(name)), value) {
                (Some(_), _) if is_free_table(&key) => {}
                (Some(Value::Dict(_, inner)), Value::Dict(_, values)) => {
                    self.collect_unknown(values, inner, &format!("{key}."), unknown);
                }
                (Some(_), _) => {}
                // An unknown section: name its keys, since they are what was meant.
                (None, Value::Dict(_, values)) if !values.is_empty() => {
                    self.collect_unknown(values, &Dict::new(), &format!("{key}."), unknown);
                }
                (None, value) => {
                    let origin = self.origin(value.tag());
                    unknown.push((key, Found { value: value.clone(), origin }));
                }
            }
        }
    }
}

// === impl Layer ===

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::from("layer", Source::Custom(self.index.to_string()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Whether the parts of a key are folded to lower case.
#[derive(Clone, Copy)]
enum Case {
    Keep,
    Fold,
}

/// The parts of a key. The entries of a free table are one part, however they are written.
fn split_key(key: &str, separator: &str, case: Case) -> Vec<String> {
    let fold = |part: &str| match case {
        Case::Keep => part.to_owned(),
        Case::Fold => part.to_ascii_lowercase(),
    };
    let head: Vec<&str> = key.splitn(3, separator).collect();
    if let [section, table, entry] = head[..]
        && [fold(section), fold(table)] == FREE_TABLE
    {
        return vec![fold(section), fold(table), entry.to_owned()];
    }
    key.split(separator).map(fold).collect()
}

fn is_free_table(key: &str) -> bool {
    key.split('.').map(schema).eq(FREE_TABLE)
}

/// Reads a word as the type of `default` demands; the error says what would be right. A key without a default is unknown,
/// which is reported elsewhere.
fn coerce(key: &str, text: &str, default: Option<&Value>) -> Result<Value, String> {
    match default {
        Some(Value::Bool(..)) => text.parse::<bool>().map(Value::from).map_err(|_| "true or false".to_owned()),
        Some(Value::Num(_, Num::F32(_) | Num::F64(_))) => {
            text.parse::<f64>().map(Value::from).map_err(|_| "a number".to_owned())
        }
        Some(Value::Num(..)) => text.parse::<i64>().map(Value::from).map_err(|_| "a whole number".to_owned()),
        Some(Value::Array(..)) => inline(text).ok_or_else(|| r#"a list, such as ["a", "b"]"#.to_owned()),
        Some(Value::Dict(..)) if is_free_table(key) => {
            inline(text).ok_or_else(|| r#"a table, such as { NAME = "value" }"#.to_owned())
        }
        // A word in place of a section is refused with the section's other mistakes.
        Some(Value::Dict(..) | Value::String(..) | Value::Char(..) | Value::Empty(..)) | None => Ok(Value::from(text)),
    }
}

/// Reads a list or a table as TOML writes it in one line.
fn inline(text: &str) -> Option<Value> {
    let mut parsed = Toml::from_str::<Dict>(&format!("value = {text}")).ok()?;
    let value = parsed.remove("value").filter(|value| matches!(value, Value::Array(..) | Value::Dict(..)))?;
    // A line break in the text could have begun another key.
    parsed.is_empty().then_some(value)
}

fn find<'a>(values: &'a Dict, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => values.get(path),
        Some((section, rest)) => find(values.get(schema(section))?.as_dict()?, rest),
    }
}

/// Line and column, from 1, at which a span begins.
fn position(text: &str, span: Option<Range<usize>>) -> (usize, usize) {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
