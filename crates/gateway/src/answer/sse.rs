//! Server-sent events as they come: frames go in, wherever they are cut, and events come out.
//!
//! ```text
//! frames ─▶ lines ─▶ ":…"      Comment, at once
//!                    "data:…"  added to the event
//!                    ""        the event is over: Data, or Done if it says [DONE]
//!                    other     ignored, as the standard has it
//! ```
//!
//! An event that lies in one frame, as every token of every known server does, is a slice of that frame. Only what is cut by
//! the end of a frame is copied. After [`Event::Done`] or [`Event::Malformed`] nothing more comes.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The largest event that is read, unless told otherwise.
pub const EVENT_LIMIT: usize = 5 * 1024 * 1024;

/// The last event of a stream that is whole, as it is written.
pub const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Something of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A comment, without its colon. Servers send them to show that they live.
    Comment(Bytes),
    /// What the `data` lines of an event say, joined by line feeds. Never empty.
    Data(Bytes),
    /// `data: [DONE]`.
    Done,
    /// This cannot be read.
    Malformed(Malformed),
}

/// Why a stream cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An event, or a line, is larger than is read.
    #[error("the stream has an event of more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// Makes events of frames. It holds the frame that it was fed, and at most one event beside.
#[derive(Debug)]
pub struct Parser {
    limit: usize,
    /// What was fed and has not been looked at.
    frame: Bytes,
    /// The beginning of a line that ends in a later frame.
    line: BytesMut,
    data: Pending,
    place: Place,
    state: State,
}

/// The data of the event so far.
#[derive(Debug)]
enum Pending {
    Nothing,
    Line(Bytes),
    Lines(BytesMut),
}

/// What the beginning of the next line may have to be rid of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing has come: there may be a byte order mark.
    Beginning,
    /// The last line ended in a carriage return: a line feed would belong to it.
    AfterReturn,
    Inside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Over,
}

// === impl Parser ===

impl Default for Parser {
    fn default() -> Self {
        Self::new(EVENT_LIMIT)
    }
}

impl Parser {
    /// A parser at the beginning of a stream, for events of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            frame: Bytes::new(),
            line: BytesMut::new(),
            data: Pending::Nothing,
            place: Place::Beginning,
            state: State::Reading,
        }
    }

    /// Takes what has arrived. [`Parser::next_event`] is to be called until it has nothing more before the next frame is fed;
    /// else the two are joined by copying.
    pub fn feed(&mut self, frame: Bytes) {
        if self.state == State::Over {
            return;
        }
        if self.frame.is_empty() {
            self.frame = frame;
        } else {
            let mut joined = BytesMut::with_capacity(self.frame.len() + frame.len());
            joined.put_slice(&self.frame);
            joined.put_slice(&frame);
            self.frame = joined.freeze();
        }
    }

    /// The next event of what was fed, or nothing if it takes another frame. What an event still lacks at the end of the
    /// stream never comes: the standard has it discarded.
    pub fn next_event(&mut self) -> Option<Event> {
        while self.state == State::Reading {
            if self.place == Place::AfterReturn && !self.frame.is_empty() {
                if self.frame[0] == b'\n' {
                    self.frame.advance(1);
                }
                self.place = Place::Inside;
            }
            let end = memchr::memchr2(b'\n', b'\r', &self.frame);
            let length = end.unwrap_or(self.frame.len());
            if self.data.len() + self.line.len() + length > self.limit {
                self.over();
                return Some(Event::Malformed(Malformed::TooLarge { limit: self.limit }));
            }
            if end.is_none() {
                self.line.put_slice(&self.frame);
                // Also an empty rest would keep the whole buffer that it was read into.
                self.frame = Bytes::new();
                return None;
            }
            let event = self.end_of_line(length);
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// The line that ends after `length` bytes of the frame.
    fn end_of_line(&mut self, length: usize) -> Option<Event> {
        let mut line = self.frame.split_to(length);
        if !self.line.is_empty() {
            self.line.put_slice(&line);
            line = self.line.split().freeze();
        }
        if self.place == Place::Beginning && line.starts_with(BOM) {
            line.advance(BOM.len());
        }
        self.place = if self.frame[0] == b'\r' { Place::AfterReturn } else { Place::Inside };
        self.frame.advance(1);
        self.line(line)
    }

    fn line(&mut self, mut line: Bytes) -> Option<Event> {
        if line.is_empty() {
            return self.end_of_event();
        }
        if line[0] == b':' {
            line.advance(1);
            return Some(Event::Comment(line));
        }
        if line.starts_with(b"data") && matches!(line.get(4), None | Some(b':')) {
            line.advance(line.len().min(5));
            if line.first() == Some(&b' ') {
                line.advance(1);
            }
            self.data.add(line);
        }
        None
    }

    fn end_of_event(&mut self) -> Option<Event> {
        let data = match std::mem::replace(&mut self.data, Pending::Nothing) {
            Pending::Nothing => return None,
            Pending::Line(line) => line,
            Pending::Lines(lines) => lines.freeze(),
        };
        if data.trim_ascii() == b"[DONE]" {
            self.over();
            return Some(Event::Done);
        }
        (!data.is_empty()).then_some(Event::Data(data))
    }

    /// Lets go of all that it holds.
    fn over(&mut self) {
        self.state = State::Over;
        self.frame = Bytes::new();
        self.line = BytesMut::new();
        self.data = Pending::Nothing;
    }
}

// === impl Pending ===

impl Pending {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Line(line) => line.len(),
            Self::Lines(lines) => lines.len(),
        }
    }

    fn add(&mut self, line: Bytes) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::Line(line),
            Self::Line(first) => Self::Lines(BytesMut::from(first)).and(&line),
            lines @ Self::Lines(_) => lines.and(&line),
        }
    }

    fn and(mut self, line: &[u8]) -> Self {
        if let Self::Lines(lines) = &mut self {
            lines.put_u8(b'\n');
            lines.put_slice(line);
        }
        self
    }
}

/// An event with this data, as it is written. Data of several lines takes several `data` lines.
#[must_use]
pub fn data(data: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(data.len() + 8);
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        event.put_slice(b"data: ");
        event.put_slice(line);
        event.put_u8(b'\n');
    }
    event.put_u8(b'\n');
    event.freeze()
}

/// A comment, as it is written; `text` is what stands after the colon.
#[must_use]
pub fn comment(text: &[u8]) -> Bytes {
    let mut comment = BytesMut::with_capacity(text.len() + 3);
    comment.put_u8(b':');
    comment.extend(text.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    comment.put_slice(b"\n\n");
    comment.freeze()
}

#[cfg(test)]
mod tests;
