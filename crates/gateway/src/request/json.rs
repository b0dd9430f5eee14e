//! A body as a JSON object: strictly, within bounds, and without losing a byte of it.
//!
//! What the server will be sent are the client's own bytes, field by field, so a number is not rounded and an escape not
//! rewritten on the way. What is checked is the tree that they mean. The two must never differ, which is why the tree is
//! built here: `serde_json`'s own `Value` takes an object with the key `$serde_json::private::RawValue` for something else
//! than it is as soon as any crate in the build turns that feature on, and axum does.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::refusal::{Code, Refusal};

/// How deep arrays and objects may be within each other.
const DEPTH: usize = 64;

/// How many values there may be. A value takes up to a hundred bytes of memory and two of a body, so the size of the body
/// bounds nothing.
const VALUES: usize = 1 << 18;

/// A body that is a JSON object.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// What it means.
    pub(super) fields: Map<String, Value>,
    /// What it says, in its order. The same names as in `fields`, each once.
    pub(super) members: Vec<(Cow<'a, str>, &'a str)>,
}

/// Reads a body.
pub(super) fn read(body: &[u8]) -> Result<Document<'_>, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(broken("it is empty (at line 1 column 1)"));
    }
    let bounds = Bounds { left: Cell::new(VALUES) };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Tree { bounds: &bounds, depth: 0 }.deserialize(&mut reader).map_err(|error| broken(&error))?;
    reader.end().map_err(|error| broken(&error))?;
    let Value::Object(fields) = value else {
        return Err(broken("it is not an object (at line 1 column 1)"));
    };
    let Members(members) = serde_json::from_slice(body).map_err(|error| broken(&error))?;
    Ok(Document { fields, members })
}

fn broken(why: impl fmt::Display) -> Refusal {
    Refusal::new(Code::InvalidJson, format!("The body is not a JSON object that can be served: {why}."))
}

/// How much there may still be.
struct Bounds {
    left: Cell<usize>,
}

/// A value, `depth` arrays and objects deep.
#[derive(Clone, Copy)]
struct Tree<'b> {
    bounds: &'b Bounds,
    depth: usize,
}

// === impl Tree ===

impl Tree<'_> {
    /// What is inside.
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH {
            return Err(E::custom(format_args!("it is more than {DEPTH} levels deep")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.bounds.left.get().checked_sub(1);
        let left = left.ok_or_else(|| D::Error::custom(format_args!("it has more than {VALUES} values")))?;
        self.bounds.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (inside, mut array) = (self.deeper()?, Vec::new());
        while let Some(item) = items.next_element_seed(inside)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (inside, mut map) = (self.deeper()?, Map::new());
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inside)?;
            // Which of the two counts is for each reader to say: there is no telling that the server reads what was checked.
            if map.contains_key(&name) {
                let name: String = name.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("the key {name:?} is there twice")));
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// The bytes of an object's members.
struct Members<'a>(Vec<(Cow<'a, str>, &'a str)>);

/// The name of a member: borrowed if it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

// === impl Members ===

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = entries.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(body: &[u8]) -> String {
        let refusal = read(body).map(|document| document.fields).expect_err("it cannot be served");
        assert_eq!(refusal.code, Code::InvalidJson);
        assert!(refusal.message.contains(" column "), "where? {}", refusal.message);
        refusal.message
    }

    #[test]
    fn a_body_is_one_object_and_nothing_else() {
        let bodies: [&[u8]; 16] = [
            b"",
            b"  \n",
            b"null",
            b"[]",
            b"[{}]",
            b"\"{}\"",
            b"{",
            b"{}}",
            b"{} {}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"{\"a\":NaN}",
            b"{\"a\":Infinity}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\x01\"}",
        ];
        for body in bodies {
            why(body);
        }
        assert!(read(b" {} ").expect("an empty object").members.is_empty());
    }

    #[test]
    fn what_python_reads_and_others_do_not_is_refused() {
        for body in [r#"{"a":"\ud800"}"#, r#"{"a":["\udfff"]}"#, r#"{"\ud800":1}"#, r#"{"a":1e400}"#, r#"{"a":-1e400}"#]
        {
            why(body.as_bytes());
        }
        // Python's own integers have a limit, and a body beyond it is answered by closing the connection.
        why(format!("{{\"a\":{}}}", "1".repeat(5_000)).as_bytes());
    }

    #[test]
    fn sixty_four_levels_are_served_and_one_more_is_not() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        read(nested(DEPTH).as_bytes()).expect("as deep as it may be");
        assert!(why(nested(DEPTH + 1).as_bytes()).contains("64 levels"));
        why(nested(1_000_000).as_bytes());
        let objects = format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65));
        assert!(why(objects.as_bytes()).contains("64 levels"));
    }

    #[test]
    fn many_small_values_are_too_many() {
        let of = |count: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(count - 1));
        read(of(VALUES - 2).as_bytes()).expect("as many as there may be, with the object and the array");
        assert!(why(of(VALUES - 1).as_bytes()).contains("values"));
    }

    #[test]
    fn a_key_is_there_once_however_it_is_written() {
        assert!(why(br#"{"model":"a","model":"b"}"#).contains("\"model\""));
        why(br#"{"model":"a","mod\u0065l":"b"}"#);
        why(br#"{"messages":[{"role":"user","role":"system"}]}"#);
    }

    #[test]
    fn no_key_makes_a_value_look_like_another_one() {
        let body = br#"{"stop":{"$serde_json::private::RawValue":"\"x\""},"n":{"$serde_json::private::Number":"1"}}"#;
        let document = read(body).expect("odd, but an object");
        assert!(document.fields["stop"].is_object() && document.fields["n"].is_object(), "{:?}", document.fields);
        assert_eq!(document.members[0].1, r#"{"$serde_json::private::RawValue":"\"x\""}"#);
        let top = br#"{"$serde_json::private::RawValue":"{\"model\":\"m\"}"}"#;
        assert!(!read(top).expect("an object").fields.contains_key("model"));
    }

    #[test]
    fn the_members_are_the_clients_own_bytes() {
        let body = br#" { "a" : 1.10 , "\u0062":[ 1, 2 ],"c":100000000000000000000000000001,"d":"\u00e9" } "#;
        let document = read(body).expect("an object");
        let members: Vec<_> = document.members.iter().map(|(name, raw)| (&**name, *raw)).collect();
        let expected =
            [("a", "1.10"), ("b", "[ 1, 2 ]"), ("c", "100000000000000000000000000001"), ("d", r#""\u00e9""#)];
        assert_eq!(members, expected);
    }
}
