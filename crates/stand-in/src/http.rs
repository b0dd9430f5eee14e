//! HTTP/1.0 as Python's `BaseHTTPRequestHandler` speaks it: one request, an answer, the end of the connection.

use crate::LABEL;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
};

/// A request whose head has been read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
}

/// The head of an answer, to be written before its body.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    status: u16,
    lines: String,
}

/// The most a body may be; the real server has no limit, a test should not need more.
const LONGEST_BODY: u64 = 1 << 30;

// === impl Request ===

impl Request {
    /// Reads up to the blank line; `None` when the client left before that.
    pub(crate) fn read(stream: TcpStream) -> io::Result<Option<Self>> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.by_ref().take(65_537).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.by_ref().take(65_537).read_line(&mut line)? == 0 || headers.len() > 100 {
                return Ok(None);
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        Ok(Some(Self { method, target, headers, reader }))
    }

    /// The first header of this lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads so many bytes of body.
    pub(crate) fn body(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        let read = self.reader.by_ref().take(length.min(LONGEST_BODY)).read_to_end(&mut body)?;
        match read as u64 == length {
            true => Ok(body),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The head as it came, for [`crate::control`]'s `last-request`.
    pub(crate) fn head_text(&self) -> String {
        let mut text = format!("{} {}\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a query parameter; no percent decoding.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

// === impl Head ===

impl Head {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, lines: String::new() }
    }

    /// The head of a JSON answer, with the CORS headers of the real server.
    pub(crate) fn json(status: u16, origins: &[String], origin: Option<&str>) -> Self {
        Self::new(status).with("Content-type", "application/json").cors(origins, origin)
    }

    pub(crate) fn event_stream(origins: &[String], origin: Option<&str>) -> Self {
        let head = Self::new(200).with("Content-type", "text/event-stream").with("Cache-Control", "no-cache");
        head.cors(origins, origin)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.lines.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    fn cors(self, origins: &[String], origin: Option<&str>) -> Self {
        let head = match origin {
            _ if origins.iter().any(|allowed| allowed == "*") => self.with("Access-Control-Allow-Origin", "*"),
            Some(origin) if origins.iter().any(|allowed| allowed == origin) => {
                self.with("Access-Control-Allow-Origin", origin).with("Vary", "Origin")
            }
            Some(_) | None => self,
        };
        head.with("Access-Control-Allow-Methods", "*").with("Access-Control-Allow-Headers", "*")
    }

    /// The bytes up to and with the blank line.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self { status, lines } = self;
        let reason = reason(*status);
        let server = format!("mlx-tree-stand-in ({LABEL})");
        format!("HTTP/1.0 {status} {reason}\r\nServer: {server}\r\n{lines}\r\n").into_bytes()
    }

    /// Writes head and body in one go and ends the connection.
    pub(crate) fn send(&self, stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes();
        bytes.extend_from_slice(body);
        stream.write_all(&bytes)?;
        stream.flush()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        404 => "Not Found",
        411 => "Length Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
