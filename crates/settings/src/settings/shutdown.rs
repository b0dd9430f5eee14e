//! `[shutdown]`: how the server is stopped.

use std::time::Duration;

use crate::reader::Section;
use crate::value::span;

/// How much time the server has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The same for a server that hangs already.
    pub hung_grace: Duration,
}

impl ShutdownSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self { grace: section.read("grace", span), hung_grace: section.read("hung_grace", span) }
    }
}
