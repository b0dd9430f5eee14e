//! Measurements: too many to be events, and remembered by nobody but those who add them up.

use std::time::Duration;

use crate::{Event, Phase};

/// One measurement. It is handed to every [`Fold`], and then forgotten.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Sample<'a> {
    /// A health check or a canary has been answered, or has not.
    Probed {
        /// The server.
        server: &'a str,
        /// What was asked.
        probe: Probe,
        /// Whether the answer was a good one.
        outcome: ProbeOutcome,
        /// How long it took.
        took: Duration,
    },
    /// What the server's process group uses.
    Used {
        /// The server.
        server: &'a str,
        /// Its incarnation.
        epoch: u64,
        /// Memory, in bytes.
        memory_bytes: u64,
        /// Processor time since it was started.
        cpu: Duration,
    },
    /// A server has come into another phase.
    Entered {
        /// The server.
        server: &'a str,
        /// The phase, as in the status document.
        phase: Phase,
    },
    /// A request begins to wait for its turn, because there is no room or no server.
    WaitBegan {
        /// The server.
        server: &'a str,
    },
    /// A request waits no longer: it had its turn, was refused, or its client has left.
    WaitEnded {
        /// The server.
        server: &'a str,
    },
    /// A request has been sent to a server.
    AttemptBegan {
        /// The server.
        server: &'a str,
        /// Its incarnation.
        epoch: u64,
        /// The request.
        request: &'a str,
    },
    /// A request is with that server no more.
    AttemptEnded {
        /// The server.
        server: &'a str,
        /// Its incarnation.
        epoch: u64,
        /// The request.
        request: &'a str,
        /// How it went.
        end: AttemptEnd,
    },
    /// A server has produced so many tokens (as far as can be counted from outside: events of a stream that carry text, or the
    /// usage of an answer).
    Tokens {
        /// The server.
        server: &'a str,
        /// How many.
        count: u64,
    },
    /// A request is over, for its client too.
    RequestEnded {
        /// The server that it was for; empty if it was refused before that was known.
        server: &'a str,
        /// The request.
        request: &'a str,
        /// How it went.
        outcome: RequestOutcome,
        /// The word of its refusal or error, if it was told one.
        code: Option<&'a str>,
        /// From its arrival to its end.
        took: Duration,
        /// From its arrival to the first byte of its answer, if there was one.
        first_byte: Option<Duration>,
        /// How long it waited for a server.
        waited: Duration,
        /// To how many incarnations it was sent.
        attempts: u32,
    },
}

/// What a server was asked to find out how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probe {
    /// Its health.
    Health,
    /// One token.
    Canary,
    /// One token of a fresh server, which has to load its model for it.
    FirstCanary,
}

/// Whether the answer was a good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeOutcome {
    /// It was.
    Good,
    /// It was not, or did not come in time.
    Missed,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptEnd {
    /// With a whole answer, whatever it says.
    Answered,
    /// It was cut off by the server's end or silence.
    Broken,
    /// The client has left, or mlx-tree has given it up.
    Abandoned,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// Answered by its server.
    Answered,
    /// Answered by the fallback, and labelled so.
    Diverted,
    /// Refused: it was itself wrong (a 4xx).
    Rejected,
    /// Not answered, for want of a server or of room (503, 429 and the like).
    Failed,
    /// Its client had seen a part, and was told that the rest will not come.
    Cut,
    /// Its client has left.
    Left,
}

/// Adds up events and samples. It is called from where they happen, in their order: it must be quick, must not wait, and must
/// not publish anything itself.
pub trait Fold: Send + Sync + 'static {
    /// Something has happened.
    fn event(&self, event: &Event);

    /// Something has been measured.
    fn sample(&self, sample: &Sample<'_>);
}

impl ProbeOutcome {
    /// Of a probe that came to `answer`.
    #[must_use]
    pub const fn of<T, E>(answer: &Result<T, E>) -> Self {
        match answer {
            Ok(_) => Self::Good,
            Err(_) => Self::Missed,
        }
    }
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),+ })+) => {
        $(impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands in labels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        })+
    };
}

words! {
    Probe { Health = "health", Canary = "canary", FirstCanary = "first_canary" }
    ProbeOutcome { Good = "good", Missed = "missed" }
    AttemptEnd { Answered = "answered", Broken = "broken", Abandoned = "abandoned" }
    RequestOutcome {
        Answered = "answered",
        Diverted = "diverted",
        Rejected = "rejected",
        Failed = "failed",
        Cut = "cut",
        Left = "left"
    }
}
