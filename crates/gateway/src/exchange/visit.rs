//! A request's stay at a server, told at its beginning and at its end, however it ends.

use std::sync::Arc;

use mlx_tree_api::{AttemptEnd, Sample};

use super::verdict::Fault;
use crate::backend::Observer;
use crate::front::RequestId;

/// One stay. What nobody says an end of was given up: dropped, it is told so.
pub(crate) struct Visit {
    observer: Arc<dyn Observer>,
    server: Arc<str>,
    request: RequestId,
    epoch: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been sent.
    Outside,
    Inside,
    Over,
}

// === impl Visit ===

impl Visit {
    /// Of `request` at incarnation `epoch` of `server`. Nothing is told yet.
    pub(crate) fn new(observer: Arc<dyn Observer>, server: Arc<str>, epoch: u64, request: RequestId) -> Self {
        Self { observer, server, request, epoch, stage: Stage::Outside }
    }

    /// The request is sent.
    pub(crate) fn begin(&mut self) {
        self.stage = Stage::Inside;
        let Self { server, epoch, request, .. } = self;
        self.observer.sample(&Sample::AttemptBegan { server, epoch: *epoch, request: request.as_str() });
    }

    /// It has ended so. What has not begun has no end, and what has ended has no second one.
    pub(crate) fn end(&mut self, end: AttemptEnd) {
        if std::mem::replace(&mut self.stage, Stage::Over) == Stage::Inside {
            let Self { server, epoch, request, .. } = self;
            self.observer.sample(&Sample::AttemptEnded { server, epoch: *epoch, request: request.as_str(), end });
        }
    }

    /// It has failed so.
    pub(crate) fn failed(&mut self, fault: &Fault) {
        self.end(match fault {
            Fault::Rejected { .. } => AttemptEnd::Answered,
            Fault::Died | Fault::Ended | Fault::Bad(_) | Fault::Stalled => AttemptEnd::Broken,
            Fault::Ending | Fault::Exhausted => AttemptEnd::Abandoned,
        });
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.end(AttemptEnd::Abandoned);
    }
}
