//! When a fallback's model leaves the memory that it shares with the server: before the server loads, and not under a client.
//!
//! | a server | somebody is served there | nobody is, and the model has been used |
//! | --- | --- | --- |
//! | starts, loads or serves | stays, until the last of them is done | is unloaded |
//! | is started at a known time | stays | is unloaded so long before |
//! | is down, and nobody knows for how long | stays | stays |

use std::collections::BTreeMap;
use std::time::Duration;

use mlx_tree_api::FallbackUse;
use mlx_tree_policy::Monotonic;

/// Which models are in memory on our account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Residency {
    /// How many requests each model had been sent when it was unloaded last.
    settled: BTreeMap<String, u64>,
}

/// When the memory is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// A server has it, or is about to.
    Now,
    /// A server is started then.
    At(Monotonic),
    /// Nobody knows of any need.
    None,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Stay,
    /// Ask again then, or at the next change.
    Wait {
        /// When.
        until: Monotonic,
    },
    /// Unload this model.
    Unload {
        /// Its name.
        model: String,
        /// How many requests it has been sent, for [`Residency::on_unloaded`].
        begun: u64,
    },
}

// === impl Residency ===

impl Residency {
    /// What is to be done now. `lead` is how long before a start room is made.
    #[must_use]
    pub fn judge(&self, demand: Demand, usage: &FallbackUse, lead: Duration, now: Monotonic) -> Verdict {
        let used = usage.begun.iter().find(|(model, begun)| **begun > self.settled.get(*model).copied().unwrap_or(0));
        let Some((model, begun)) = used.filter(|_| usage.in_flight == 0) else { return Verdict::Stay };
        let near = match demand {
            Demand::Now => true,
            Demand::At(at) => at.saturating_since(now) <= lead,
            Demand::None => return Verdict::Stay,
        };
        match demand {
            Demand::At(at) if !near => Verdict::Wait { until: now + at.saturating_since(now).saturating_sub(lead) },
            Demand::Now | Demand::At(_) | Demand::None => Verdict::Unload { model: model.clone(), begun: *begun },
        }
    }

    /// A model is out of memory, after it had been sent so many requests.
    pub fn on_unloaded(&mut self, model: String, begun: u64) {
        self.settled.insert(model, begun);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAD: Duration = Duration::from_secs(5);

    fn at(second: u64) -> Monotonic {
        Monotonic::new(Duration::from_secs(second))
    }

    fn usage(in_flight: u32, begun: u64) -> FallbackUse {
        FallbackUse { in_flight, begun: BTreeMap::from([("m".to_owned(), begun)]) }
    }

    fn unload(begun: u64) -> Verdict {
        Verdict::Unload { model: "m".to_owned(), begun }
    }

    #[test]
    fn what_was_never_used_is_somebody_elses() {
        let residency = Residency::default();
        assert_eq!(residency.judge(Demand::Now, &FallbackUse::default(), LEAD, at(0)), Verdict::Stay);
    }

    #[test]
    fn room_is_made_before_a_start_and_at_the_latest_with_it() {
        let residency = Residency::default();
        assert_eq!(residency.judge(Demand::At(at(60)), &usage(0, 3), LEAD, at(0)), Verdict::Wait { until: at(55) });
        assert_eq!(residency.judge(Demand::At(at(60)), &usage(0, 3), LEAD, at(55)), unload(3));
        assert_eq!(residency.judge(Demand::At(at(60)), &usage(0, 3), LEAD, at(70)), unload(3), "it is overdue");
        assert_eq!(residency.judge(Demand::Now, &usage(0, 3), LEAD, at(0)), unload(3));
    }

    #[test]
    fn a_server_of_which_nobody_knows_when_it_comes_back_needs_no_room() {
        assert_eq!(Residency::default().judge(Demand::None, &usage(0, 3), LEAD, at(0)), Verdict::Stay);
    }

    #[test]
    fn nobody_is_cut_off() {
        assert_eq!(Residency::default().judge(Demand::Now, &usage(1, 3), LEAD, at(0)), Verdict::Stay);
    }

    #[test]
    fn it_is_unloaded_once_for_each_time_that_it_was_used() {
        let mut residency = Residency::default();
        residency.on_unloaded("m".to_owned(), 3);
        assert_eq!(residency.judge(Demand::Now, &usage(0, 3), LEAD, at(0)), Verdict::Stay);
        assert_eq!(residency.judge(Demand::Now, &usage(0, 4), LEAD, at(0)), unload(4));
    }
}
