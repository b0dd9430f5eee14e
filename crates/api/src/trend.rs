//! What was measured lately, for those who draw it.

use serde::{Deserialize, Serialize};

/// The last minutes of every server, in equal steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Seconds from one point to the next.
    pub step_s: f64,
    /// One for each server, the default one first.
    pub servers: Vec<ServerTrend>,
}

/// The last minutes of one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerTrend {
    /// Its name.
    pub server: String,
    /// Oldest first; the last one is of now.
    pub points: Vec<Point>,
    /// Its phases, oldest first, each with the moment in which it began.
    pub phases: Vec<PhaseBegan>,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When it ended, as an RFC 3339 stamp.
    pub at: String,
    /// Memory of the process group, in bytes; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_bytes: Option<u64>,
    /// Processor time used, in cores.
    pub cpu_cores: f64,
    /// Tokens in each second.
    pub tokens_per_s: f64,
    /// Requests that the server worked on at its end.
    pub in_flight: u64,
    /// Requests that waited at its end.
    pub queued: u64,
}

/// A phase, and when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseBegan {
    /// The phase, in the words of the status document.
    pub phase: String,
    /// When, as an RFC 3339 stamp.
    pub at: String,
}
