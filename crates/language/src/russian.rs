//! Every sentence in Russian.

mod commands;
mod configuration;
mod environment;
mod help;
mod notices;
mod reasons;
mod service;

use crate::phrase::Phrase;

/// All phrases; the first one that fits a text is taken.
pub(crate) fn phrases() -> impl Iterator<Item = Phrase> {
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
