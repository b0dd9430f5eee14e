//! The writing of events, well or as the faults of a stream ask for.

use crate::options::Stream;
use std::{
    io::{self, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

/// Writes events on a connection whose head is written.
#[derive(Debug)]
pub(crate) struct Events<'a> {
    connection: &'a mut TcpStream,
    faults: &'a Stream,
}

// === impl Events ===

impl<'a> Events<'a> {
    pub(crate) fn new(connection: &'a mut TcpStream, faults: &'a Stream) -> Self {
        Self { connection, faults }
    }

    pub(crate) fn data(&mut self, data: &str) -> io::Result<()> {
        let field = if self.faults.no_space { "data:" } else { "data: " };
        self.block(&format!("{field}{data}"))
    }

    pub(crate) fn comment(&mut self, text: &str) -> io::Result<()> {
        self.block(&format!(": {text}"))
    }

    fn block(&mut self, line: &str) -> io::Result<()> {
        let end = if self.faults.crlf { "\r\n\r\n" } else { "\n\n" };
        let block = format!("{line}{end}");
        for piece in self.pieces(block.as_bytes()) {
            self.connection.write_all(piece)?;
            self.connection.flush()?;
            if self.faults.split_utf8 {
                // Apart, so that the reader sees the pieces apart.
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// The bytes in one piece, or cut inside each character beyond ASCII.
    fn pieces<'b>(&self, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        match self.faults.split_utf8 {
            true => bytes.split_inclusive(|byte| *byte >= 0xc0).collect(),
            false => vec![bytes],
        }
    }
}
