//! The supervised server: its process as a child of the tree.
//!
//! ```text
//!  ServerWorker (one incarnation)                    HealthActor
//!    launch ──▶ process group ──exit──▶ diagnosis       │ Verdict{epoch}
//!    startup: /health, listener, canary, warm-up ──▶ ready()
//!    exits with a typed ServerFailure  ◀────────────────┘
//! ```

pub mod diagnosis;
mod failure;
mod guard;
pub mod job;
mod launch;
mod logbook;
pub mod probe;
pub mod profile;
mod recipe;
mod startup;
mod view;
mod worker;

pub use failure::ServerFailure;
pub use guard::GuardKeeper;
pub use launch::{Blueprint, PortChoice};
pub use logbook::LogBook;
pub use probe::WarmUp;
pub use recipe::{Recipe, Recipes};
pub use view::{End, Ended, ServerPhase, ServerView};
pub use worker::{ServerArguments, ServerMessage, ServerWorker};
