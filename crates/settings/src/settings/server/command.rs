//! `server.command`: a command line with places for what is known only at a launch.

use std::net::IpAddr;

use crate::reader::Section;
use crate::value::{Reject, Shown, texts};

/// A command line in which `{host}`, `{port}` and `{model}` are filled in at each launch. There is no shell: each word
/// reaches the program as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTemplate(Vec<String>);

/// A command that may be missing, for reading.
struct Optional(Vec<String>);

// === impl CommandTemplate ===

impl CommandTemplate {
    /// The command line of one launch. What is filled in is not looked at again, so a model called `{port}` stays that.
    #[must_use]
    pub fn fill(&self, host: IpAddr, port: u16, model: &str) -> Vec<String> {
        let (host, port) = (host.to_string(), port.to_string());
        let places = [("{host}", host.as_str()), ("{port}", port.as_str()), ("{model}", model)];
        self.0.iter().map(|word| fill_word(word, &places)).collect()
    }

    /// The words as they are configured; never empty.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl Shown for Optional {
    fn shown(&self) -> String {
        self.0.shown()
    }
}

pub(super) fn read(section: &mut Section<'_, '_>) -> Option<CommandTemplate> {
    let words = section.read("command", |value| texts(value).and_then(check).map(Optional)).0;
    (!words.is_empty()).then_some(CommandTemplate(words))
}

/// Nothing, or a command line that says where to listen.
fn check(words: Vec<String>) -> Result<Vec<String>, Reject> {
    match words.first().map(String::as_str) {
        None => Ok(words),
        Some("") => Err(Reject::invalid("the program has no name", "the program first, then its arguments")),
        Some(_) if words.iter().any(|word| word.contains("{port}")) => Ok(words),
        Some(_) => {
            let help = r#"{port} where the server is told its port, such as ["serve", "--port", "{port}"]"#;
            Err(Reject::invalid("it does not say where {port} goes", help))
        }
    }
}

fn fill_word(word: &str, places: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::with_capacity(word.len()), word);
    while let Some(brace) = rest.find('{') {
        filled.push_str(&rest[..brace]);
        rest = &rest[brace..];
        match places.iter().find(|(place, _)| rest.starts_with(place)) {
            Some((place, value)) => {
                filled.push_str(value);
                rest = &rest[place.len()..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn fill(words: &[&str], model: &str) -> Vec<String> {
        let template = CommandTemplate(words.iter().map(|word| (*word).to_owned()).collect());
        template.fill(Ipv4Addr::LOCALHOST.into(), 9, model)
    }

    #[test]
    fn every_place_is_filled_in_and_nothing_else_is_touched() {
        assert_eq!(
            fill(&["serve", "--listen={host}:{port}", "{model}", r#"{"a":{port}}"#, "{other}", "{"], "m"),
            ["serve", "--listen=127.0.0.1:9", "m", r#"{"a":9}"#, "{other}", "{"]
        );
    }

    #[test]
    fn what_is_filled_in_is_not_looked_at_again() {
        assert_eq!(fill(&["{model}"], "{port}"), ["{port}"]);
    }
}
