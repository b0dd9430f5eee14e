//! One operating-system process group as an owned value: spawn, signal, await, reap, never leak.
//!
//! The question this crate answers: *how can a program own a server process so that no accident —
//! a crash of the server, of one of its workers, of an actor, of the whole supervisor — leaves a
//! process behind, and no signal ever reaches a stranger?*
//!
//! # Theory of operation
//!
//! * [`Launch`] says what to run: argv (never a shell), working directory and the *whole*
//!   environment. [`ProcessGroup::spawn`] starts it in a process group of its own.
//! * The child belongs to an **owner task**, not to the [`ProcessGroup`] handle. The handle only
//!   sends wishes (stop, kill) and waits. An actor that is killed, panics or forgets its handle
//!   therefore changes nothing about how the group ends: the owner task does TERM, CONT, grace,
//!   KILL, and is itself covered by a `Drop` should the runtime go away.
//! * When the leader exits, for whatever reason, the owner *does not reap it yet*. While the leader
//!   is a zombie its pid, and so the group's id, cannot be given to anybody else. Under that cover
//!   the rest of the group is killed; only then is the leader reaped, [`Launch::hold`]ed values are
//!   released, and [`ProcessGroup::exited`] resolves, in that order.
//! * Should this whole process be killed, the [`guard`] process — which reads a pipe whose only
//!   write end is ours — sees the end of the pipe and ends the group in our stead. Should the guard
//!   have been killed too, the next start finds the orphan by the lock that it inherited
//!   ([`state::ServerLock`]) and ends it ([`state::settle_orphan`]).
//!
//! ```text
//!  ProcessGroup ──wish──▶ owner task ──one kill function──▶ process group
//!  (handles)    ◀─exit──  (waits, ends, reaps)                   ▲
//!  Guard ───pipe──────▶ guard process ──on EOF───────────────────┘
//! ```
//!
//! Not done here: adopting and reaping strangers' orphans, should this program be process 1 of a
//! container. Run it under an init there (`docker run --init`).
//!
//! # One life
//!
//! ```no_run
//! use mlx_tree_process::state::{InstanceLock, Record, ServerLock, StateDir, settle_orphan};
//! use mlx_tree_process::{Grace, Guard, Launch, ProcessGroup};
//!
//! # async fn supervise() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = StateDir::open("/var/lib/mlx-tree/default")?;
//! let instance = InstanceLock::acquire(&dir)?; // one supervisor per instance
//! settle_orphan(&instance, Grace::DEFAULT).await?; // what an earlier one left behind
//! let guard = Guard::start([std::env::current_exe()?.into_os_string(), "guard".into()])?;
//!
//! let launch = Launch::new(["python3", "-m", "mlx_lm.server", "--port", "8080"])
//!     .env("PATH", "/usr/bin:/bin") // the whole environment: nothing is inherited
//!     .lock(ServerLock::acquire(&instance).await?); // inherited: locked while any of it lives
//! let group = ProcessGroup::spawn(launch)?;
//! guard.protect(group.identity(), Grace::DEFAULT)?;
//! Record { server: group.identity().clone(), port: 8080, nonce: group.nonce().into() }.write(&dir)?;
//!
//! let exit = group.exited().await; // or: group.stop(Grace::DEFAULT).await?
//! guard.release(group.identity())?;
//! println!("{exit}; last words: {:?}", group.tail().last_lines(3));
//! # Ok(())
//! # }
//! ```
//!
//! *Architecture invariant:* every signal sent by this program goes through one function,
//! [`signal::send`] (`signal.rs`); it refuses pid ≤ 1, ourselves, and identities that no longer match.
//!
//! *Architecture invariant:* nothing here knows what the server is; no HTTP, no policy, no retry.

pub mod clock;
pub mod exit;
pub mod group;
pub mod guard;
pub mod identity;
pub mod launch;
pub mod limits;
pub mod machine;
mod marks;
mod orphan;
mod os;
pub mod output;
pub mod port;
pub mod signal;
pub mod state;
pub mod usage;

pub use exit::{Asked, Exit, How, Survivor};
pub use group::{Condition, ProcessGroup, Stuck};
pub use guard::Guard;
pub use identity::Identity;
pub use launch::{CgroupUse, Grace, Launch, ResourceShortage, SpawnError};
pub use output::{Line, OutputLines, Stream, Tail};
