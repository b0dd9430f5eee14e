//! Accepts connections, one thread each.

use crate::{
    handler,
    options::{CloseAt, Options},
    world::{Stats, World},
};
use nix::sys::socket::{self, Backlog};
use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
};

/// The HTTP part alone, on a thread of this process, for tests.
///
/// A fault that ends "the process" ends the process that called [`Server::start`]; what concerns the process only
/// (signals, grandchildren, output, `--exit-after`) has no effect here. Dropping it stops accepting and frees the port;
/// answers under way go on on their threads.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    world: Arc<World>,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

// === impl Server ===

impl Server {
    /// Binds and serves.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(options: Options) -> io::Result<Self> {
        let world = Arc::new(World::new(options));
        let listener = listen(&world.options)?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let acceptor = thread::spawn({
            let (world, stopping) = (Arc::clone(&world), Arc::clone(&stopping));
            move || serve(&listener, &world, &stopping)
        });
        Ok(Self { address, world, stopping, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.world.stats()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, SeqCst);
        // Wakes the acceptor out of `accept`.
        if TcpStream::connect(self.address).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            let _ = acceptor.join();
        }
    }
}

/// Binds with the backlog of the real server, which loses connects when many come at once.
pub(crate) fn listen(options: &Options) -> io::Result<TcpListener> {
    let identity = &options.identity;
    let listener = TcpListener::bind((identity.host.as_str(), identity.port))?;
    let backlog = Backlog::new(identity.backlog).map_err(io::Error::from)?;
    // std has listened with its own backlog; a second `listen` sets another.
    socket::listen(&listener, backlog).map_err(io::Error::from)?;
    Ok(listener)
}

/// Accepts until `stopping` and one more connection.
pub(crate) fn serve(listener: &TcpListener, world: &Arc<World>, stopping: &AtomicBool) {
    for connection in listener.incoming() {
        if stopping.load(SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        world.connection_came();
        if world.options.network.close_at == Some(CloseAt::Accept) {
            handler::close(connection, &world.options.network);
            continue;
        }
        if world.options.network.single_thread {
            handler::handle(world, connection);
            continue;
        }
        let world = Arc::clone(world);
        // Without a thread to spare the connection is closed, which is all a server can do then.
        let _ = thread::Builder::new().spawn(move || handler::handle(&world, connection));
    }
}
