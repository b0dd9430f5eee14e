//! What a server needs before it can run: a Python with `mlx_lm`, and a model.
//!
//! It answers two questions of whoever starts a server: which interpreter ([`python::resolve`]), and what to pass as
//! `--model` ([`model::resolve`]). Both work without a network when they can: an interpreter that has the module is
//! taken as it is, and `builtin:tiny` is a model made here, of half a megabyte, that any `mlx_lm.server` loads.
//!
//! *Architecture Invariant:* this crate never reads the environment of its process; `PATH` and `VIRTUAL_ENV` come in as
//! [`python::Surroundings`]. It never starts a server, and it uses no shell.

pub mod model;
pub mod progress;
pub mod python;

pub use progress::{Progress, Silent, Size, Step};
