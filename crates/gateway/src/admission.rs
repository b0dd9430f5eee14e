//! Who may go to the server now, who waits, and who is told to come back: the queue, the permits and the budgets.
//!
//! There is a [`Gate`] before each server. What it does with an [`Entry`] follows from the server's state:
//!
//! ```text
//!              Ready                          Restarting, Asleep, BreakerOpen, Yielding
//!        ┌──────────────┐  not ready any more: ┌──────────────┐
//!        │     OPEN     │  permits are void    │   HOLDING    │  refused at once: whoever cannot be let in
//!        │ let in up to │ ───────────────────▶ │ all wait     │  before its deadline, as far as can be told
//!        │ the limit,   │ ◀─────────────────── │              │  (a breaker without a known end: everybody)
//!        │ others wait  │  Ready: oldest first │              │  Asleep: the tree is told that it is wanted
//!        └──────┬───────┘                      └──────┬───────┘
//!               │ Finishing, Draining:                │ Stopped, Finishing, Draining
//!               │ what is in flight ends              │
//!               ▼                                     ▼
//!        ┌────────────────────────────────────────────────────┐
//!        │ SHUT   those who wait are told, newcomers as well  │   (Ready, Restarting … open or hold it again)
//!        └────────────────────────────────────────────────────┘
//! ```
//!
//! and an entry goes this way:
//!
//! ```text
//!              room, and nobody waits                        finish(..) ─▶ free
//!   enter ──────────────────────────────────▶ Permit ─────── linger(d) ─▶ free after d
//!     │                                  ▲       │           dropped   ─▶ free after linger_max
//!     ├─▶ waits ── its turn ─────────────┘       │
//!     │     ├──── its deadline ──▶ queue_timeout └─ the incarnation is over: counts no more, gone() resolves
//!     │     ├──── evicted ───────▶ client_share_exceeded            │
//!     │     ├──── news ──────────▶ backend_*, shutting_down         ▼
//!     │     └──── dropped ───────▶ nothing            enter again, with its Seq: before all that had no turn yet
//!     └─▶ Denied: full, too late, or shut
//! ```
//!
//! * *Order.* Those who come back, oldest first; then a turn for each client, first come first served within one. The next in
//!   order is never overtaken, so nobody starves.
//! * *How many.* `max_inflight`; after a death with several in flight one, and one more for each stable stretch; after a
//!   recovery one until the first success. A suspect, which was in flight at a death, runs alone.
//! * *Full.* A newcomer takes the place of the youngest entry of the client that has most, if it has fewer itself even so;
//!   else it is refused. One that comes back is not refused for that: there are no more of those than were in flight.
//! * *Yielding.* Nothing new goes in, but what is in flight goes on: it is the one way to hold that voids no permits.
//! * *Epochs.* A permit belongs to one incarnation of the server. When that is over its slot is gone, and whatever is said of
//!   it later changes nothing: it can neither free nor block a slot of the next one.
//!
//! The decisions are a machine that is given the time (`machine`, with `queue`, `slots`, `pace` and `estimate` as its parts);
//! [`Gate`] puts it under a lock. [`RetryBudget`] and [`Quarantine`] are machines of the same kind, for whoever decides about
//! second attempts.
//!
//! *Architecture Invariant:* nothing in here knows what a request says. It is a client, a deadline, an age and a suspicion.

mod budget;
mod client;
mod denied;
mod entry;
mod estimate;
mod gate;
mod limits;
mod machine;
mod pace;
mod quarantine;
mod queue;
mod slots;

pub use budget::{BudgetLimits, Retry, RetryBudget};
pub use client::ClientKey;
pub use denied::{Denied, Hindrance};
pub use entry::{Entry, Outcome, Seq, Standing};
pub use gate::{Gate, Permit};
pub use limits::Limits;
pub use machine::Snapshot;
pub use pace::Limited;
pub use quarantine::{Quarantine, QuarantineLimits, Verdict};
