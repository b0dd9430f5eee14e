//! The configuration of a front as its connections need it: the latest, made ready once for all of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::config::{FrontConfig, Limits};
use super::door::Door;

/// What holds for one request, whatever changes meanwhile.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) door: Door,
    pub(super) limits: Limits,
}

/// Where the latest terms are looked up.
#[derive(Debug)]
pub(super) struct Book {
    address: SocketAddr,
    config: watch::Receiver<FrontConfig>,
    page: Mutex<Page>,
}

#[derive(Debug)]
struct Page {
    config: watch::Receiver<FrontConfig>,
    terms: Arc<Terms>,
}

// === impl Terms ===

impl Terms {
    fn of(config: &FrontConfig, address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { door: Door::new(config, address), limits: config.limits.clone() })
    }
}

// === impl Book ===

impl Book {
    /// The book of a front that listens on `address`.
    pub(super) fn new(mut config: watch::Receiver<FrontConfig>, address: SocketAddr) -> Self {
        let terms = Terms::of(&config.borrow_and_update(), address);
        Self { address, page: Mutex::new(Page { config: config.clone(), terms }), config }
    }

    /// The latest terms.
    pub(super) fn now(&self) -> Arc<Terms> {
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing can change any more once the sender is gone.
        if page.config.has_changed().unwrap_or(false) {
            let terms = Terms::of(&page.config.borrow_and_update(), self.address);
            page.terms = terms;
        }
        Arc::clone(&page.terms)
    }

    /// Resolves when they have changed since this was first called; never if they cannot.
    pub(super) fn changes(&self) -> watch::Receiver<FrontConfig> {
        self.config.clone()
    }
}
