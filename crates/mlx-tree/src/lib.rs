//! Keeps a local LLM server alive: an OTP-style supervision tree around `mlx_lm.server`, as a library.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use mlx_tree::settings::{Environment, Sources, load};
//!
//! let settings = load(&Sources::new(Environment::capture()))?.settings;
//! let tree = mlx_tree::Tree::new(settings).start().await?; // resolves when the server is ready, or says why not
//! println!("{}", tree.status().await.state);
//! tree.stop().await; // graceful, in reverse order
//! # Ok(())
//! # }
//! ```
//!
//! The program `mlx-tree` is this library with a command line. The supervisor itself is [`supervision`], which knows nothing
//! of servers; [`tree`] is the tree that joins the server, its watcher and its breaker.

mod assemble;
mod black_box;
mod degraded;
mod facade;
pub mod gateway;
mod prepare;
mod reload;

pub use assemble::{DEMO_KIND, DEMO_MODEL, DEMO_NOTE};
pub use facade::{Builder, StartError, Tree};
pub use gateway::{BindError, Door};
pub use mlx_tree_api as api;
pub use mlx_tree_control as control;
pub use mlx_tree_gateway as data_plane;
pub use mlx_tree_metrics as metrics;
pub use mlx_tree_notify as notify;
pub use mlx_tree_policy as policy;
pub use mlx_tree_process as process;
pub use mlx_tree_provision as provision;
pub use mlx_tree_reports as reports;
pub use mlx_tree_service as service;
pub use mlx_tree_settings as settings;
pub use mlx_tree_stand_in as stand_in;
pub use mlx_tree_supervision as supervision;
pub use mlx_tree_top as top;
pub use mlx_tree_workers::{self as workers, tree};
pub use prepare::{PrepareError, Prepared, prepare};
/// The actors that children are: whoever writes one needs this very version.
pub use ractor;
pub use reload::{ReloadError, Reloaded};

/// What the documents claim is compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/EXTENDING.md")]
    mod extending {}
}
