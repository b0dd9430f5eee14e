//! Everything that the crate promises, with real processes.

#![allow(clippy::print_stdout, reason = "what was measured is shown, and never judged")]

mod end;
mod escape;
mod guard;
mod output;
mod spawn;
mod state;
mod stop;
mod support;
