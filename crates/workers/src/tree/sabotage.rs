//! For tests: a panic inside a child of a server, as a bug in its code would be one.

use super::ServerHandle;
use crate::breaker::BreakerMessage;
use crate::health::HealthMessage;
use crate::server::ServerMessage;

/// A child of a server that can be made to panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The ServerWorker.
    Server,
    /// The HealthActor.
    Health,
    /// The BreakerActor.
    Breaker,
}

// === impl Part ===

impl Part {
    /// What the panic says.
    pub const WORDS: &str = "a bug, made for a test";
}

// === impl ServerHandle ===

impl ServerHandle {
    /// Has `part` panic when it comes to this message. Answers the incarnation that will; nothing if none runs just now.
    #[must_use]
    pub fn sabotage(&self, part: Part) -> Option<u64> {
        let siblings = self.server.siblings.borrow().clone();
        let (epoch, sent) = match part {
            Part::Server => {
                let (epoch, actor) = siblings.server.current()?;
                (epoch, actor.send_message(ServerMessage::Panic).is_ok())
            }
            Part::Health => {
                let (epoch, actor) = siblings.health.current()?;
                (epoch, actor.send_message(HealthMessage::Panic).is_ok())
            }
            Part::Breaker => {
                let (epoch, actor) = siblings.breaker.current()?;
                (epoch, actor.send_message(BreakerMessage::Panic).is_ok())
            }
        };
        sent.then(|| epoch.get())
    }
}
