//! The tree in a terminal, alive.
//!
//! ```text
//!  feed (a task): status · trend · events · log, again and again ─┐
//!  input (a thread): keys, mouse, resizes ────────────────────────┼─Message─▶ Model::update ─Effect─▶ quit, suspend, a verb
//!  a tick a second, signals ──────────────────────────────────────┘               │
//!                                                                                 ▼
//!                                                                            view(&Model) ─▶ Screen
//! ```
//!
//! [`Model`] and [`view`] are pure; what they need of the time they are given. [`run`] is the shell around them.
//!
//! *Architecture Invariant:* whatever ends the program (a key, a signal, a panic), the terminal is as it was.

mod feed;
mod input;
mod model;
mod run;
mod screen;
mod text;
mod view;

pub use model::{Colors, Effect, Key, Link, Message, Model, Options, Pointer, Tab};
pub use run::{Ended, TopError, run};
pub use screen::Screen;
pub use view::{SMALLEST, view};
