//! The languages that people are spoken to in, and every sentence of mlx-tree in them.
//!
//! Sentences are born in English, where they happen: as the text of an error, as a reason in an event, as the help of a flag.
//! Programs, logs and the API get them as they are. Only where a person reads them, at the very edge, they are [said](Language::say) in
//! that person's language, by a table of phrases with holes; what no phrase fits (the words of a server, of Python, of the
//! system) stays as it was written. It is gettext's way, with patterns for what has numbers and names in it.

mod phrase;
mod quantity;
mod russian;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use self::phrase::Phrase;

/// The languages that people are spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Russian.
    Ru,
}

/// How deep phrases may be nested in each other.
const DEPTH: u8 = 8;

/// Longer texts are somebody else's.
const LONGEST: usize = 4096;

// === impl Language ===

impl Language {
    /// The one of two texts that is in this language.
    #[must_use]
    pub fn pick<T>(self, en: T, ru: T) -> T {
        match self {
            Self::En => en,
            Self::Ru => ru,
        }
    }

    /// A sentence of mlx-tree's in this language. What is not one of its sentences stays as it is; so do the names, numbers
    /// and words of others within one.
    #[must_use]
    pub fn say(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::En => Cow::Borrowed(text),
            Self::Ru if text.len() > LONGEST => Cow::Borrowed(text),
            Self::Ru => russian(text, DEPTH),
        }
    }
}

/// Whether there is a Russian phrase for this English one, holes written as `{}` (or `{n}` where a number stands).
#[must_use]
pub fn is_known(phrase: &str) -> bool {
    russian::phrases().any(|known| without_kinds(known.english) == without_kinds(phrase))
}

/// Every phrase, English and Russian, in the order in which they are tried: for those who speak elsewhere than here.
pub fn phrases() -> impl Iterator<Item = (&'static str, &'static str)> {
    russian::phrases().map(|Phrase { english, russian }| (english, russian))
}

fn without_kinds(phrase: &str) -> String {
    phrase.replace("{n}", "{}")
}

fn russian(text: &str, depth: u8) -> Cow<'_, str> {
    let Some(deeper) = depth.checked_sub(1) else { return Cow::Borrowed(text) };
    for phrase in russian::phrases() {
        if let Some(holes) = phrase.holes_in(text) {
            let said = holes.iter().map(|hole| russian(hole, deeper));
            return Cow::Owned(Phrase::fill(phrase.russian, &said.collect::<Vec<_>>()));
        }
    }
    // Two sentences of which each may be known.
    for separator in ["; ", ": ", " ("] {
        if let Some((one, other)) = text.split_once(separator) {
            let (left, right) = (russian(one, deeper), russian(other, deeper));
            if left != one || right != other {
                return Cow::Owned(format!("{left}{separator}{right}"));
            }
        }
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ru(text: &str) -> String {
        Language::Ru.say(text).into_owned()
    }

    #[test]
    fn a_sentence_is_said_with_what_is_in_it() {
        assert_eq!(ru("exited with code 1 after 2.0 s"), "завершился с кодом 1 через 2.0 с");
        assert_eq!(
            ru("3 health checks in a row were missed: no answer within 5 s"),
            "пропущено проверок здоровья подряд: 3 (нет ответа в течение 5 с)"
        );
        assert_eq!(
            ru("too many failed restarts in a row: exited with code 1 after 40 ms"),
            "слишком много неудачных перезапусков подряд: завершился с кодом 1 через 40 мс"
        );
    }

    #[test]
    fn the_phrase_that_says_most_is_taken() {
        assert_eq!(
            ru("the server is stopped; `mlx-tree start` starts it again"),
            "сервер остановлен; `mlx-tree start` запустит его снова"
        );
        assert_eq!(
            ru("the trial failed: ended by SIGKILL, not sent by mlx-tree: by hand, or for lack of memory"),
            "пробный запуск не удался: завершён сигналом SIGKILL (не от mlx-tree: вручную или из-за нехватки памяти)"
        );
    }

    #[test]
    fn what_others_have_written_stays_as_it_is() {
        for text in ["", "ValueError: no such thing", "Привет", "{} {n}", "a: b; c (d)"] {
            assert_eq!(ru(text), text);
        }
        assert_eq!(
            ru("exited with code 1 after 40 ms: ValueError: x"),
            "завершился с кодом 1 через 40 мс: ValueError: x"
        );
    }

    #[test]
    fn english_is_left_alone() {
        assert!(matches!(Language::En.say("exited with code 1 after 2.0 s"), Cow::Borrowed(_)));
    }
}
