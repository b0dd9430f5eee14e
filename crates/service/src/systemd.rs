//! systemd: the unit, and `systemctl`.

mod control;
mod escape;
mod unit;

pub(crate) use self::control::{forget, lingers, load, state, unload};
pub use self::escape::{argument, program, value};
pub(crate) use self::unit::runs;
pub use self::unit::text;
