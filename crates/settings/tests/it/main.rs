//! Stories of whole configurations: files in a temporary directory, a made-up environment, some flags.

mod check;
mod documentation;
mod errors;
mod layering;
mod support;
