//! What works less well than it should, though the servers may serve: the `degraded` lines of the status document.
//!
//! Two sources are joined: the status of this moment, and what a [`Watch`] remembers of the events. What is said of both is a
//! pure function of them, [`degraded`].
//!
//! *Architecture Invariant:* nothing is decided by these lines. They tell a person, and the probe `/healthz`, that somebody
//! should look.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mlx_tree_api::{BreakerState, ChildState, Event, Fold, Kind, Sample, ServerState, Status};
use mlx_tree_workers::SERVER;

/// So long it is remembered that a child ended, or that somebody could not be told.
const LATELY: Duration = Duration::from_secs(300);

/// So many ends of a child within that are told.
const OFTEN: usize = 3;

/// More ends of one child are not remembered: a loop would make them many.
const REMEMBERED: usize = 64;

/// What the events have told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Of each child that has ended lately without having been asked to: how often, and why at last.
    pub(crate) ends: BTreeMap<String, (usize, String)>,
    /// Why the latest configuration was not taken.
    pub(crate) rejected: Option<String>,
    /// Who could not be told something lately, and why.
    pub(crate) untold: BTreeMap<String, String>,
    /// The fallback that cannot be asked, and why.
    pub(crate) fallback: Option<(String, String)>,
}

/// Remembers what the events tell.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ends: BTreeMap<String, VecDeque<(Instant, String)>>,
    rejected: Option<String>,
    untold: BTreeMap<String, (Instant, String)>,
    fallback: Option<(String, String)>,
}

/// The lines for a tree with this `status`, of which the events have told these `facts`.
#[must_use]
pub(crate) fn degraded(status: &Status, facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    let further = || status.servers.iter().skip(1);
    if status.breaker.state == BreakerState::Open {
        lines.push(told("the breaker is open", status.breaker.reason.as_deref()));
    }
    for server in further() {
        if server.breaker.state == BreakerState::Open {
            lines.push(told(&format!("the breaker of {} is open", server.name), server.breaker.reason.as_deref()));
        } else if server.state == ServerState::Failed {
            lines.push(told(&format!("the server {} is down for good", server.name), server.reason.as_deref()));
        }
    }
    let of_root = status.children.iter().map(|child| (child.id.clone(), child));
    let below = further()
        .flat_map(|server| server.children.iter().map(|child| (format!("{}/{}", server.name, child.id), child)));
    for (name, child) in of_root.chain(below).filter(|(_, child)| child.id != SERVER) {
        let (count, why) = facts.ends.get(&name).map_or((0, None), |(count, why)| (*count, Some(why.as_str())));
        let why = child.last_exit.as_deref().or(why);
        match child.state {
            // A supervisor below the root is held back with its server, of which there is a line already.
            ChildState::Suspended if !further().any(|server| server.name == child.id) => {
                lines.push(told(&format!("{name} has failed too often and is held back"), why));
            }
            ChildState::Down
            | ChildState::Starting
            | ChildState::Up
            | ChildState::Ready
            | ChildState::Stopping
            | ChildState::Waiting
            | ChildState::Suspended => {
                if count >= OFTEN {
                    lines.push(told(&format!("{name} has failed {count} times in the last 5 minutes"), why));
                }
            }
        }
    }
    if let Some(reason) = &facts.rejected {
        lines.push(told("the changed configuration was rejected, the old one goes on", Some(reason)));
    }
    if let Some((name, reason)) = &facts.fallback {
        lines.push(told(&format!("the fallback {name} cannot be asked"), Some(reason)));
    }
    for (to, reason) in &facts.untold {
        lines.push(told(&format!("{to} could not be notified"), Some(reason)));
    }
    lines
}

fn told(what: &str, why: Option<&str>) -> String {
    match why.map(str::trim).filter(|why| !why.is_empty()) {
        Some(why) => format!("{what}: {}", why.lines().next().unwrap_or_default()),
        None => what.to_owned(),
    }
}

// === impl Watch ===

impl Watch {
    /// What is known at `now`.
    pub(crate) fn facts(&self, now: Instant) -> Facts {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |at: &Instant| now.saturating_duration_since(*at) <= LATELY;
        let ends = state.ends.iter().filter_map(|(child, ends)| {
            let count = ends.iter().filter(|(at, _)| lately(at)).count();
            Some((child.clone(), (count, ends.back().filter(|_| count > 0)?.1.clone())))
        });
        Facts {
            ends: ends.collect(),
            rejected: state.rejected.clone(),
            untold: state
                .untold
                .iter()
                .filter(|(_, (at, _))| lately(at))
                .map(|(to, (_, reason))| (to.clone(), reason.clone()))
                .collect(),
            fallback: state.fallback.clone(),
        }
    }

    fn note(&self, child: &str, kind: &Kind, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match kind {
            Kind::ChildExited { reason } => {
                let ends = state.ends.entry(child.to_owned()).or_default();
                if ends.len() == REMEMBERED {
                    ends.pop_front();
                }
                ends.push_back((now, reason.clone()));
            }
            Kind::ConfigRejected { reason } => state.rejected = Some(reason.clone()),
            Kind::ConfigReloaded { changes } => {
                state.rejected = None;
                // Another one, or none: its worker tells what there is to tell of it.
                if changes.iter().any(|change| change.starts_with("fallback.")) {
                    state.fallback = None;
                }
            }
            Kind::NotifyUndelivered { to, reason } => {
                state.untold.insert(to.clone(), (now, reason.clone()));
            }
            Kind::FallbackUnavailable { name, reason } => state.fallback = Some((name.clone(), reason.clone())),
            Kind::FallbackReady { .. } => state.fallback = None,
            // Nothing else is remembered: the rest is in the status.
            _ => {}
        }
    }
}

impl Fold for Watch {
    fn event(&self, event: &Event) {
        self.note(&event.child, &event.kind, Instant::now());
    }

    fn sample(&self, _sample: &Sample<'_>) {}
}

#[cfg(test)]
#[path = "degraded/tests.rs"]
mod tests;
