//! Which child an actor is.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use ractor::ActorId;

use crate::Epoch;
use crate::core::Key;

/// The actors that run, and the incarnations that they are.
pub(super) type Actors = HashMap<ActorId, (Key, Epoch), BuildHasherDefault<PidHasher>>;

/// Actors are numbered one after the other, by nobody who means harm, so a multiplication spreads them well enough.
#[derive(Default)]
pub(super) struct PidHasher(u64);

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

    fn write_isize(&mut self, discriminant: isize) {
        self.write_u64(discriminant.unsigned_abs() as u64);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}
