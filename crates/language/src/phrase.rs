//! One phrase: an English sentence with holes, and the same in another language.
//!
//! `{}` is a hole for anything, `{n}` one for a number with an optional unit sign around it. In the translation `{}` is the
//! next hole, `{1}` the first one, `{2}` the second, for where the order of words is another one.

use std::borrow::Cow;
use std::fmt::Write as _;

/// An English sentence with holes, and the same in Russian.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phrase {
    pub(crate) english: &'static str,
    pub(crate) russian: &'static str,
}

/// What may stand in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    Anything,
    Number,
}

// === impl Phrase ===

impl Phrase {
    /// How much of it is no hole, in bytes of English.
    pub(crate) fn literal(self) -> usize {
        self.english.replace("{n}", "").replace("{}", "").len()
    }

    /// What stands in the holes, if `text` is this sentence.
    pub(crate) fn holes_in(self, text: &str) -> Option<Vec<&str>> {
        let (head, mut pattern) = next_hole(self.english);
        let mut rest = text.strip_prefix(head)?;
        let mut holes = Vec::new();
        while let Some((kind, after)) = pattern {
            let (literal, next) = next_hole(after);
            let end = match (literal, next) {
                // The last hole takes what there is.
                ("", None) => rest.len(),
                (_, None) => rest.len().checked_sub(literal.len()).filter(|_| rest.ends_with(literal))?,
                ("", Some(_)) => return None,
                (_, Some(_)) => rest.find(literal)?,
            };
            let hole = rest.get(..end)?;
            if !kind.takes(hole) {
                return None;
            }
            holes.push(hole);
            rest = rest.get(end + literal.len()..)?;
            pattern = next;
        }
        rest.is_empty().then_some(holes)
    }

    /// The sentence `pattern` with these in its holes.
    pub(crate) fn fill(pattern: &str, holes: &[Cow<'_, str>]) -> String {
        let mut out = String::new();
        let (mut rest, mut next) = (pattern, 0);
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            let (inside, after) = rest[at + 1..].split_once('}').unwrap_or((&rest[at + 1..], ""));
            let which = match inside.parse::<usize>() {
                Ok(number) => number.checked_sub(1),
                Err(_) if inside.is_empty() => {
                    next += 1;
                    Some(next - 1)
                }
                Err(_) => None,
            };
            match which.and_then(|which| holes.get(which)) {
                Some(hole) => out.push_str(hole),
                // A `{port}` is a word of the sentence.
                None => {
                    let _ = write!(out, "{{{inside}}}");
                }
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

// === impl Hole ===

impl Hole {
    fn takes(self, text: &str) -> bool {
        match self {
            Self::Anything => !text.is_empty(),
            Self::Number => !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.'),
        }
    }
}

/// What stands before the next hole, and that hole with what stands after it.
fn next_hole(pattern: &'static str) -> (&'static str, Option<(Hole, &'static str)>) {
    let any = pattern.find("{}").map(|at| (at, Hole::Anything, 2));
    let number = pattern.find("{n}").map(|at| (at, Hole::Number, 3));
    let first = match (any, number) {
        (Some(any), Some(number)) => Some(if any.0 < number.0 { any } else { number }),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => None,
    };
    match first {
        Some((at, kind, length)) => (&pattern[..at], Some((kind, &pattern[at + length..]))),
        None => (pattern, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(english: &'static str) -> Phrase {
        Phrase { english, russian: "" }
    }

    #[test]
    fn holes_are_found_between_the_words() {
        assert_eq!(phrase("port {} is held by {}").holes_in("port 80 is held by a b"), Some(vec!["80", "a b"]));
        assert_eq!(phrase("no answer within {n} s").holes_in("no answer within 5 s"), Some(vec!["5"]));
        assert_eq!(phrase("no answer within {n} s").holes_in("no answer within x s"), None);
        assert_eq!(phrase("it is {}").holes_in("it is "), None);
        assert_eq!(phrase("plain").holes_in("plain"), Some(vec![]));
        assert_eq!(phrase("plain").holes_in("plainly"), None);
        assert_eq!(phrase("{} ms").holes_in("ms"), None);
    }

    #[test]
    fn the_order_of_words_may_be_another_one() {
        let holes = [Cow::Borrowed("a"), Cow::Borrowed("b")];
        assert_eq!(Phrase::fill("{2} — {1}", &holes), "b — a");
        assert_eq!(Phrase::fill("{}, {}", &holes), "a, b");
        assert_eq!(Phrase::fill("{} {} {}", &holes), "a b {}");
    }
}
