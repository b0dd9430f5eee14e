//! Just enough JSON: read a request body, quote a string.
//!
//! Answers are written in the layout of Python's `json.dumps` (", " and ": "), because that is what a client of the
//! real server gets to parse.

use std::{fmt::Write as _, iter::Peekable, str::Chars};

/// A JSON value; numbers keep their text, objects their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// The text is not JSON; says what the parser stumbled over.
#[derive(Debug, PartialEq)]
pub(crate) struct Invalid(pub(crate) &'static str);

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    depth: u32,
}

/// Reads one value; nothing but white space may follow.
pub(crate) fn parse(text: &str) -> Result<Value, Invalid> {
    let mut parser = Parser { rest: text.chars().peekable(), depth: 0 };
    let value = parser.value()?;
    parser.space();
    match parser.rest.next() {
        None => Ok(value),
        Some(_) => Err(Invalid("Extra data")),
    }
}

/// The string as a JSON string, ASCII only.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' => quoted.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

// === impl Value ===

impl Value {
    /// The field of an object; absent in every other value.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().rfind(|(key, _)| key == name).map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Object(_) => None,
        }
    }
}

// === impl Parser ===

impl Parser<'_> {
    fn value(&mut self) -> Result<Value, Invalid> {
        self.space();
        match self.rest.peek() {
            Some('{') => self.nested(Self::object),
            Some('[') => self.nested(Self::array),
            Some('"') => self.string().map(Value::String),
            Some('t') => self.word("true", Value::Bool(true)),
            Some('f') => self.word("false", Value::Bool(false)),
            Some('n') => self.word("null", Value::Null),
            Some('-' | '0'..='9') => self.number(),
            Some(_) | None => Err(Invalid("Expecting value")),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, Invalid>) -> Result<Value, Invalid> {
        // Python's own limit is its recursion depth, about 1000.
        if self.depth == 500 {
            return Err(Invalid("maximum recursion depth exceeded"));
        }
        self.depth += 1;
        self.rest.next();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, Invalid> {
        let mut fields = Vec::new();
        while !self.closes('}', fields.is_empty())? {
            self.space();
            let key = self.string()?;
            self.space();
            if self.rest.next() != Some(':') {
                return Err(Invalid("Expecting ':' delimiter"));
            }
            fields.push((key, self.value()?));
        }
        Ok(Value::Object(fields))
    }

    fn array(&mut self) -> Result<Value, Invalid> {
        let mut items = Vec::new();
        while !self.closes(']', items.is_empty())? {
            items.push(self.value()?);
        }
        Ok(Value::Array(items))
    }

    /// Takes the closing mark, or the comma before the next item; the first item has none.
    fn closes(&mut self, mark: char, first: bool) -> Result<bool, Invalid> {
        self.space();
        match self.rest.peek() {
            Some(c) if *c == mark => {
                self.rest.next();
                Ok(true)
            }
            Some(',') if !first => {
                self.rest.next();
                Ok(false)
            }
            Some(_) if first => Ok(false),
            Some(_) | None => Err(Invalid("Expecting ',' delimiter")),
        }
    }

    fn string(&mut self) -> Result<String, Invalid> {
        if self.rest.next() != Some('"') {
            return Err(Invalid("Expecting property name enclosed in double quotes"));
        }
        let mut units: Vec<u16> = Vec::new();
        let mut text = String::new();
        loop {
            let c = self.rest.next().ok_or(Invalid("Unterminated string"))?;
            if c == '\\' && self.rest.peek() == Some(&'u') {
                self.rest.next();
                units.push(self.unit()?);
                continue;
            }
            // Halves of a pair come as two escapes, so they are joined when the run of escapes ends.
            text.push_str(&String::from_utf16_lossy(&units));
            units.clear();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                '\0'..='\x1f' => return Err(Invalid("Invalid control character")),
                _ => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Invalid> {
        Ok(match self.rest.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\x08',
            Some('f') => '\x0c',
            Some(_) | None => return Err(Invalid("Invalid \\escape")),
        })
    }

    fn unit(&mut self) -> Result<u16, Invalid> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.rest.next().and_then(|c| c.to_digit(16)).ok_or(Invalid("Invalid \\uXXXX escape"))?;
            unit = unit << 4 | u16::try_from(digit).unwrap_or_default();
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Value, Invalid> {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_digit() || "+-.eE".contains(*c)) {
            text.push(c);
        }
        match text.parse::<f64>() {
            Ok(_) => Ok(Value::Number(text)),
            Err(_) => Err(Invalid("Expecting value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Invalid> {
        match word.chars().all(|c| self.rest.next() == Some(c)) {
            true => Ok(value),
            false => Err(Invalid("Expecting value")),
        }
    }

    fn space(&mut self) {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t' | '\n' | '\r')).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_body_is_read() {
        let body =
            parse(r#" {"messages": [{"role": "user", "content": "h\u00e9 \ud83d\ude00\n"}], "n": -1.5e3, "s": true} "#);
        let body = body.unwrap();
        let message = &body.get("messages").unwrap().as_array().unwrap()[0];
        assert_eq!(message.get("content").unwrap().as_str(), Some("hé 😀\n"));
        assert_eq!(body.get("n"), Some(&Value::Number("-1.5e3".into())));
        assert_eq!(body.get("s"), Some(&Value::Bool(true)));
        assert_eq!(body.get("absent"), None);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "[1,]", "{\"a\" 1}", "{\"a\":1} x", "\"open", "nul", "1.2.3", "[,1]", "\"\u{1}\""] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_quoted_string_reads_back() {
        let text = "a\"b\\c\nd\u{7f}é😀\u{1}";
        assert_eq!(parse(&quote(text)), Ok(Value::String(text.into())));
        assert!(quote(text).is_ascii());
    }
}
