//! The load: blocking sockets, kept alive, with as little parsing as an answer's end takes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::clock;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection, and what it has read.
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    buffer: Vec<u8>,
}

/// What came of a stream.
#[derive(Debug, Default)]
pub struct Streamed {
    /// From the question to the first token.
    pub first: Option<Duration>,
    /// From a token's departure at the server to its arrival, each.
    pub delays: Vec<Duration>,
    pub whole: bool,
}

/// A question as bytes.
pub fn question(address: SocketAddr, tokens: u32, pace: u32, kind: Kind) -> Vec<u8> {
    // The pace hides in a field that everybody passes on.
    let pace = if pace == 0 { String::new() } else { format!(r#","top_k":{pace}"#) };
    let stream = if kind == Kind::Stream { r#","stream":true"# } else { "" };
    let body = format!(r#"{{"model":"trivial","prompt":"hi","max_tokens":{tokens}{pace}{stream}}}"#);
    format!(
        "POST /v1/completions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// How an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Stream,
}

// === impl Connection ===

impl Connection {
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, address, buffer: vec![0; 64 << 10] })
    }

    /// Asks, and reads the whole answer. Answers how long that took, or nothing if it is no good answer.
    pub fn ask(&mut self, question: &[u8]) -> Option<Duration> {
        let start = Instant::now();
        self.stream.write_all(question).ok()?;
        let mut read = 0;
        let whole = loop {
            let more = self.stream.read(&mut self.buffer[read..]).ok()?;
            if more == 0 {
                break Close::Yes;
            }
            read += more;
            if is_whole(&self.buffer[..read]) {
                break Close::No;
            }
        };
        let took = start.elapsed();
        let good = self.buffer[..read].starts_with(b"HTTP/1.1 200") && is_whole(&self.buffer[..read]);
        let closes =
            whole == Close::Yes || contains(&self.buffer[..read.min(512)].to_ascii_lowercase(), b"connection: close");
        if closes {
            *self = Self::open(self.address).ok()?;
        }
        good.then_some(took)
    }

    /// Asks for a stream whose tokens tell when they were sent.
    pub fn stream(&mut self, question: &[u8]) -> Streamed {
        let mut streamed = Streamed::default();
        let start = Instant::now();
        if self.stream.write_all(question).is_err() {
            return streamed;
        }
        let mut unread = Vec::new();
        while let Ok(more @ 1..) = self.stream.read(&mut self.buffer) {
            let now = clock();
            unread.extend_from_slice(&self.buffer[..more]);
            while let Some(at) = unread.windows(2).position(|end| end == b"\n\n") {
                if let Some(sent) = sent_at(&unread[..at]) {
                    streamed.first.get_or_insert_with(|| start.elapsed());
                    streamed.delays.push(Duration::from_nanos(now.saturating_sub(sent)));
                }
                streamed.whole |= contains(&unread[..at], b"[DONE]");
                unread.drain(..at + 2);
            }
            if contains(&unread, b"\r\n0\r\n\r\n") {
                break;
            }
        }
        streamed
    }

    /// Asks for a stream and leaves it open; resolves with its first bytes.
    pub fn begin(mut self, question: &[u8]) -> Option<Self> {
        self.stream.write_all(question).ok()?;
        let more = self.stream.read(&mut self.buffer).ok()?;
        self.buffer[..more].starts_with(b"HTTP/1.1 200").then_some(self)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Close {
    Yes,
    No,
}

/// Whether these bytes are an answer to its end.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    match text.split_once("content-length: ") {
        Some((_, rest)) => {
            let length = rest.split("\r\n").next().and_then(|it| it.trim().parse::<usize>().ok());
            length.is_some_and(|length| bytes.len() >= head + 4 + length)
        }
        None if text.contains("transfer-encoding: chunked") => bytes.ends_with(b"\r\n0\r\n\r\n"),
        // Until the connection is closed.
        None => bytes.ends_with(b"data: [DONE]\n\n"),
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// When the token of an event was sent, if it tells.
fn sent_at(event: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(event).ok()?;
    let rest = &text[text.find(r#""text":"#)? + 7..];
    let rest = rest.trim_start().strip_prefix('"')?;
    rest[..rest.find('"')?].parse().ok()
}
