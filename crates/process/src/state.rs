//! What outlives us on disk: who supervises this instance, which server runs, and what to do about
//! a server whose supervisor is gone.
//!
//! ```text
//! <state dir>  0700, ours, not a symlink
//!   supervisor.lock   held by the one supervisor of this instance; contains its pid
//!   server.lock       held, by inheritance, by the server and its descendants
//!   server.state      the Record: who the server is; a hint, the lock is the truth
//! ```

mod directory;
mod lock;
mod record;
mod settle;

pub use self::directory::{StateDir, StateError};
pub use self::lock::{InstanceError, InstanceLock, ServerLock, ServerLockError};
pub use self::record::Record;
pub use self::settle::{Settled, settle_orphan};
