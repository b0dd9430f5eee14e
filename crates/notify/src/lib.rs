//! Who is told when something needs a human: webhooks, commands and desktop notifications, once and not too often.
//!
//! ```text
//!  bus ──event──▶ Notifier (a Fold) ──▶ one Desk for each target: what is told, and when (pure)
//!                                            │ Message
//!                                            ▼
//!                                        deliver: http · curl · command · desktop, with retries
//!                                            │ could not be delivered
//!                                            ▼
//!                                        notify.undelivered, and a line in the log
//! ```
//!
//! *Architecture Invariant:* nothing is lost in silence. What a desk has accepted is delivered, counted in a message that is
//! delivered, or told as `notify.undelivered`.
//!
//! *Architecture Invariant:* no notice is about notifying, so no failure feeds itself.
//!
//! *Architecture Invariant:* a notice holds mlx-tree's own words: no prompts, no output of the server, no secrets.

mod alarm;
mod deliver;
mod desk;
mod message;
mod notifier;
mod target;
mod words;

pub use deliver::{Failure, deliver_sample};
pub use desk::{Desk, Next};
pub use message::{Message, Notice, Source, Standing};
pub use notifier::Notifier;
pub use target::{Environment, Sink, Target, Url};
