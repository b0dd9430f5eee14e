//! The data plane: one OpenAI-compatible address that does not go down.
//!
//! ```text
//! client ─▶ front ─▶ request ─▶ admission ─▶ exchange ─▶ upstream ─▶ the server
//!           framing   validate    queue        replay        SSE
//!           limits    model       permits      relay   ╲─▶ divert ─▶ a fallback, if asked for
//! ```
//!
//! *Architecture Invariant:* the gateway never sees the tree. It has a `watch` of each [`Backend`], and an [`Observer`] that it
//! tells what happens; both are plugged in by the program.

mod alarm;

pub mod admission;
pub mod answer;
pub mod backend;
pub mod divert;
pub mod exchange;
pub mod front;
pub mod gateway;
pub mod refusal;
pub mod request;
pub mod upstream;

pub use backend::{Backend, BackendState, End, Ended, Observer};
pub use gateway::Gateway;
pub use refusal::{Code, Refusal};
