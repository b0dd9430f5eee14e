//! The words of an answer: a function of the prompt alone.
//!
//! Greedy decoding gives the same answer to the same request in every incarnation, and tests of replay rely on it.

/// One token each.
const WORDS: &[&str] = &[
    " the", " tree", " stands", " again", " when", " its", " child", " falls", " and", " a", " quiet", " wind",
    " moves", " every", " leaf", " before", " rain", " comes", " from", " far", " hills", " where", " small",
    " rivers", " begin", " to", " sing", " of", " stone", " moss", " light", " shade",
];

/// The same number of tokens, none of them ASCII.
const WORDS_BEYOND_ASCII: &[&str] = &[" дерево", " стоит", " снова", " 木", " は", " 立つ", " árbol", " 🌲"];

/// The seed of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

/// Which words an answer is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    Ascii,
    BeyondAscii,
}

/// About how many tokens a prompt is: four bytes each, at least one.
pub(crate) fn prompt_tokens(prompt: &str) -> u64 {
    (prompt.len() as u64).div_ceil(4).max(1)
}

// === impl Seed ===

impl Seed {
    /// FNV-1a: stable in every build, which std's hasher does not promise.
    pub(crate) fn of(prompt: &str) -> Self {
        let hash = prompt
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(hash)
    }

    /// The text of the token at this place of the answer (from 0).
    pub(crate) fn token(self, place: u64, script: Script) -> &'static str {
        let words = match script {
            Script::Ascii => WORDS,
            Script::BeyondAscii => WORDS_BEYOND_ASCII,
        };
        // splitmix64, so that neighbours differ.
        let mut mixed = self.0.wrapping_add((place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let index = (mixed ^ (mixed >> 31)) % words.len() as u64;
        words[usize::try_from(index).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(prompt: &str) -> String {
        (0..8).map(|place| Seed::of(prompt).token(place, Script::Ascii)).collect()
    }

    #[test]
    fn the_answer_depends_on_the_prompt_and_on_nothing_else() {
        assert_eq!(answer("hello"), answer("hello"));
        assert_ne!(answer("hello"), answer("hallo"));
    }

    #[test]
    fn the_answer_is_the_same_in_every_build() {
        assert_eq!(answer("hello"), GOLDEN);
    }

    const GOLDEN: &str = " the where from falls before wind comes child";
}
