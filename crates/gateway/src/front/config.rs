//! What the front is told: who may ask, and how much.

use std::net::SocketAddr;
use std::time::Duration;

use super::tokens::Tokens;

/// Who may ask, and how much.
#[derive(Debug, Clone, Default)]
pub struct FrontConfig {
    /// The names beside `localhost`, `127.0.0.1` and `[::1]` under which clients may ask. One without a port means the port
    /// that is listened on.
    pub hosts: Vec<String>,
    /// The web pages that may ask, as a browser names them: `http://localhost:3000`.
    pub origins: Vec<String>,
    /// The tokens, one of which a client must show. None: whoever can connect may ask.
    pub tokens: Tokens,
    /// How much of everything.
    pub limits: Limits,
}

/// How much of everything a client may have. The defaults are those of the documentation.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// How many of them are kept for requests that are answered at once ([`super::Route::Probe`]).
    pub reserved: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header fields of a request, at most 100.
    pub head_fields: usize,
    /// From the first byte of a head to its last.
    pub head_time: Duration,
    /// How long a connection may stay open without a request.
    pub idle_time: Duration,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// From the end of the head to the last byte of the body.
    pub body_time: Duration,
    /// Bytes a second, below which a body is too slow.
    pub body_rate: usize,
    /// How long a body may take before its rate counts.
    pub body_grace: Duration,
    /// Bytes of all bodies together.
    pub buffered_bytes: usize,
    /// How long a client may take nothing of what is written to it.
    pub write_time: Duration,
    /// How long a connection that we end stays half open, so that the client can read our last words.
    pub linger: Duration,
    /// How long accepting rests after it has failed.
    pub accept_pause: Duration,
}

/// Whether a front that listens on `address` must have tokens: whenever others than this machine's users can reach it.
#[must_use]
pub const fn needs_tokens(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            reserved: 16,
            head_bytes: 64 << 10,
            head_fields: 100,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            body_bytes: 32 << 20,
            body_time: Duration::from_secs(30),
            body_rate: 16 << 10,
            body_grace: Duration::from_secs(5),
            buffered_bytes: 256 << 20,
            write_time: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            accept_pause: Duration::from_millis(250),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S1.
    #[test]
    fn only_a_loopback_address_does_without_tokens() {
        let needs = |address: &str| needs_tokens(address.parse().expect("an address"));
        for loopback in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!needs(loopback), "{loopback}");
        }
        for open in ["0.0.0.0:1", "[::]:1", "192.168.1.2:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1", "[::ffff:0.0.0.0]:1"]
        {
            assert!(needs(open), "{open}");
        }
    }
}
