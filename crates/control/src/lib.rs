//! The control plane: status, events, logs and the operator's verbs over HTTP.
//!
//! Both ends of the wire live here, so that they cannot drift apart: [`Bound::serve`] answers, [`Client`] asks. What an operator
//! can have done is behind the [`Operator`] trait; this crate knows nothing of actors or processes.
//!
//! # Who may do what
//! Reading is open to whoever can reach the loopback address: status, events, measurements. The verbs, and the logs, which show
//! what the server wrote, need the token of [`Access`], which lies in the state directory for its owner's eyes only: the same
//! user needs no configuration, and nobody else gets in. A browser is kept out by its `Host` and `Origin` headers, whatever page it shows.

mod access;
mod client;
mod dashboard;
mod front;
mod guard;
mod operator;
mod pace;
mod routes;
mod server;

pub use access::{Access, AccessError, Token};
pub use client::{Client, ClientError, Events, Heard, Position};
pub use front::Limits;
pub use operator::{Done, Operator, Refusal, Verb};
pub use server::{Bound, ServeError, bind};
