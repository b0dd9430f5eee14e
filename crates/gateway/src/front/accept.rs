//! The accept loop: who gets a connection, who gives one up, and how it ends.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Stop;
use super::connection::{self, Core};
use super::link::{Link, Taken, Which};

/// A client that makes accepting fail does not fill the log with it.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// So many connections make room for one that cannot be accepted: each request needs a descriptor more, to the server, and the
/// rest of the process needs some as well.
const SPARE: usize = 8;

/// What connections come from.
pub trait Acceptor: Send + Sync + 'static {
    /// The next one. Must be safe to drop before it resolves.
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Acceptor for TcpListener {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self).await
    }
}

/// The open connections.
struct Connections {
    core: Arc<Core>,
    tasks: JoinSet<()>,
    links: HashMap<task::Id, (AbortHandle, Arc<Link>)>,
    /// Those that were given up and have not let go of their descriptors yet.
    leaving: usize,
    intake: Intake,
}

/// Where the next connection comes from.
#[derive(Default)]
struct Intake {
    /// One that was accepted while every other has a request on it.
    waiting: Option<(TcpStream, SocketAddr)>,
    /// Until when nothing is accepted, because the last attempt failed.
    resting: Option<Instant>,
    /// When that was last said.
    complained: Option<Instant>,
}

/// Whether a connection was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evicted {
    One,
    None,
}

/// Accepts connections until `stop` says otherwise, and ends with the last of them.
pub(super) async fn run<A: Acceptor>(core: Arc<Core>, acceptor: A, mut stop: watch::Receiver<Stop>) {
    let (mut connections, mut terms) = (Connections::new(Arc::clone(&core)), core.terms.changes());
    loop {
        tokio::select! {
            biased;
            stopped = stop.wait_for(|stop| *stop != Stop::Not) => match stopped.as_deref() {
                Ok(Stop::Drain) => break,
                Ok(Stop::Abort | Stop::Not) | Err(_) => return,
            },
            // There may be room now for one that waits.
            Ok(()) = terms.changed() => core.signals.free(),
            Some(ended) = connections.tasks.join_next_with_id() => connections.ended(ended),
            accepted = connections.intake.next(&connections.core, &acceptor) => match accepted {
                Ok((stream, peer)) => connections.admit(stream, peer),
                Err(error) => connections.failed(&error),
            }
        }
    }
    // No new client is left waiting in the queue of a listener that nobody serves.
    drop(acceptor);
    connections.drain();
    tokio::select! {
        _ = stop.wait_for(|stop| *stop == Stop::Abort) => {}
        () = async { while connections.tasks.join_next().await.is_some() {} } => {}
    }
}

// === impl Connections ===

impl Connections {
    fn new(core: Arc<Core>) -> Self {
        Self { core, tasks: JoinSet::new(), links: HashMap::new(), leaving: 0, intake: Intake::default() }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        if self.links.len() >= self.core.terms.now().limits.connections && self.evict() == Evicted::None {
            self.intake.waiting = Some((stream, peer));
            return;
        }
        // Frames of a stream are small, and each is wanted at once.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "connection.broken");
            return;
        }
        let link = Arc::new(Link::new(Instant::now()));
        let task = self.tasks.spawn(connection::serve(Arc::clone(&self.core), Arc::clone(&link), stream, peer));
        self.links.insert(task.id(), (task, link));
    }

    /// Gives up the connection that has been without a request for the longest.
    fn evict(&mut self) -> Evicted {
        let idle = self.links.iter().filter_map(|(id, (_, link))| Some((link.idle_since()?, *id)));
        let mut idle: Vec<_> = idle.collect();
        idle.sort_unstable();
        for (_, id) in idle {
            if self.take(id, Which::Spare) == Evicted::One {
                return Evicted::One;
            }
        }
        Evicted::None
    }

    fn take(&mut self, id: task::Id, which: Which) -> Evicted {
        match self.links.get(&id) {
            Some((task, link)) if link.evict(which) == Taken::Yes => {
                task.abort();
                self.links.remove(&id);
                self.leaving += 1;
                Evicted::One
            }
            Some(_) | None => Evicted::None,
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("connection.panicked");
                }
                error.id()
            }
        };
        if self.links.remove(&id).is_none() {
            self.leaving = self.leaving.saturating_sub(1);
        }
        self.core.signals.free();
        // It has given back what accepting may have failed for.
        self.intake.resting = None;
    }

    /// Out of file descriptors, mostly: rests, and gives up a connection that nobody uses. Never ends the loop.
    fn failed(&mut self, error: &io::Error) {
        match error.kind() {
            // The client was gone before it was accepted.
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {}
            kind => {
                let now = Instant::now();
                if self.intake.complained.is_none_or(|last| now > last + COMPLAINT_PAUSE) {
                    tracing::warn!(%error, ?kind, "accept.failed");
                    self.intake.complained = Some(now);
                }
                // Those that are on their way count. Otherwise each failure until they have gone would take as many again, at last
                // also of those that have just come, and whose requests nobody has read yet.
                for _ in self.leaving..SPARE {
                    self.evict();
                }
                self.intake.resting = Some(now + self.core.terms.now().limits.accept_pause);
            }
        }
    }

    /// Closes what is idle, and lets the others see that there is no next request.
    fn drain(&mut self) {
        self.core.signals.drain();
        self.intake.waiting = None;
        let all: Vec<_> = self.links.keys().copied().collect();
        for id in all {
            self.take(id, Which::Idle);
        }
    }
}

// === impl Intake ===

impl Intake {
    /// The next connection. Safe to drop.
    async fn next<A: Acceptor>(&mut self, core: &Core, acceptor: &A) -> io::Result<(TcpStream, SocketAddr)> {
        if self.waiting.is_some() {
            // A connection becomes idle, or one ends.
            core.signals.freed().await;
        }
        if let Some(waiting) = self.waiting.take() {
            return Ok(waiting);
        }
        if let Some(until) = self.resting {
            sleep_until(until).await;
            self.resting = None;
        }
        acceptor.accept().await
    }
}

#[cfg(test)]
mod tests;
