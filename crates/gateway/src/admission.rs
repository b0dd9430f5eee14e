//! Who may go to the server now, who waits, and who is told to come back: the queue, the permits and the budgets.

mod client;

pub use client::ClientKey;
