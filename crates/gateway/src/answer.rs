//! The server's answers: server-sent events, what makes one whole, how one is assembled, and how a cut one is continued.

pub mod body;

pub use body::{Body, Cut, Left, Sender};
