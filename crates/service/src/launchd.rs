//! launchd: the property list, and `launchctl`.

mod control;
mod plist;

pub(crate) use self::control::{load, state, unload};
pub(crate) use self::plist::runs;
pub use self::plist::text;
