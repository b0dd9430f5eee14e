//! Chunks in, lines out: split at newlines, or at 16 KiB where none comes.

use super::LineEnd;

/// The longest piece, in bytes as the child wrote them.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// Holds the beginning of a line whose end has not arrived.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    partial: Vec<u8>,
}

// === impl Splitter ===

impl Splitter {
    /// Passes every line that `chunk` completes to `emit`.
    pub(super) fn push(&mut self, mut chunk: &[u8], mut emit: impl FnMut(&[u8], LineEnd)) {
        while !chunk.is_empty() {
            let room = MAX_LINE - self.partial.len();
            let window = &chunk[..chunk.len().min(room)];
            match memchr::memchr(b'\n', window) {
                Some(newline) => {
                    self.complete(&chunk[..newline], &mut emit);
                    chunk = &chunk[newline + 1..];
                }
                None if window.len() < room => {
                    self.partial.extend_from_slice(window);
                    return;
                }
                None => {
                    self.partial.extend_from_slice(window);
                    chunk = &chunk[window.len()..];
                    self.cut(&mut emit);
                }
            }
        }
    }

    /// No more will come: what there is, is a line.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(&[u8], LineEnd)) {
        if !self.partial.is_empty() {
            self.complete(&[], &mut emit);
        }
    }

    fn complete(&mut self, end: &[u8], emit: &mut impl FnMut(&[u8], LineEnd)) {
        if self.partial.is_empty() {
            emit(without_return(end), LineEnd::Newline);
        } else {
            self.partial.extend_from_slice(end);
            emit(without_return(&self.partial), LineEnd::Newline);
            self.partial.clear();
        }
    }

    /// Emits the full buffer, but leaves a character that is cut in half for the next piece.
    fn cut(&mut self, emit: &mut impl FnMut(&[u8], LineEnd)) {
        let end = self.partial.len() - unfinished_character(&self.partial);
        emit(&self.partial[..end], LineEnd::Cut);
        self.partial.drain(..end);
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// How many bytes at the end are the beginning of a UTF-8 character that is not complete (0 to 3).
fn unfinished_character(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let needed = match bytes[bytes.len() - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if needed > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, LineEnd)> {
        let mut lines = Vec::new();
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter.push(chunk, |line, end| lines.push((line.to_vec(), end)));
        }
        splitter.finish(|line, end| lines.push((line.to_vec(), end)));
        lines
    }

    #[test]
    fn lines_are_put_together_from_chunks() {
        let lines = split(&[b"one\ntw", b"o\r\n\nthr", b"ee"]);
        let text: Vec<_> = lines.iter().map(|(line, _)| line.as_slice()).collect();
        assert_eq!(text, [b"one".as_slice(), b"two", b"", b"three"]);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces_that_cut_no_character() {
        let long = "é".repeat(MAX_LINE); // two bytes each, after one that shifts them
        let lines = split(&[b"x", long.as_bytes()]);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|(line, _)| line.len() <= MAX_LINE && std::str::from_utf8(line).is_ok()));
        assert!(lines.iter().rev().skip(1).all(|(_, end)| *end == LineEnd::Cut));
    }

    proptest! {
        #[test]
        fn however_the_chunks_fall_no_byte_is_lost(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..4000),
            size in 1_usize..700,
        ) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|b| *b != b'\r').collect();
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let mut joined = Vec::new();
            for (line, end) in split(&chunks) {
                joined.extend(line);
                if end == LineEnd::Newline { joined.push(b'\n'); }
            }
            let mut whole = bytes.clone();
            if !whole.is_empty() && !whole.ends_with(b"\n") { whole.push(b'\n'); }
            prop_assert_eq!(joined, whole);
        }
    }
}
