//! Every sentence in Russian.

mod commands;
mod configuration;
mod environment;
mod help;
mod notices;
mod reasons;
mod service;

use std::cmp::Reverse;
use std::sync::LazyLock;

use crate::phrase::Phrase;

/// All phrases; the first one that fits a text is taken. Those that say more themselves come first: `the server is {}` would
/// take whatever is known of a server in more words.
pub(crate) fn phrases() -> impl Iterator<Item = Phrase> {
    static SORTED: LazyLock<Vec<Phrase>> = LazyLock::new(|| {
        let mut phrases: Vec<_> = as_written().collect();
        phrases.sort_by_key(|phrase| (Reverse(phrase.literal()), phrase.english.matches("{}").count()));
        phrases
    });
    SORTED.iter().copied()
}

fn as_written() -> impl Iterator<Item = Phrase> {
    [
        reasons::PHRASES,
        configuration::PHRASES,
        environment::PHRASES,
        commands::PHRASES,
        notices::PHRASES,
        help::PHRASES,
        service::PHRASES,
    ]
    .into_iter()
    .flatten()
    .map(|&(english, russian)| Phrase { english, russian })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_phrase_is_hidden_by_another_one() {
        for Phrase { english, .. } in phrases() {
            let text = english.replace("{n}", "7").replace("{}", "q");
            let first = phrases().find(|phrase| phrase.holes_in(&text).is_some());
            assert_eq!(first.map(|phrase| phrase.english), Some(english), "{text}");
        }
    }

    #[test]
    fn no_phrase_is_there_twice_and_each_keeps_its_holes() {
        let mut seen = HashSet::new();
        for Phrase { english, russian } in phrases() {
            assert!(seen.insert(english), "twice: {english}");
            let holes = english.matches("{}").count() + english.matches("{n}").count();
            let filled =
                ["{}", "{1}", "{2}", "{3}", "{4}"].map(|hole| russian.matches(hole).count()).iter().sum::<usize>();
            assert_eq!(filled, holes, "{english} / {russian}");
            for number in (1..10).filter(|number| russian.contains(&format!("{{{number}}}"))) {
                assert!(number <= holes, "{russian}");
            }
            assert!(russian.chars().any(|c| c.is_alphabetic() && !c.is_ascii()), "this is no Russian: {russian}");
        }
    }
}
