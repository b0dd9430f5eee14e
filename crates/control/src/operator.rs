//! What an operator can ask of a tree.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use mlx_tree_api::{Event, Status, Trend};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::broadcast;

/// The operator's verbs. There are no others, and none takes an argument: nothing that comes over the wire can name a
/// command, a path or an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Start the server, if it is not wanted running already.
    Start,
    /// Stop the server and keep it stopped. The tree stays.
    Stop,
    /// Forget the server's failures, let it end what it works on, and start it afresh; requests that come meanwhile wait.
    Restart,
    /// Give the server nothing new, let it end what it works on, and stop it. The tree stays.
    Drain,
    /// Read the configuration again and apply what has changed; a server is restarted only if it has to be.
    Reload,
    /// Forget all failures and close the breaker (systemd's `reset-failed`); a server that was held back is started.
    Reset,
    /// End mlx-tree itself, and the server with it.
    Shutdown,
}

/// How a verb that was carried out turned out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The verb.
    pub verb: Verb,
    /// One sentence for people.
    pub message: String,
    /// What was done in detail, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub details: Vec<String>,
}

/// Why a verb was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// A stable word for programs.
    pub code: &'static str,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A tree, as the control plane sees it.
pub trait Operator: Clone + Send + Sync + 'static {
    /// The status document of this moment.
    fn status(&self) -> impl Future<Output = Status> + Send;

    /// Whether the tree is alive: a round trip through its root supervisor.
    fn alive(&self) -> impl Future<Output = bool> + Send;

    /// What has been counted and measured so far, in Prometheus' text format.
    fn metrics(&self) -> impl Future<Output = String> + Send;

    /// What was measured in the last minutes.
    fn trend(&self) -> impl Future<Output = Trend> + Send;

    /// Carries out `verb`. Resolves when it has been done (for [`Verb::Shutdown`]: when it has begun). Dropping the future
    /// does not undo it.
    fn perform(&self, verb: Verb) -> impl Future<Output = Result<Done, Refusal>> + Send;

    /// What [`Verb::Reload`] would do now, in the same words; nothing is done.
    fn foresee(&self) -> impl Future<Output = Result<Done, Refusal>> + Send;

    /// The last lines that the server wrote, oldest first, and those to come.
    fn logs(&self) -> (Vec<String>, broadcast::Receiver<String>);

    /// The remembered events above number `seq`, oldest first, and those to come.
    fn events(&self, seq: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>);
}

// === impl Done ===

impl Done {
    /// `verb` has been carried out; `message` says how it turned out.
    #[must_use]
    pub fn new(verb: Verb, message: impl Into<String>) -> Self {
        Self { verb, message: message.into(), details: Vec::new() }
    }
}

// === impl Verb ===

impl Verb {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Start, Self::Stop, Self::Restart, Self::Drain, Self::Reload, Self::Reset, Self::Shutdown];

    /// The word on the command line and in the path.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Drain => "drain",
            Self::Reload => "reload",
            Self::Reset => "reset",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word).ok_or(())
    }
}
