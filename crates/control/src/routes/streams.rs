//! How many streams there are at once, and who may have one.

use std::sync::Arc;

use axum::http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Limits, Token, guard};

/// The places of streams.
#[derive(Debug)]
pub(super) struct Streams {
    all: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

/// One place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _open: Option<OwnedSemaphorePermit>,
}

// === impl Streams ===

impl Streams {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { all: Arc::new(Semaphore::new(limits.streams)), open: Arc::new(Semaphore::new(limits.open_streams)) }
    }

    /// A place for one who sends `headers`, if there is one. Without the token only a part of them can be had.
    pub(super) fn enter(&self, headers: &HeaderMap, token: &Token) -> Option<Place> {
        let open = match guard::admit_bearer(headers, token) {
            Ok(()) => None,
            Err(_) => Some(Arc::clone(&self.open).try_acquire_owned().ok()?),
        };
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Place { _all: all, _open: open })
    }
}
