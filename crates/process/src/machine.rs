//! What the machine has: its memory, what limits our part of it, and what it runs.

use crate::os;

/// The machine's memory at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All that there is.
    pub total: u64,
    /// What could be had without pushing anything out; `None` where the system does not say.
    pub available: Option<u64>,
    /// The space for what is pushed out, and how much of it is left; `None` where the system does not say.
    pub swap: Option<Swap>,
}

/// Space for what is pushed out of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap {
    /// All of it.
    pub total: u64,
    /// What is left.
    pub free: u64,
}

/// The machine's memory now; `None` if that cannot be read.
#[must_use]
pub fn memory() -> Option<Memory> {
    os::machine_memory()
}

/// The most memory that our control group may use, those above it included; `None` if nothing limits it, and on macOS.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    os::memory_limit()
}

/// The share of the last ten seconds, in percent, in which somebody had to wait for memory; `None` where the kernel does not
/// count that.
#[must_use]
pub fn memory_pressure() -> Option<f64> {
    os::memory_pressure()
}

/// The system in one line, such as `Debian GNU/Linux 12 (bookworm), x86_64` or `macOS 15.1, aarch64`.
#[must_use]
pub fn system() -> String {
    format!("{}, {}", os::system_name(), std::env::consts::ARCH)
}

/// How much memory the GPU may have wired, in bytes, where an operator has set that; macOS only.
#[must_use]
pub fn gpu_wired_limit() -> Option<u64> {
    os::gpu_wired_limit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_a_name() {
        let memory = memory().expect("it is told");
        assert!(memory.total > 64 << 20, "{memory:?}");
        assert!(memory.available.is_none_or(|available| available <= memory.total), "{memory:?}");
        assert!(system().ends_with(std::env::consts::ARCH), "{}", system());
    }
}
