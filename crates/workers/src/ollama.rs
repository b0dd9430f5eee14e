//! Ollama as a child of the tree: looks after the fallback, and makes room before the server loads its model again.

use std::time::Duration;

use mlx_tree_supervision::{Backoff, ChildSpec};

use crate::FALLBACK;
use crate::fallback::{FallbackArguments, FallbackKind, FallbackLinks, FallbackWorker};

/// Ollama, which runs by itself. The tree neither starts nor stops it.
pub struct Ollama;

// === impl Ollama ===

impl Ollama {
    /// So long before a start of the server its memory is made free.
    pub const LEAD: Duration = Duration::from_secs(5);

    /// The spec lives with the child. It is ready once started: an Ollama that is down is no reason to end anything.
    pub fn child_spec(links: FallbackLinks) -> ChildSpec {
        ChildSpec::actor(FALLBACK, move |context| {
            let kind = FallbackKind::Ollama { lead: Self::LEAD };
            (FallbackWorker, FallbackArguments { context, kind, links: links.clone() })
        })
        .backoff(Backoff::default())
    }
}
