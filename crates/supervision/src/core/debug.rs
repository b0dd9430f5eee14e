//! What decides the machine's next steps, written out: for logs of what went wrong, and to tell states apart.

use std::fmt;

use super::child::{Node, State};
use super::mail::Mail;
use super::{Call, Supervisor};

struct Children<'a, P>(&'a Supervisor<P>);

// === impl Supervisor ===

/// Two machines with the same rules and policies that are written the same will behave the same. Left out is the past that
/// is only shown: counts of restarts, and how the last incarnation ended.
impl<P> fmt::Debug for Supervisor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("phase", &self.phase)
            .field("operation", &self.operation)
            .field("awaited", &self.awaited)
            .field("mail", &self.mail)
            .field("stop_waits", &self.stop_waits)
            .field("window", &self.window)
            .field("children", &Children(self))
            .finish_non_exhaustive()
    }
}

// === impl Children ===

impl<P> fmt::Debug for Children<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.0.table;
        f.debug_map().entries(table.in_order().map(|index| (index, &table[index]))).finish()
    }
}

// === impl Node ===

impl<P> fmt::Debug for Node<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Since when matters to a start timeout only.
        let since = match self.state {
            State::Starting(_) | State::Up => Some(self.since),
            State::Down
            | State::Ready
            | State::Stopping { .. }
            | State::Stuck { .. }
            | State::Waiting { .. }
            | State::Suspended { .. } => None,
        };
        f.debug_struct(self.id.as_str())
            .field("state", &self.state)
            .field("epoch", &self.epoch)
            .field("ran", &self.ran)
            .field("since", &since)
            .field("deadline", &self.deadline)
            .field("unread_exit", &self.unread_exit)
            .field("has_policy", &self.policy.is_some())
            .finish_non_exhaustive()
    }
}

// === impl Mail ===

impl<P> fmt::Debug for Mail<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit { key, epoch } => f.debug_struct("Exit").field("key", key).field("epoch", epoch).finish(),
            Self::Retry { key } => f.debug_struct("Retry").field("key", key).finish(),
            Self::Call { ticket, call } => f.debug_struct("Call").field("ticket", ticket).field("call", call).finish(),
            Self::Stop => f.write_str("Stop"),
        }
    }
}

// === impl Call ===

impl<P> fmt::Debug for Call<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(spec) => f.debug_tuple("Start").field(&spec.id).field(&spec.rules).finish(),
            Self::Terminate { id, only } => f.debug_struct("Terminate").field("id", id).field("only", only).finish(),
            Self::Restart(id) => f.debug_tuple("Restart").field(id).finish(),
            Self::Delete(id) => f.debug_tuple("Delete").field(id).finish(),
            Self::Resume(id) => f.debug_tuple("Resume").field(id).finish(),
            Self::Suspend { id, reason, until } => {
                f.debug_struct("Suspend").field("id", id).field("reason", reason).field("until", until).finish()
            }
            Self::Change { id, change } => f.debug_struct("Change").field("id", id).field("change", change).finish(),
            Self::Intensity(intensity) => f.debug_tuple("Intensity").field(intensity).finish(),
            Self::Which => f.write_str("Which"),
            Self::Count => f.write_str("Count"),
            Self::Rules(id) => f.debug_tuple("Rules").field(id).finish(),
        }
    }
}
