//! The head of a request, line by line.

use super::{Extent, malformed};
use crate::{Code, Refusal};

/// A head that is being read.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// How many bytes have been looked at.
    seen: usize,
    /// Where the current line begins.
    line: usize,
    /// How many lines are complete: the first is the request line.
    lines: usize,
    length: Option<u64>,
    chunked: Option<Chunked>,
}

#[derive(Debug)]
struct Chunked;

/// What a byte may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Allowed in a line.
    Text,
    /// Part of a line end.
    End,
    /// Not allowed anywhere.
    Control,
}

/// [`Class`] of every byte: horizontal tab, space, visible characters and what is beyond ASCII are text.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Text; 256];
    let mut byte = 0;
    while byte < 0x20 {
        classes[byte] = Class::Control;
        byte += 1;
    }
    classes[0x7f] = Class::Control;
    classes[b'\t' as usize] = Class::Text;
    classes[b'\r' as usize] = Class::End;
    classes[b'\n' as usize] = Class::End;
    classes
};

/// More than 19 digits are beyond a `u64`.
const LENGTH_DIGITS: usize = 19;

// === impl Head ===

impl Head {
    /// Reads on in `input`, which begins with the head's first byte. Answers the head's length and what follows it, when it
    /// is complete.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        bytes: usize,
        fields: usize,
    ) -> Result<Option<(usize, Extent)>, Refusal> {
        let shown = &input[..input.len().min(bytes)];
        while self.seen < shown.len() {
            let rest = &shown[self.seen..];
            let Some(text) = rest.iter().position(|byte| CLASSES[usize::from(*byte)] != Class::Text) else {
                self.after_cr(shown, self.seen)?;
                self.seen = shown.len();
                break;
            };
            if text > 0 {
                self.after_cr(shown, self.seen)?;
            }
            let at = self.seen + text;
            self.seen = at + 1;
            match shown[at] {
                b'\n' if at > self.line && shown[at - 1] == b'\r' => {
                    let line = &shown[self.line..at - 1];
                    self.line = self.seen;
                    if self.end_of_line(line, fields)? {
                        return Ok(Some((self.seen, self.extent())));
                    }
                }
                b'\n' => return Err(malformed("A line of the request's head ends in a bare LF.")),
                b'\r' => self.after_cr(shown, at)?,
                _ => return Err(malformed("There is a control character in the request's head.")),
            }
        }
        if input.len() >= bytes {
            let message = format!("The request's head is longer than {bytes} bytes.");
            return Err(Refusal::new(Code::HeadersTooLarge, message).close());
        }
        Ok(None)
    }

    /// Refuses a CR before `at` that no LF follows.
    fn after_cr(&self, shown: &[u8], at: usize) -> Result<(), Refusal> {
        if at > self.line && shown[at - 1] == b'\r' {
            return Err(malformed("There is a bare CR in the request's head."));
        }
        Ok(())
    }

    /// Answers whether that was the head's last line.
    fn end_of_line(&mut self, line: &[u8], fields: usize) -> Result<bool, Refusal> {
        self.lines += 1;
        if self.lines == 1 {
            return request_line(line).map(|()| false);
        }
        if line.is_empty() {
            return Ok(true);
        }
        if self.lines - 1 > fields {
            let message = format!("The request has more than {fields} header fields.");
            return Err(Refusal::new(Code::HeadersTooLarge, message).close());
        }
        self.field(line).map(|()| false)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(malformed("A header field is folded over two lines."));
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.map(|colon| (&line[..colon], &line[colon + 1..])) else {
            return Err(malformed("A header field has no colon."));
        };
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(malformed("The name of a header field is malformed."));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            self.content_length(trim(value))
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.transfer_encoding(trim(value))
        } else {
            Ok(())
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() || self.chunked.is_some() {
            return Err(malformed("The request says twice how long its body is."));
        }
        if !(1..=LENGTH_DIGITS).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
            return Err(malformed("`Content-Length` is no number."));
        }
        self.length = Some(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() || self.chunked.is_some() {
            return Err(malformed("The request says twice how long its body is."));
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(malformed("The only `Transfer-Encoding` is `chunked`."));
        }
        self.chunked = Some(Chunked);
        Ok(())
    }

    fn extent(&self) -> Extent {
        match (&self.chunked, self.length) {
            (Some(Chunked), _) => Extent::Chunked,
            (None, length) => Extent::Length(length.unwrap_or(0)),
        }
    }
}

fn request_line(line: &[u8]) -> Result<(), Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed("The request line is not `METHOD /path HTTP/1.1`."));
    };
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return Err(malformed("The request's method is malformed."));
    }
    match version {
        b"HTTP/1.1" => {}
        // Of 1.0 too: there a body without a length ends with the connection, so a stream that was cut looks whole.
        [b'H', b'T', b'T', b'P', b'/', ..] => {
            return Err(Refusal::new(Code::HttpVersionNotSupported, "Only HTTP/1.1 is spoken here.").close());
        }
        _ => return Err(malformed("The request line is not `METHOD /path HTTP/1.1`.")),
    }
    match target {
        [b'/', ..] if method != b"CONNECT" && target.iter().copied().all(is_path) => Ok(()),
        b"*" if method == b"OPTIONS" => Ok(()),
        _ => Err(malformed("The request's target is no path: `/path?query`.")),
    }
}

/// RFC 9110's `tchar`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 3986's characters of a path and a query.
fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/?".contains(&byte)
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
