//! Why a server went down: a report for every exit, kept in files, and told in plain words.
//!
//! ```text
//!  events, samples ──▶ Ledger (pure) ──cases──▶ Recorder's task ──▶ Shelf: state_dir/reports/ID.json
//!                                                    ▲ last lines, machine        │
//!                                                 Subject                         ▼
//!                                                              tell: plain words, with Advice by reason
//! ```
//!
//! The [`Recorder`] hears everything in its order and remembers a bounded part of it. When a server goes down it opens a case;
//! a second later, off the control path, it asks its its [`Subject`] for the rest and writes the report down. What becomes of the
//! requests that were in flight, and when the server is back, is added as it happens.
//!
//! *Architecture Invariant:* no report holds a prompt, a header or an answer. What the server itself wrote is in it as it is in
//! the log book: escaped and cut.
//!
//! *Architecture Invariant:* nothing waits for a report, and no failure to write one is more than a line in the log.

mod advice;
mod group;
mod ledger;
mod recorder;
mod report;
mod shelf;
mod tell;

pub use advice::{Advice, advice};
pub use group::{Group, group};
pub use ledger::Subject;
pub use recorder::Recorder;
pub use report::{BreakerThen, Decision, Fate, How, Machine, Outcome, Recovery, Report, SCHEMA, Usage, Way};
pub use shelf::{Limits, Shelf, Unreadable};
pub use tell::{Now, tell_all, tell_one};
