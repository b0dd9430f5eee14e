//! Stories of whole configurations: files in a temporary directory, a made-up environment, some flags.

mod check;
mod documentation;
mod errors;
mod fallback;
mod gateway;
mod layering;
mod notify;
mod plan;
mod servers;
mod support;
