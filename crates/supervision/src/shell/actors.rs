//! Which child an actor is.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use ractor::ActorId;

use crate::core::Key;

/// The actors that run, by their number on this node, and whose incarnations they are.
#[derive(Default)]
pub(super) struct Actors(HashMap<u64, Key, BuildHasherDefault<PidHasher>>);

/// Actors are numbered one after the other, by nobody who means harm, so a multiplication spreads them well enough.
#[derive(Default)]
struct PidHasher(u64);

// === impl Actors ===

impl Actors {
    pub(super) fn insert(&mut self, actor: ActorId, key: Key) {
        self.0.insert(actor.pid(), key);
    }

    pub(super) fn get(&self, actor: ActorId) -> Option<Key> {
        // Ours all run here; an actor of another node may have the same number.
        self.0.get(&actor.pid()).copied().filter(|_| actor.is_local())
    }

    pub(super) fn remove(&mut self, actor: ActorId) -> Option<Key> {
        if actor.is_local() { self.0.remove(&actor.pid()) } else { None }
    }
}

// === impl PidHasher ===

impl Hasher for PidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}
