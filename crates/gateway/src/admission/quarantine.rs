//! Requests that kill: one that was in flight at two deaths is not served for a while.
//!
//! ```text
//!            a death            a death
//!   unknown ────────▶ suspect ────────▶ quarantined
//!      ▲   success, or │                     │ `lasts` after the last death
//!      │   `lasts`     │                     │
//!      └───────────────┴─────────────────────┘
//! ```

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::Standing;

/// The numbers of a [`Quarantine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineLimits {
    /// At how many deaths a request must have been in flight.
    pub deaths: u32,
    /// How long it is refused then, and how long a death is held against it.
    pub lasts: Duration,
    /// How many requests are remembered; beyond that, the ones whose last death is longest ago are forgotten.
    pub capacity: NonZeroUsize,
}

/// What has been in flight when the server died, by what identifies a request: `D` is a hash of its body.
#[derive(Debug, Clone)]
pub struct Quarantine<D> {
    limits: QuarantineLimits,
    records: HashMap<D, Record>,
    /// The same by age of their last death.
    ages: BTreeSet<(u64, D)>,
    next_age: u64,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    deaths: u32,
    /// The incarnation that died last.
    epoch: u64,
    until: Instant,
    age: u64,
}

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It may run.
    Clear(Standing),
    /// It must not.
    Quarantined {
        /// At how many deaths it has been in flight.
        deaths: u32,
        /// For how long it will be refused.
        remaining: Duration,
    },
}

// === impl QuarantineLimits ===

impl Default for QuarantineLimits {
    fn default() -> Self {
        Self {
            deaths: 2,
            lasts: Duration::from_secs(600),
            capacity: NonZeroUsize::new(1024).unwrap_or(NonZeroUsize::MIN),
        }
    }
}

// === impl Quarantine ===

impl<D: Copy + Eq + Ord + Hash> Quarantine<D> {
    /// Nothing is known of any request.
    #[must_use]
    pub fn new(limits: QuarantineLimits) -> Self {
        Self { limits, records: HashMap::new(), ages: BTreeSet::new(), next_age: 0 }
    }

    /// What is known of this one.
    pub fn verdict(&mut self, now: Instant, request: &D) -> Verdict {
        let Some(record) = self.records.get(request).copied() else { return Verdict::Clear(Standing::Fresh) };
        let remaining = record.until.saturating_duration_since(now);
        if remaining.is_zero() {
            self.forget(request);
            Verdict::Clear(Standing::Fresh)
        } else if record.deaths < self.limits.deaths {
            Verdict::Clear(Standing::Suspect)
        } else {
            Verdict::Quarantined { deaths: record.deaths, remaining }
        }
    }

    /// It was in flight when this incarnation died. Two that are equal and were in flight together count once.
    pub fn on_death(&mut self, now: Instant, epoch: u64, request: D) -> Verdict {
        let known = self.forget(&request).filter(|record| record.until > now);
        let deaths = match known {
            Some(record) if record.epoch == epoch => record.deaths,
            Some(record) => record.deaths.saturating_add(1),
            None => 1,
        };
        // Beyond what a clock can count it is simply not remembered.
        if let Some(until) = now.checked_add(self.limits.lasts) {
            self.make_room();
            let age = self.next_age;
            self.next_age += 1;
            self.records.insert(request, Record { deaths, epoch, until, age });
            self.ages.insert((age, request));
        }
        self.verdict(now, &request)
    }

    /// It was served, so it does not kill.
    pub fn on_success(&mut self, request: &D) {
        self.forget(request);
    }

    /// How many requests are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn make_room(&mut self) {
        while self.records.len() >= self.limits.capacity.get() {
            let Some((_, oldest)) = self.ages.pop_first() else { return };
            self.records.remove(&oldest);
        }
    }

    fn forget(&mut self, request: &D) -> Option<Record> {
        let record = self.records.remove(request)?;
        self.ages.remove(&(record.age, *request));
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUSPECT: Verdict = Verdict::Clear(Standing::Suspect);
    const FRESH: Verdict = Verdict::Clear(Standing::Fresh);

    fn quarantine(capacity: usize) -> Quarantine<u8> {
        let capacity = NonZeroUsize::new(capacity).expect("not zero");
        Quarantine::new(QuarantineLimits { capacity, ..QuarantineLimits::default() })
    }

    #[test]
    fn a_request_in_flight_at_two_deaths_is_refused_for_ten_minutes() {
        let (mut quarantine, now) = (quarantine(8), Instant::now());
        assert_eq!(quarantine.verdict(now, &1), FRESH);
        assert_eq!(quarantine.on_death(now, 1, 1), SUSPECT);
        let second = now + Duration::from_secs(5);
        let remaining = Duration::from_secs(600);
        assert_eq!(quarantine.on_death(second, 2, 1), Verdict::Quarantined { deaths: 2, remaining });
        assert_eq!(quarantine.verdict(second, &2), FRESH, "others are not affected");
        let last = second + Duration::from_millis(599_999);
        assert!(matches!(quarantine.verdict(last, &1), Verdict::Quarantined { .. }));
        assert_eq!(quarantine.verdict(second + remaining, &1), FRESH);
        assert!(quarantine.is_empty());
    }

    #[test]
    fn two_equal_requests_in_flight_at_one_death_are_suspect_not_guilty() {
        let (mut quarantine, now) = (quarantine(8), Instant::now());
        assert_eq!(quarantine.on_death(now, 1, 1), SUSPECT);
        assert_eq!(quarantine.on_death(now, 1, 1), SUSPECT);
    }

    #[test]
    fn a_suspect_that_is_served_is_cleared() {
        let (mut quarantine, now) = (quarantine(8), Instant::now());
        assert_eq!(quarantine.on_death(now, 1, 1), SUSPECT);
        quarantine.on_success(&1);
        assert_eq!(quarantine.on_death(now, 2, 1), SUSPECT);
    }

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let (mut quarantine, now) = (quarantine(2), Instant::now());
        for (epoch, request) in [(1, 1), (2, 2), (3, 1), (4, 3)] {
            assert_ne!(quarantine.on_death(now, epoch, request), FRESH);
        }
        assert_eq!(quarantine.verdict(now, &2), FRESH);
        assert!(matches!(quarantine.verdict(now, &1), Verdict::Quarantined { .. }));
        assert_eq!(quarantine.verdict(now, &3), SUSPECT);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_both_indexes_agree(
            deaths in proptest::collection::vec((0_u8..20, 0_u64..10, 0_u64..700, any::<bool>()), 0..200),
        ) {
            let (mut quarantine, mut now) = (quarantine(5), Instant::now());
            for (request, epoch, passed, served) in deaths {
                now += Duration::from_secs(passed);
                if served {
                    quarantine.on_success(&request);
                } else {
                    prop_assert_ne!(quarantine.on_death(now, epoch, request), FRESH);
                }
                prop_assert!(quarantine.len() <= 5);
                prop_assert_eq!(quarantine.len(), quarantine.ages.len());
            }
        }
    }
}
