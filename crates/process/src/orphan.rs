//! Ending processes that are not our children but certainly ours: what a dead supervisor left behind.
//!
//! Nobody protects the pid of somebody else's child, so nothing is signalled by number: every process
//! is named by its [`Identity`], which is checked each time, and a whole group is signalled only while
//! its leader is there to vouch for it. Blocking; used by the guard process and before the first start.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::exit::Survivor;
use crate::identity::{Identity, Presence};
use crate::launch::Grace;
use crate::marks::{Marks, survivor};
use crate::os::{self, Entry, Life};
use crate::signal::{self, Signal, Target};

/// How long the dead may take to become dead after KILL.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of one life whose supervisor is gone.
#[derive(Debug, Clone)]
pub(crate) struct Orphan {
    /// The leader of its group, dead or alive.
    pub(crate) leader: Option<Identity>,
    pub(crate) marks: Marks,
    /// Whether the group's number can still only be this group's when the leader is gone.
    pub(crate) number: GroupNumber,
    pub(crate) grace: Grace,
}

/// What the number of a group is worth once its leader is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupNumber {
    /// The group was there a moment ago, and a number is not given away while a group has members.
    StillOurs,
    /// It may have been given to others since: only marks count.
    MayBeReused,
}

/// How a process is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the group, whose leader is alive: with the leader.
    UnderLeader,
    /// By itself.
    Alone,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Who was found and asked to end.
    pub(crate) found: Vec<Survivor>,
    /// Who of them is alive still.
    pub(crate) left: Vec<Survivor>,
}

/// Ends all of them at once: TERM, CONT, each one's grace, KILL. Blocks until they are gone, or until
/// 3 s after the last KILL was due.
pub(crate) fn end(orphans: &[Orphan]) -> Outcome {
    let started = Instant::now();
    let mut asked = BTreeSet::new();
    let mut outcome = Outcome::default();
    let mut pause = Duration::from_millis(1);
    loop {
        let table = os::snapshot();
        let mut living = BTreeSet::new();
        let mut patience = true;
        for orphan in orphans {
            let since_start = started.elapsed();
            let members = orphan.members(&table);
            let firm = since_start >= orphan.grace.length();
            for (process, place) in &members {
                if asked.insert(process.pid) {
                    outcome.found.push(survivor(process.pid));
                    orphan.signal(process, *place, Signal::Term);
                    orphan.signal(process, *place, Signal::Continue);
                }
                if firm {
                    orphan.signal(process, *place, Signal::Kill);
                }
                living.insert(process.pid);
            }
            patience &= members.is_empty() || since_start < orphan.grace.length() + PATIENCE;
        }
        if living.is_empty() || !patience {
            outcome.left = living.into_iter().map(survivor).collect();
            return outcome;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

// === impl Orphan ===

impl Orphan {
    /// Everybody who certainly belongs to this life and is alive.
    fn members(&self, table: &[Entry]) -> Vec<(Identity, Place)> {
        let us = nix::unistd::getpid().as_raw();
        let since = self.leader.as_ref().map_or(0, |leader| leader.start_time);
        // Of another boot: everybody it meant is gone, and start times mean nothing.
        if self.leader.as_ref().is_some_and(|leader| leader.boot_id != crate::clock::boot_id()) {
            let lock = Marks { nonce: None, lock: self.marks.lock.clone() };
            return lock.bearers(0, table).into_iter().map(|process| (process, Place::Alone)).collect();
        }
        // The lock may be that of a life whose record was lost, and which is older than this leader.
        let bearers = self.marks.bearers(if self.marks.lock.is_some() { 0 } else { since }, table);
        let mut members: Vec<_> = bearers.into_iter().map(|process| (process, Place::Alone)).collect();
        if let Some(leader) = self.leader.as_ref().filter(|leader| self.owns_number(leader)) {
            let group = table.iter().filter(|entry| {
                entry.pgid == leader.pid && entry.life == Life::Alive && entry.start_time >= since && entry.pid != us
            });
            let group: Vec<Identity> = group.map(|entry| Identity::from(*entry)).collect();
            let place = if group.contains(leader) { Place::UnderLeader } else { Place::Alone };
            members.retain(|(process, _)| !group.contains(process));
            members.extend(group.into_iter().map(|process| (process, place)));
        }
        members
    }

    fn owns_number(&self, leader: &Identity) -> bool {
        match leader.presence() {
            Presence::Alive | Presence::Zombie => true,
            Presence::Reused => false,
            Presence::Gone => self.number == GroupNumber::StillOurs,
        }
    }

    /// A living leader stands for its whole group: each gets one TERM, and what is forked at this very
    /// moment is reached, too.
    fn signal(&self, process: &Identity, place: Place, signal: Signal) {
        let target = match place {
            Place::UnderLeader if self.leader.as_ref() == Some(process) => Target::Group(process),
            Place::UnderLeader => return,
            Place::Alone => Target::Process(process),
        };
        // That it is gone meanwhile is what is wanted; what cannot be signalled shows as left.
        let _ = signal::send(target, signal);
    }
}
