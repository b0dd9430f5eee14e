//! `[shutdown]`: how the server is stopped.

use std::time::Duration;

use crate::plan::Diff;
use crate::reader::Section;
use crate::value::{duration, span};

/// How much time the server and its clients have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The same for a server that hangs already.
    pub hung_grace: Duration,
    /// How long requests that are in flight may take to finish.
    pub drain: Duration,
}

impl ShutdownSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            grace: section.read("grace", span),
            hung_grace: section.read("hung_grace", span),
            drain: section.read("drain", duration),
        }
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { grace, hung_grace, drain } = self;
        diff.live("grace", grace, &new.grace);
        diff.live("hung_grace", hung_grace, &new.hung_grace);
        diff.live("drain", drain, &new.drain);
    }
}
