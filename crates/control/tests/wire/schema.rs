//! Just as much of JSON Schema as the control API's own description uses, and stricter: a key that no schema names is an error.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The description of the control API.
pub(crate) struct Api(pub(crate) Value);

/// The keys of an object that some schema has named.
type Named = BTreeSet<String>;

/// What a schema can say here. Another word means that this file has to learn it.
const WORDS: [&str; 15] = [
    "$ref",
    "description",
    "type",
    "enum",
    "const",
    "minimum",
    "items",
    "required",
    "properties",
    "oneOf",
    "anyOf",
    "maxProperties",
    "default",
    "examples",
    "format",
];

impl Api {
    /// Follows `$ref`s.
    pub(crate) fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(path) => {
                let found = self.0.pointer(path.trim_start_matches('#'));
                self.resolve(found.unwrap_or_else(|| panic!("{path} leads nowhere")))
            }
            None => value,
        }
    }

    /// The schema called `name`.
    pub(crate) fn schema(&self, name: &str) -> &Value {
        &self.0["components"]["schemas"][name]
    }

    /// Checks `value`, which stands at `place`.
    pub(crate) fn check(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let named = self.walk(schema, value, place)?;
        match value.as_object().and_then(|object| object.keys().find(|key| !named.contains(*key))) {
            Some(key) if !self.resolve(schema)["properties"].is_null() || !named.is_empty() => {
                Err(format!("{place}: nothing tells of {key:?}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn walk(&self, schema: &Value, value: &Value, place: &str) -> Result<Named, String> {
        let schema = self.resolve(schema).as_object().ok_or_else(|| format!("{place}: no schema"))?;
        if let Some(word) = schema.keys().find(|word| !WORDS.contains(&word.as_str())) {
            return Err(format!("{place}: {word:?} is not understood here"));
        }
        let wrong = |what: &str| Err(format!("{place}: {value} is not {what}"));
        if let Some(kinds) = schema.get("type")
            && !kinds
                .as_array()
                .map_or_else(|| vec![kinds], |kinds| kinds.iter().collect())
                .iter()
                .any(|it| is(it, value))
        {
            return wrong(&kinds.to_string());
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array)
            && !words.contains(value)
        {
            return wrong(&format!("one of {words:?}"));
        }
        if schema.get("const").is_some_and(|only| only != value) {
            return wrong(&schema["const"].to_string());
        }
        if let (Some(least), Some(number)) = (schema.get("minimum").and_then(Value::as_f64), value.as_f64())
            && number < least
        {
            return wrong(&format!("at least {least}"));
        }
        if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
            for (at, item) in list.iter().enumerate() {
                self.check(items, item, &format!("{place}[{at}]"))?;
            }
        }
        let mut named = match value.as_object() {
            Some(object) => self.properties(schema, object, place)?,
            None => Named::new(),
        };
        for word in ["oneOf", "anyOf"] {
            let Some(choices) = schema.get(word).and_then(Value::as_array) else { continue };
            let tried: Vec<_> = choices.iter().map(|choice| self.walk(choice, value, place)).collect();
            let fitting = tried.iter().filter(|it| it.is_ok()).count();
            if fitting == 0 || (word == "oneOf" && fitting > 1) {
                return wrong(&format!(
                    "{word}: {fitting} of {} fit, the nearest says {:?}",
                    tried.len(),
                    nearest(&tried)
                ));
            }
            named.extend(tried.into_iter().flatten().flatten());
        }
        Ok(named)
    }

    fn properties(
        &self,
        schema: &Map<String, Value>,
        object: &Map<String, Value>,
        place: &str,
    ) -> Result<Named, String> {
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(key) {
                return Err(format!("{place}: {key:?} is missing"));
            }
        }
        let mut named = Named::new();
        for (key, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            named.insert(key.clone());
            if let Some(value) = object.get(key) {
                self.check(schema, value, &format!("{place}.{key}"))?;
            }
        }
        Ok(named)
    }
}

/// What the choice says that comes closest: not one that is for another event.
fn nearest(tried: &[Result<Named, String>]) -> Option<&String> {
    let errors = || tried.iter().filter_map(|it| it.as_ref().err());
    errors().find(|it| !it.contains(".event: ")).or_else(|| errors().next())
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}
