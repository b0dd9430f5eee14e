//! A new process without a copy of ours: it borrows our memory, and this thread waits, until it executes its program.
//!
//! To fork a process of some megabytes takes longer than to execute a small program, because its page tables are copied and
//! each page that we write next is copied too. The standard library spares itself that only when nothing is to be done
//! between fork and exec. By `clone3`, which also lets the child be *born* in its control group: to be moved there later
//! takes 14 ms, during which nobody on the machine can fork, and what it had started by then would stay outside.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::libc;

/// What the new process does: it executes a program or ends itself.
pub(crate) type Body = unsafe extern "C" fn(*const c_void) -> !;

/// Starts a process that calls `body(argument)`; returns its pid when it has executed a program or has ended. It is born
/// inside `cgroup`, if one is given.
///
/// # Errors
/// What the system says; [`io::ErrorKind::Unsupported`] where this way is not known.
///
/// # Safety
/// `body` runs in our memory and on this thread's stack, with its thread-local storage, while the other threads run on. It
/// must be async-signal-safe, must neither allocate nor unwind, and may write to nothing but its own frames and what
/// `argument` leads to. All signals are blocked when it begins, and our handlers are still set: it must restore the default
/// dispositions before it unblocks one.
#[allow(unsafe_code, reason = "there is no safe form of it")]
pub(crate) unsafe fn vfork(cgroup: Option<BorrowedFd<'_>>, body: Body, argument: *const c_void) -> io::Result<i32> {
    // SAFETY: an all-zero structure asks for nothing.
    let mut request: libc::clone_args = unsafe { std::mem::zeroed() };
    request.flags = (libc::CLONE_VM | libc::CLONE_VFORK).unsigned_abs().into();
    request.exit_signal = libc::SIGCHLD.unsigned_abs().into();
    if let Some(cgroup) = cgroup {
        // The constant does not fit the type that libc gives it everywhere.
        const CLONE_INTO_CGROUP: u64 = 1 << 33;
        request.flags |= CLONE_INTO_CGROUP;
        request.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // A handler of ours must not run in the child: it would act on our memory in our name.
    let before = set_signal_mask(u64::MAX);
    // SAFETY: no stack is given, so the child goes on with ours, below this frame, which waits; the rest is our caller's.
    let outcome = unsafe { clone3(&request, body, argument) };
    set_signal_mask(before);
    match i32::try_from(outcome) {
        Ok(pid) if pid > 0 => Ok(pid),
        Ok(error) => Err(io::Error::from_raw_os_error(-error)),
        Err(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// By bare system call, because the C library keeps two signals out of every mask. Answers the mask before.
fn set_signal_mask(mask: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: the kernel reads and writes eight bytes each, which the variables have.
    #[allow(unsafe_code, reason = "there is no wrapper for the bare call")]
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(&mask),
            ptr::from_mut(&mut before),
            size_of::<u64>(),
        );
    }
    before
}

/// The call returns twice on one stack, so whatever the child does has to happen within this block: to the compiler it is a
/// function that is called from here and comes back with a number.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "see above")]
#[inline(never)]
unsafe fn clone3(request: &libc::clone_args, body: Body, argument: *const c_void) -> isize {
    let outcome: isize;
    // SAFETY: the stack is aligned for a call here, and the parent's half clobbers no more than the system call does.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, {argument}",
            "call {body}",
            "ud2",
            "2:",
            argument = in(reg) argument,
            body = in(reg) body,
            inlateout("rax") libc::SYS_clone3 as isize => outcome,
            in("rdi") ptr::from_ref(request),
            in("rsi") size_of::<libc::clone_args>(),
            // Not late: the child needs what is in the registers of `argument` and `body` after the system call.
            out("rcx") _,
            out("r11") _,
        );
    }
    outcome
}

/// As above.
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "see above")]
#[inline(never)]
unsafe fn clone3(request: &libc::clone_args, body: Body, argument: *const c_void) -> isize {
    let outcome: isize;
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x0, {argument}",
            "blr {body}",
            "brk #1",
            "2:",
            argument = in(reg) argument,
            body = in(reg) body,
            in("x8") libc::SYS_clone3 as isize,
            inlateout("x0") ptr::from_ref(request) => outcome,
            in("x1") size_of::<libc::clone_args>(),
        );
    }
    outcome
}

/// Elsewhere there is the ordinary way.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(unsafe_code, reason = "as its namesakes")]
unsafe fn clone3(_request: &libc::clone_args, _body: Body, _argument: *const c_void) -> isize {
    isize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::{Core, How};
    use crate::os::wait;

    /// Writes into the memory that it shares with its parent, and ends.
    #[allow(unsafe_code, reason = "the body of a child")]
    unsafe extern "C" fn count_up(counter: *const c_void) -> ! {
        // SAFETY: the test passes a counter that outlives the child.
        unsafe {
            (*counter.cast::<std::sync::atomic::AtomicI32>()).fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            libc::_exit(7);
        }
    }

    #[test]
    #[allow(unsafe_code, reason = "the thing under test")]
    fn the_child_runs_in_our_memory_while_we_wait_and_our_signal_mask_is_as_before() {
        let mask = set_signal_mask(0);
        set_signal_mask(mask);
        let counter = std::sync::atomic::AtomicI32::new(0);
        for round in 1..=50 {
            // SAFETY: the body touches the counter only.
            let pid = match unsafe { vfork(None, count_up, ptr::from_ref(&counter).cast()) } {
                Ok(pid) => pid,
                // A sandbox may forbid it.
                Err(error) => {
                    assert!(matches!(error.raw_os_error(), None | Some(libc::ENOSYS | libc::EPERM)), "{error}");
                    return;
                }
            };
            assert_eq!(counter.load(std::sync::atomic::Ordering::Relaxed), round);
            while !wait::has_ended(pid) {
                std::thread::yield_now();
            }
            assert_eq!(wait::reap(pid), (How::Code(7), Core::None));
        }
        assert_eq!(set_signal_mask(mask), mask);
    }
}
