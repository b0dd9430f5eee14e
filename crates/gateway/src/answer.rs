//! The server's answers: server-sent events, what makes one whole, how one is assembled, and how a cut one is continued.

pub mod assemble;
pub mod body;
pub mod chunk;
pub mod continuation;
mod object;
pub mod plain;
pub mod sse;
pub mod transcript;

pub use body::{Body, Cut, Left, Sender};
