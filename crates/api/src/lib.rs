//! The nouns that leave the process: status, events, states, error bodies.
//!
//! Whoever watches mlx-tree from outside (a dashboard, a script, a log shipper) sees values of these types and no others.
//! They are plain data: nothing here decides, waits or does I/O.

mod error_body;
mod event;
mod fallback;
mod narrate;
mod probed;
mod sample;
mod states;
mod status;
mod trend;

pub use error_body::ErrorBody;
pub use event::{Event, Kind, Level};
pub use fallback::{FallbackModel, FallbackUse, FallbackView};
pub use mlx_tree_language::Language;
pub use narrate::narrate;
pub use probed::{Probed, Verdict};
pub use sample::{AttemptEnd, Fold, Probe, ProbeOutcome, RequestOutcome, Sample};
pub use states::{BreakerState, ChildState, FallbackState, Phase, ServerState};
pub use status::{
    Breaker, Child, ConfigStatus, Exit, Gate, Gateway, Health, JournalEntry, LimitedBy, Server, ServerStatus,
    StartMode, Status, Supervisor,
};
pub use trend::{PhaseBegan, Point, ServerTrend, Trend};
