//! The cases of OTP's `supervisor_SUITE` that apply here, under their names, played by real actors on a paused clock.
//!
//! What the golden cases compare event by event is not repeated in full; here each case says in a sentence what it is about.

mod admin;
mod exits;
mod log;
mod restarts;
mod scale;
mod significance;
mod start;
mod stop;
mod tree;
mod util;
