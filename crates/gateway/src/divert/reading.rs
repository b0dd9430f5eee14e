//! Reading what a fallback sends: lines out of bytes, bounded, and the stamp that all chunks of one answer bear.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Code, Refusal};

/// No line is longer. A tool call, which comes as one line, has room in it.
pub(super) const LONGEST_LINE: usize = 4 << 20;

/// As much of somebody else's text as is worth repeating.
const SHOWN: usize = 300;

/// Splits bytes into lines, however they were cut.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

/// What all chunks of one answer have in common.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    /// Random enough to tell answers apart.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
}

// === impl Lines ===

impl Lines {
    /// Adds bytes, and hands each line that is now whole to `each`, without its end.
    ///
    /// # Errors
    /// What `each` says, and a line that is too long.
    pub(super) fn take<T>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<Option<T>, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        let mut bytes = bytes;
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&bytes[..at], &bytes[at + 1..]);
            bytes = after;
            self.fits(line.len())?;
            let done = if self.rest.is_empty() {
                each(bare(line))?
            } else {
                self.rest.extend_from_slice(line);
                let whole = std::mem::take(&mut self.rest);
                each(bare(&whole))?
            };
            if done.is_some() {
                return Ok(done);
            }
        }
        self.fits(bytes.len())?;
        self.rest.extend_from_slice(bytes);
        Ok(None)
    }

    fn fits(&self, more: usize) -> Result<(), Refusal> {
        if self.rest.len() + more <= LONGEST_LINE {
            return Ok(());
        }
        Err(Refusal::new(
            Code::BadUpstreamResponse,
            format!("The fallback sent a line of more than {LONGEST_LINE} bytes."),
        ))
    }
}

fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

// === impl Stamp ===

impl Stamp {
    pub(super) fn now() -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // The seed of a hash map is random enough, and needs no dependency.
        Self { id: format!("{:016x}", RandomState::new().build_hasher().finish()), created }
    }
}

/// Somebody else's text as one line that is fit for a message.
pub(super) fn shown(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Refusal> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            let end: Option<()> = lines.take(piece, |line| {
                found.push(line.to_vec());
                Ok(None)
            })?;
            assert_eq!(end, None);
        }
        Ok(found)
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_were_cut(text in "[a\r\n]{0,60}", cut in 0_usize..60) {
            let bytes = text.as_bytes();
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(lines(&[head, tail]), lines(&[bytes]));
        }
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let piece = vec![b'a'; LONGEST_LINE / 2];
        assert!(lines(&[&piece, &piece]).is_ok());
        let refused = lines(&[&piece, &piece, b"a"]).expect_err("too long");
        assert_eq!(refused.code, Code::BadUpstreamResponse);
        assert!(lines(&[&piece, &piece, b"a\n"]).is_err());
    }

    #[test]
    fn foreign_text_is_shown_on_one_line_and_not_all_of_it() {
        assert_eq!(shown("a\u{1b}[31m\nb"), "a [31m b");
        assert_eq!(shown(&"x".repeat(1000)).len(), SHOWN);
    }
}
