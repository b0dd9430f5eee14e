//! What is done to the server, past whoever stands in front of it.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::front::Serving;

/// A way to take the server down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`.
    Kill,
    /// SIGSTOP: it lives, and does nothing.
    Freeze,
    /// A request that ends the thread which generates, and nothing else.
    Thread,
    /// A request that makes it write outside of its memory.
    Segv,
}

/// A fault that was done.
#[derive(Debug, Clone)]
pub struct Strike {
    pub fault: Fault,
    pub at: Instant,
    /// The most requests that the server had at once until then, if it counts them.
    pub busiest: Option<u64>,
    /// How often the server had been restarted before, if anybody counts.
    pub restarts: Option<u64>,
    /// After how long the next server was ready.
    pub ready_after: Option<Duration>,
}

pub const ALL: [Fault; 4] = [Fault::Kill, Fault::Freeze, Fault::Thread, Fault::Segv];

// === impl Fault ===

impl Fault {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Thread => "thread",
            Self::Segv => "segv",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Does it. A request is sent on its way; what comes of it does not matter.
    pub async fn strike(self, serving: &Serving) {
        let hello = |more: &Value| {
            let mut body = json!({"prompt": "hi", "max_tokens": 4});
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            body
        };
        match self {
            Self::Kill => signal(serving.pid, Signal::SIGKILL),
            Self::Freeze => signal(serving.pid, Signal::SIGSTOP),
            Self::Thread => ask(serving, hello(&json!({"stop": [1]}))),
            Self::Segv => ask(serving, hello(&json!({"logit_bias": {"999999999": 5}}))),
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    // It may be gone by itself, after an earlier fault.
    let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
}

fn ask(serving: &Serving, body: Value) {
    let url = format!("{}/v1/completions", serving.url);
    tokio::spawn(async move {
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let _ = timeout(Duration::from_secs(10), http.post(url).json(&body).send()).await;
    });
}
