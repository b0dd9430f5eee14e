//! The guard process itself: one thread, one pipe, one thing to do.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigHandler, Signal, signal};

use crate::identity::{Identity, Presence};
use crate::launch::{Grace, NONCE_VARIABLE};
use crate::marks::Marks;
use crate::orphan::{self, GroupNumber, Orphan};
use crate::os;

/// What is to be ended, by the pid of its leader.
type Protected = BTreeMap<i32, Orphan>;

/// What the hidden `guard` command runs: reads standard input until its end, then ends the groups
/// that are protected at that moment. Returns the exit code for the process: 0, or 70 when somebody
/// could not be ended.
///
/// Single-threaded, and needs no runtime. Ignores SIGINT, SIGTERM, SIGHUP and their like.
#[must_use]
pub fn guard_main() -> u8 {
    ignore_signals();
    // Stands in nobody's way when a directory is to be removed or a disk unmounted.
    let _ = nix::unistd::chdir("/");
    let mut protected = Protected::new();
    for line in std::io::stdin().lock().lines() {
        // Whatever ends the reading, it is the end; a torn last line was never confirmed to anybody.
        let Ok(line) = line else { break };
        follow(&mut protected, &line);
    }
    let orphans: Vec<Orphan> = protected.into_values().collect();
    if orphan::end(&orphans).left.is_empty() { 0 } else { 70 }
}

pub(super) fn protect_line(leader: &Identity, grace: Grace) -> String {
    format!("protect {leader} {}\n", grace.length().as_millis())
}

pub(super) fn release_line(leader: &Identity) -> String {
    format!("release {leader}\n")
}

/// Lines that make no sense are skipped: the guard has nobody to complain to.
fn follow(protected: &mut Protected, line: &str) {
    let mut words = line.split(' ');
    match (words.next(), words.next().map(str::parse::<Identity>), words.next().map(str::parse::<u64>)) {
        (Some("protect"), Some(Ok(leader)), Some(Ok(milliseconds))) => {
            let orphan = Orphan {
                marks: Marks { nonce: mark_of(&leader), lock: None },
                grace: Grace::new(Duration::from_millis(milliseconds)),
                number: GroupNumber::StillOurs,
                leader: Some(leader.clone()),
            };
            protected.insert(leader.pid, orphan);
        }
        (Some("release"), Some(Ok(leader)), None) => {
            protected.retain(|_, orphan| orphan.leader.as_ref() != Some(&leader));
        }
        _ => {}
    }
}

/// The mark can only be read while the leader lives, which is now. It executes its program just now, too, and for a moment of
/// that it has the environment of neither the old program nor the new one.
fn mark_of(leader: &Identity) -> Option<String> {
    const TRIES: u32 = 200;
    for _ in 0..TRIES {
        if leader.presence() != Presence::Alive {
            return None;
        }
        if let Some(mark) = os::variable(leader.pid, NONCE_VARIABLE) {
            return Some(mark);
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

/// A terminal's Ctrl-C and an init system's stop are for the supervisor, which will tell us by ending.
fn ignore_signals() {
    for number in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGPIPE,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        // SAFETY: "ignore" runs no code of ours.
        #[allow(unsafe_code, reason = "nix marks every change of a disposition unsafe")]
        let _ = unsafe { signal(number, SigHandler::SigIgn) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader() -> Identity {
        Identity { pid: 4242, start_time: 7, boot_id: "b".to_owned() }
    }

    #[test]
    fn what_is_said_is_understood() {
        let mut protected = Protected::new();
        follow(&mut protected, protect_line(&leader(), Grace::new(Duration::from_secs(3))).trim_end());
        let orphan = protected.get(&4242).expect("protected");
        assert_eq!(orphan.leader, Some(leader()));
        assert_eq!(orphan.grace, Grace::new(Duration::from_secs(3)));
        follow(&mut protected, release_line(&leader()).trim_end());
        assert!(protected.is_empty());
    }

    #[test]
    fn another_process_with_the_same_pid_is_not_released_in_its_stead() {
        let mut protected = Protected::new();
        follow(&mut protected, protect_line(&leader(), Grace::DEFAULT).trim_end());
        let other = Identity { start_time: 8, ..leader() };
        follow(&mut protected, release_line(&other).trim_end());
        assert_eq!(protected.len(), 1);
    }

    #[test]
    fn nonsense_is_skipped() {
        let mut protected = Protected::new();
        for line in ["", "protect", "protect 1:2:b", "protect -1:2:b 5", "protect 5:2:b x", "end 5:2:b", "release"] {
            follow(&mut protected, line);
        }
        assert!(protected.is_empty());
    }
}
