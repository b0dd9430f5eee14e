//! HTTP/1.1 as Go's server writes it: a length for what is whole, chunks for what is streamed, and the connection stays.

use std::{
    io::{self, Write},
    net::TcpStream,
};

/// Writes a whole answer.
pub(super) fn whole(mut stream: &TcpStream, status: u16, kind: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n", reason(status));
    stream.write_all((head + body).as_bytes())?;
    stream.flush()
}

/// Writes a whole answer of JSON.
pub(super) fn json(stream: &TcpStream, status: u16, body: &str) -> io::Result<()> {
    whole(stream, status, "application/json; charset=utf-8", body)
}

/// Writes an error as Ollama does: an object with one text.
pub(super) fn error(stream: &TcpStream, status: u16, text: &str) -> io::Result<()> {
    json(stream, status, &format!("{{\"error\":{}}}", crate::json::quote(text)))
}

/// A streamed answer.
#[derive(Debug)]
pub(super) struct Chunked<'a> {
    stream: &'a TcpStream,
}

// === impl Chunked ===

impl<'a> Chunked<'a> {
    pub(super) fn begin(mut stream: &'a TcpStream, kind: &str) -> io::Result<Self> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        Ok(Self { stream })
    }

    pub(super) fn send(&mut self, text: &str) -> io::Result<()> {
        write!(self.stream, "{:x}\r\n{text}\r\n", text.len())?;
        self.stream.flush()
    }

    pub(super) fn end(self) -> io::Result<()> {
        let mut stream = self.stream;
        stream.write_all(b"0\r\n\r\n")?;
        stream.flush()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
