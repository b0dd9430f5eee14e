//! `server.name` and `server.aliases`: what people and clients call it.

use crate::reader::Section;
use crate::value::{Reject, Shown, text, texts};

/// No name is longer.
const LONGEST: usize = 64;

/// What the children of the root supervisor are called already.
const TAKEN: [&str; 8] = ["root", "server", "health", "breaker", "residency", "gateway", "fallback", "tree"];

/// A name that may be missing, for reading.
struct Optional(Option<String>);

pub(super) fn name(section: &mut Section<'_, '_>) -> Option<String> {
    let read = |value: &_| match text(value)?.as_str() {
        "" => Ok(Optional(None)),
        name => check_name(name).map(|()| Optional(Some(name.to_owned()))),
    };
    section.read("name", read).0
}

pub(super) fn aliases(section: &mut Section<'_, '_>) -> Vec<String> {
    section.read("aliases", |value| {
        let aliases = texts(value)?;
        let check = |(at, alias): (usize, &String)| {
            let empty = || Reject::invalid("it is empty", "a name by which clients ask").in_item(at + 1);
            if alias.trim().is_empty() { Err(empty()) } else { Ok(()) }
        };
        aliases.iter().enumerate().try_for_each(check)?;
        Ok(aliases)
    })
}

/// It is a directory, a child of the tree and a word of the log.
fn check_name(name: &str) -> Result<(), Reject> {
    const HELP: &str = "up to 64 letters, digits, and - _ . in between";
    let plain = name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.'));
    if !plain || name.len() > LONGEST || !name.starts_with(|it: char| it.is_ascii_alphanumeric()) {
        return Err(Reject::invalid("no server can be called that", HELP));
    }
    if TAKEN.contains(&name) {
        return Err(Reject::invalid("something else in the tree is called that", "another name"));
    }
    Ok(())
}

// === impl Optional ===

impl Shown for Optional {
    fn shown(&self) -> String {
        self.0.clone().unwrap_or_default().shown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_word_that_nobody_else_has() {
        for good in ["coder", "qwen3-4b", "a", "Llama_3.2", "7b"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["a/b", "..", ".hidden", "-n", "a b", "health", "server", "ü", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
