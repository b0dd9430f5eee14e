//! The MLX tree itself: ServerWorker, HealthActor, BreakerActor and the tree that joins them.
//!
//! Begin with [`tree`]: it is the picture in the README, in code.

pub mod activity;
pub mod availability;
pub mod breaker;
pub mod bus;
pub mod clock;
pub mod fallback;
pub mod health;
pub mod ollama;
mod residency;
pub mod server;
mod task;
pub mod tree;
mod usage;

/// The id of the supervised server in the tree.
pub const SERVER: &str = "server";
/// The id of its watcher.
pub const HEALTH: &str = "health";
/// The id of its breaker.
pub const BREAKER: &str = "breaker";
/// The id of the child that decides which servers are in memory.
pub const RESIDENCY: &str = "residency";
/// The id of the fallback's worker, if there is one.
pub const FALLBACK: &str = "fallback";
