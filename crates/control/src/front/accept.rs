//! The accept loop: who gets a connection, and who gives one up for it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{self, AbortHandle, JoinSet, yield_now};
use tokio::time::{Instant, sleep};

use super::Limits;
use super::link::Link;
use super::turn::{self, Core};
use crate::Token;
use crate::pace::Bucket;

/// After accepting has failed, for want of file descriptors mostly, it is not tried again for so long.
const REST: Duration = Duration::from_millis(200);

/// The open connections.
struct Connections {
    core: Arc<Core>,
    tasks: JoinSet<()>,
    links: HashMap<task::Id, (AbortHandle, Arc<Link>)>,
}

/// Whether there was a connection to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evicted {
    One,
    None,
}

/// Answers whoever connects, with `router`. Never ends; dropping the future closes every connection.
pub(crate) async fn run(listener: TcpListener, router: Router, token: Token, limits: Limits) {
    let bucket = Mutex::new(Bucket::new(limits.rate, limits.burst, Instant::now()));
    let core = Core { limits, router, token, bucket };
    let mut connections = Connections { core: Arc::new(core), tasks: JoinSet::new(), links: HashMap::new() };
    loop {
        match connections.next(&listener).await {
            Ok(stream) => connections.admit(stream).await,
            Err(error) => connections.failed(&error).await,
        }
        // Whoever connects all the time gets one connection for each thing that others want done.
        yield_now().await;
    }
}

// === impl Connections ===

impl Connections {
    async fn next(&mut self, listener: &TcpListener) -> io::Result<TcpStream> {
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                accepted = listener.accept() => return accepted.map(|(stream, _)| stream),
            }
        }
    }

    /// Gives `stream` a place. When every other connection has a request, waits until one of them has not.
    async fn admit(&mut self, stream: TcpStream) {
        while self.links.len() >= self.core.limits.connections && self.evict() == Evicted::None {
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                // They are answered within moments, and seldom so many at once that looking again would be worth a signal.
                () = sleep(Duration::from_millis(5)) => {}
            }
        }
        // Events are small, and each is wanted at once. Where it cannot be had, they come a little later.
        let _ = stream.set_nodelay(true);
        let link = Arc::new(Link::new(self.core.limits, Instant::now()));
        let task = self.tasks.spawn(turn::serve(Arc::clone(&self.core), Arc::clone(&link), stream));
        self.links.insert(task.id(), (task, link));
    }

    /// Gives up the connection that has been without a request for the longest.
    fn evict(&mut self) -> Evicted {
        let spare = self.links.iter().filter_map(|(id, (_, link))| Some((link.spare_since()?, *id)));
        let Some((_, id)) = spare.min() else { return Evicted::None };
        if let Some((task, _)) = self.links.remove(&id) {
            task.abort();
        }
        Evicted::One
    }

    fn ended(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("control.connection_panicked");
                }
                error.id()
            }
        };
        self.links.remove(&id);
    }

    async fn failed(&mut self, error: &io::Error) {
        match error.kind() {
            // The caller was gone before it was accepted.
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {}
            kind => {
                tracing::debug!(%error, ?kind, "control.accept_failed");
                self.evict();
                sleep(REST).await;
            }
        }
    }
}
