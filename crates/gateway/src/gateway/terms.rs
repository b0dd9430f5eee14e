//! What may change while a gateway serves, and how it does.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Gateway, budget};
use crate::admission::Limits;
use crate::divert::Fallback;
use crate::exchange::{Common, Continuation};
use crate::request::Catalogue;

/// What may change while a gateway serves.
pub struct Terms {
    /// The models that there are.
    pub catalogue: Catalogue,
    /// What each server is, for `x-mlx-tree-backend`, by its name.
    pub kinds: Vec<(Arc<str>, Arc<str>)>,
    /// How much goes to each of them, and how much waits.
    pub limits: Limits,
    /// See [`super::Plan::hold_budget`].
    pub hold_budget: Duration,
    /// See [`super::Plan::stall_timeout`].
    pub stall_timeout: Duration,
    /// See [`super::Plan::continuation`].
    pub continuation: Continuation,
    /// Who else may answer.
    pub fallback: Option<Arc<dyn Fallback>>,
}

// === impl Gateway ===

impl Gateway {
    /// Goes by `terms` from now on. A request that has begun goes on by those that it began with, and what waits keeps its
    /// place; only how many may be in flight holds for all at once.
    pub fn change(&self, terms: Terms) {
        let Terms { catalogue, kinds, limits, hold_budget, stall_timeout, continuation, fallback } = terms;
        let before = self.common();
        let common = Common {
            catalogue,
            ending: before.ending.clone(),
            max_queue: limits.max_queue,
            hold_budget,
            stall_timeout,
            open_after: before.open_after,
            continuation,
            observer: Arc::clone(&before.observer),
            fallback,
        };
        *self.common.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(common);
        for route in self.routes.values() {
            if let Some((_, kind)) = kinds.iter().find(|(server, _)| *server == route.server) {
                route.set_kind(kind);
            }
            route.retries(|retries| retries.set_limits(budget(limits.max_inflight)));
            route.gate.set_limits(limits);
        }
    }
}
