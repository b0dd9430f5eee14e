//! What has been counted and measured: events and samples in, Prometheus text and trends out.
//!
//! ```text
//!  Bus ──event──▶ ┌─────────┐            ┌──▶ render(status) ─▶ Prometheus text 0.0.4
//!      ──sample─▶ │ Metrics │─▶ Totals ──┤
//!                 └─────────┘   (pure)   └──▶ trend()        ─▶ the last minutes, in steps
//! ```
//!
//! What is true now (a state, a queue) is read from the status document when somebody asks; what has happened is added up here
//! as it happens. [`families`] lists all that there is.
//!
//! *Architecture Invariant:* no text of a client, of a server's output or of an error becomes a label. Labels are names of the
//! configuration and words of closed sets; a word that is of none is `other`.

mod catalogue;
mod histogram;
mod page;
mod render;
mod ring;
mod shell;
#[cfg(test)]
mod tests;
mod totals;
pub mod words;

pub use catalogue::{Family, Type, families};
pub use shell::{Metrics, Own};
