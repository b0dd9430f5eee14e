//! For tests of trees: children that play a script, and a recorder of what happened.
//!
//! Under tokio's paused clock a story of minutes takes milliseconds:
//!
//! ```
//! use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
//! use mlx_tree_supervision::{Backoff, Supervisor};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut events = EventRecorder::new();
//! let script = [Act::Crash; 6].into_iter().chain([Act::Ready]);
//! let supervisor = Supervisor::one_for_one()
//!     .events_into(events.sender())
//!     .child(MockChild::spec("server", script).backoff(Backoff::default()))
//!     .start()
//!     .await?;
//!
//! let ready = events.wait_for("child.ready", "server").await;
//! assert_eq!(ready.epoch.get(), 7);
//! assert_eq!(ready.at.since_origin().as_secs(), 2 + 4 + 8 + 16 + 32 + 60);
//! supervisor.stop().await;
//! # Ok(())
//! # }
//! ```

mod mock;
mod recorder;

pub use mock::{Act, MockChild, MockMessage};
pub use recorder::EventRecorder;
