//! Makes foreign bytes safe to print: no terminal, log or browser can be steered by them.

use std::fmt::Write as _;

/// Lossy UTF-8 in which control characters (C0 except tab, DEL, C1) and characters that change the
/// direction or break of a line are spelt out: `\x1b`, `\u{202e}`. Newlines are controls, too.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.chars().any(is_unsafe) {
        return text.into_owned();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\r' => safe.push_str("\\r"),
            '\n' => safe.push_str("\\n"),
            c if !is_unsafe(c) => safe.push(c),
            c if u32::from(c) < 0x100 => write_to(&mut safe, format_args!("\\x{:02x}", u32::from(c))),
            c => write_to(&mut safe, format_args!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    safe
}

/// [`escape`], shortened to about `limit` bytes.
pub(crate) fn escape_short(text: &str, limit: usize) -> String {
    let mut safe = escape(text.as_bytes());
    if safe.len() > limit {
        let end = (0..=limit).rev().find(|at| safe.is_char_boundary(*at)).unwrap_or(0);
        safe.truncate(end);
        safe.push('…');
    }
    safe
}

fn is_unsafe(c: char) -> bool {
    match c {
        '\t' => false,
        c if c.is_control() => true,
        // Marks, embeddings, overrides and isolates of direction.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        // Line and paragraph separators end a line in a browser and in some terminals.
        '\u{2028}' | '\u{2029}' => true,
        _ => false,
    }
}

fn write_to(safe: &mut String, piece: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = safe.write_fmt(piece);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_could_steer_a_terminal_is_spelt_out() {
        assert_eq!(escape(b"plain\ttext"), "plain\ttext");
        assert_eq!(escape("пример ✓".as_bytes()), "пример ✓");
        assert_eq!(escape(b"\x1b[31mred\x07\x7f"), "\\x1b[31mred\\x07\\x7f");
        assert_eq!(escape(b"50%\r100%\nforged line"), "50%\\r100%\\nforged line");
        assert_eq!(escape("a\u{202e}b\u{85}c\u{2028}".as_bytes()), "a\\u{202e}b\\x85c\\u{2028}");
        assert_eq!(escape(b"bad \xff\xfe"), "bad \u{fffd}\u{fffd}");
    }

    #[test]
    fn a_shortened_text_ends_between_characters() {
        assert_eq!(escape_short("ééé", 3), "é…");
        assert_eq!(escape_short("abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_survives(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!escape(&bytes).chars().any(is_unsafe));
        }
    }
}
