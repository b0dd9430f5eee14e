//! The calls themselves, each behind a safe function that owns its buffer.
#![allow(unsafe_code, reason = "C interfaces of macOS; every call states why it is sound")]

use std::ffi::{CStr, CString};
use std::mem::{MaybeUninit, size_of};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use nix::libc::{self, c_char, c_int, c_void};

const PROC_ALL_PIDS: u32 = 1;

unsafe extern "C" {
    // libproc.h; not in the libc crate.
    fn proc_listpidspath(
        kind: u32,
        info: u32,
        path: *const c_char,
        flags: u32,
        buffer: *mut c_void,
        size: c_int,
    ) -> c_int;
}

/// `None` when there is no such process, or it is not ours to look at.
pub(super) fn bsd_info(pid: i32) -> Option<libc::proc_bsdinfo> {
    const SIZE: c_int = size_of::<libc::proc_bsdinfo>() as c_int;
    /// Asks for zombies too.
    const ZOMBIES: u64 = 1;
    let mut info = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    // SAFETY: the buffer has the size that is passed, and all-zero is a valid value of its type.
    unsafe {
        let got = libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, ZOMBIES, info.as_mut_ptr().cast(), SIZE);
        (got == SIZE).then(|| info.assume_init())
    }
}

/// All pids of the machine.
pub(super) fn all_pids() -> Vec<i32> {
    // SAFETY: `read_pids` passes a buffer and its size in bytes, or null and 0 to ask for the size.
    read_pids(|buffer, size| unsafe { libc::proc_listpids(PROC_ALL_PIDS, 0, buffer, size) })
}

/// The processes that have this file open.
pub(super) fn pids_by_path(path: &Path) -> Vec<i32> {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return Vec::new() };
    // SAFETY: as above; `path` is a C string that outlives the call.
    read_pids(|buffer, size| unsafe { proc_listpidspath(PROC_ALL_PIDS, 0, path.as_ptr(), 0, buffer, size) })
}

fn read_pids(call: impl Fn(*mut c_void, c_int) -> c_int) -> Vec<i32> {
    /// Processes may appear between the question for the size and the answer.
    const SPARE: usize = 2048;
    // Not every call answers the question for the size; the spare room is enough for most machines then.
    let wanted = usize::try_from(call(ptr::null_mut(), 0)).unwrap_or(0);
    let mut pids = vec![0_i32; wanted / size_of::<i32>() + SPARE];
    let Ok(size) = c_int::try_from(pids.len() * size_of::<i32>()) else { return Vec::new() };
    let Ok(got) = usize::try_from(call(pids.as_mut_ptr().cast(), size)) else { return Vec::new() };
    pids.truncate(got / size_of::<i32>());
    pids.retain(|pid| *pid > 0);
    pids
}

/// See `ri_phys_footprint` in `sys/resource.h`.
pub(super) fn rusage(pid: i32) -> Option<libc::rusage_info_v4> {
    let mut usage = MaybeUninit::<libc::rusage_info_v4>::zeroed();
    // SAFETY: the flavour says which structure the buffer is; all-zero is a valid value of it. The
    // declared parameter type is that of an opaque pointer to any of them.
    unsafe {
        let failed = libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V4, usage.as_mut_ptr().cast());
        (failed == 0).then(|| usage.assume_init())
    }
}

/// Words and environment of a process of ours: see [`super::procargs`].
pub(super) fn procargs(pid: i32) -> Option<Vec<u8>> {
    let mut limit: c_int = 0;
    let mut size = size_of::<c_int>();
    let mut name = [libc::CTL_KERN, libc::KERN_ARGMAX];
    // SAFETY: `name` and the output have the lengths that are passed.
    let failed =
        unsafe { libc::sysctl(name.as_mut_ptr(), 2, (&raw mut limit).cast(), &raw mut size, ptr::null_mut(), 0) };
    if failed != 0 {
        return None;
    }
    let mut buffer = vec![0_u8; usize::try_from(limit).ok()?];
    let mut size = buffer.len();
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    // SAFETY: as above; the kernel writes at most `size` bytes and says how many.
    let failed =
        unsafe { libc::sysctl(name.as_mut_ptr(), 3, buffer.as_mut_ptr().cast(), &raw mut size, ptr::null_mut(), 0) };
    if failed != 0 {
        return None;
    }
    buffer.truncate(size);
    Some(buffer)
}

/// A sysctl that is a string.
pub(super) fn sysctl_text(name: &CStr) -> Option<String> {
    let mut buffer = [0_u8; 128];
    let mut size = buffer.len();
    // SAFETY: the name is a C string; the buffer has the length that is passed.
    let failed =
        unsafe { libc::sysctlbyname(name.as_ptr(), buffer.as_mut_ptr().cast(), &raw mut size, ptr::null_mut(), 0) };
    if failed != 0 {
        return None;
    }
    let text = CStr::from_bytes_until_nul(&buffer).ok()?;
    Some(text.to_str().ok()?.to_owned())
}

/// A sysctl that is a number of four or eight bytes.
pub(super) fn sysctl_number(name: &CStr) -> Option<u64> {
    let mut buffer = [0_u8; 8];
    let mut size = buffer.len();
    // SAFETY: the name is a C string; the buffer has the length that is passed.
    let failed =
        unsafe { libc::sysctlbyname(name.as_ptr(), buffer.as_mut_ptr().cast(), &raw mut size, ptr::null_mut(), 0) };
    // The machine is little-endian, so four bytes in front of zeros are the same number.
    (failed == 0 && (size == 4 || size == 8)).then(|| u64::from_le_bytes(buffer))
}

/// Mach time units are not nanoseconds on Apple silicon.
pub(super) fn mach_time(units: u64) -> Duration {
    #[allow(deprecated, reason = "libc points to the mach2 crate, which is not worth one call")]
    let (numerator, denominator) = {
        let mut base = libc::mach_timebase_info { numer: 1, denom: 1 };
        // SAFETY: it fills the structure that it is given.
        unsafe { libc::mach_timebase_info(&raw mut base) };
        (base.numer, base.denom)
    };
    let nanoseconds = u128::from(units) * u128::from(numerator) / u128::from(denominator.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}
