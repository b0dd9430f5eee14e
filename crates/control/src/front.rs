//! The side that callers see: connections, and how much of mlx-tree one caller may take up.
//!
//! ```text
//! TcpListener ─▶ accept ─▶ wire ─▶ hyper ─▶ turn ─▶ routes
//!                places    deadlines        pace    door, token
//! ```
//!
//! Two promises hold whoever calls, and however often. The operator gets in: a connection without a request gives way to a new
//! one, and streams, which stay, take only a part of the places. And the clients of the servers do not notice: callers without
//! the token share a pace, and whoever is above it waits a little and is told so.
//!
//! ```text
//!            first byte            whole head            answered, written
//!   Idle ───────────────▶ Head ───────────────▶ Busy ─────────────────────▶ Idle
//!    │ 75 s                │ 10 s                 │ ▲
//!    ▼                     ▼             too often│ │ refused
//!   closed               closed                   ▼ │
//!                                               Penance
//!   in each of them: nothing could be written for 30 s ─▶ closed
//!   Idle, Head, Penance and who takes nothing for 1 s give way to a new connection, the longest one first
//! ```

mod accept;
mod link;
mod turn;
mod wire;

use std::time::Duration;

pub(crate) use accept::run;

/// How much of mlx-tree callers may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many connections at once.
    pub connections: usize,
    /// So many of them may be streams; the rest is kept for questions that are answered at once.
    pub streams: usize,
    /// So many of the streams may be without the token; the rest is kept for its holders.
    pub open_streams: usize,
    /// So long a head may take to arrive.
    pub head: Duration,
    /// So long the body of a verb may take to arrive.
    pub body: Duration,
    /// So long a connection may be without a request.
    pub idle: Duration,
    /// So long a caller may take nothing of what is written to it.
    pub blocked: Duration,
    /// So long the tree's answer is waited for, where an answer is due at once.
    pub answer: Duration,
    /// A tree that does not answer itself for so long does not live. Less than what a prober waits, so that it hears why.
    pub round_trip: Duration,
    /// So many requests a second are answered to callers without the token, taken together …
    pub rate: u32,
    /// … and so many at once after a pause.
    pub burst: u32,
    /// So long a request above that waits for its refusal.
    pub penance: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            streams: 32,
            open_streams: 24,
            head: Duration::from_secs(10),
            body: Duration::from_secs(5),
            idle: Duration::from_secs(75),
            blocked: Duration::from_secs(30),
            answer: Duration::from_secs(5),
            round_trip: Duration::from_secs(2),
            rate: 100,
            burst: 300,
            penance: Duration::from_millis(100),
        }
    }
}
