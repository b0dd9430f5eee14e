//! Time that no one can set back: the monotonic clock, and the name of the boot it counts from.

use std::sync::OnceLock;
use std::time::Duration;

use crate::os;

/// Time since an arbitrary point at or near boot, on `CLOCK_MONOTONIC`.
///
/// Two readings within one boot may be subtracted, also across processes; readings of different
/// boots (see [`boot_id`]) may not be compared.
#[must_use]
pub fn since_boot() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    // Cannot fail for this clock on either system; zero is the honest answer if it ever does.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The identifier of this boot: a process identity recorded under another one is stale.
///
/// Linux: `/proc/sys/kernel/random/boot_id`. macOS: `kern.bootsessionuuid`. "unknown" where
/// neither can be read, which makes all identities of this machine belong to one boot.
#[must_use]
pub fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| os::boot_id().unwrap_or_else(|| "unknown".to_owned()))
}
