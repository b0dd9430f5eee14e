//! The end of standard error: what a server said last, before it died.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::escape::escape;

/// How much is kept.
const KEPT: usize = 64 * 1024;

/// The last 64 KiB of standard error of one life. Clones read the same; it outlives the group.
#[derive(Clone, Default)]
pub struct Tail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

// === impl Tail ===

impl Tail {
    /// All of it, escaped like a [`super::Line`], one line after another with newlines between.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// The last `count` lines that are not blank, oldest first, escaped.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| !line.trim().is_empty());
        lines.split_off(lines.len().saturating_sub(count))
    }

    pub(super) fn push(&self, chunk: &[u8]) {
        let chunk = &chunk[chunk.len().saturating_sub(KEPT)..];
        let mut bytes = self.lock();
        let surplus = (bytes.len() + chunk.len()).saturating_sub(KEPT);
        bytes.drain(..surplus);
        bytes.extend(chunk);
    }

    fn lines(&self) -> Vec<String> {
        let bytes: Vec<u8> = self.lock().iter().copied().collect();
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if text.is_empty() {
            return Vec::new();
        }
        text.split(|b| *b == b'\n').map(|line| escape(line.strip_suffix(b"\r").unwrap_or(line))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("bytes", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_beginning_let_go() {
        let tail = Tail::default();
        assert_eq!(tail.text(), "");
        for number in 0..20_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        assert!(tail.text().len() < KEPT);
        assert_eq!(tail.last_lines(2), ["line 19998", "line 19999"]);
        tail.push(&vec![b'x'; 3 * KEPT]);
        assert_eq!(tail.text().len(), KEPT);
    }

    #[test]
    fn the_last_lines_are_those_with_something_in_them() {
        let tail = Tail::default();
        tail.push(b"cause\r\n\n  \n\x1b[1mlast");
        assert_eq!(tail.last_lines(9), ["cause", "\\x1b[1mlast"]);
        assert_eq!(tail.last_lines(1), ["\\x1b[1mlast"]);
        assert_eq!(tail.text(), "cause\n\n  \n\\x1b[1mlast");
    }
}
