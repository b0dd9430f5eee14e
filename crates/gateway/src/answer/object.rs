//! A JSON object whose members keep their order and their exact text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::chunk::{Text, quoted};

/// An object, one level deep: its members are JSON as it came.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

/// Writes an object, member by member.
#[derive(Debug)]
pub(super) struct Writer(String);

// === impl Object ===

impl<'a> Object<'a> {
    pub(super) fn read(json: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut object = Object::default();
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    object.0.push((name.into(), map.next_value()?));
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The elements of an array; nothing if it is none.
pub(super) fn elements(json: &RawValue) -> Option<Vec<&RawValue>> {
    json.get().starts_with('[').then(|| serde_json::from_str(json.get()).ok())?
}

/// How many elements an array has; nothing if it is none.
pub(super) fn count(json: &RawValue) -> Option<usize> {
    let ignored: Option<Vec<IgnoredAny>> =
        json.get().starts_with('[').then(|| serde_json::from_str(json.get()).ok())?;
    ignored.map(|ignored| ignored.len())
}

// === impl Writer ===

impl Writer {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Adds a member whose value is JSON already.
    pub(super) fn member(&mut self, name: &str, json: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quoted(name));
        self.0.push(':');
        self.0.push_str(json);
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// An array of what is JSON already.
pub(super) fn array<S: AsRef<str>>(elements: impl IntoIterator<Item = S>) -> String {
    let mut array = "[".to_owned();
    for element in elements {
        if array.len() > 1 {
            array.push(',');
        }
        array.push_str(element.as_ref());
    }
    array.push(']');
    array
}
