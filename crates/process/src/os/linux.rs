//! Linux: `/proc`, pidfd, close_range.

mod table;

pub(crate) use self::table::{carries, command, entry, group_members, started_since};

use std::fs;

/// See [`crate::clock::boot_id`].
pub(crate) fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}
