//! A fake of Ollama's HTTP API, for the tests of the fallback: it is not Ollama, and runs no model.
//!
//! Ollama's own program is in no package registry, so no test can start it. This follows the source of version 0.33.0-rc2
//! (`server/routes.go`, `server/sched.go`, `llm/llama_server.go`, `middleware/openai.go`, `api/types.go`): the routes below,
//! their status codes, the shape of their answers and the words of their errors.
//!
//! | kept | how |
//! | --- | --- |
//! | `/api/version`, `/api/tags`, `/api/ps`, `/api/show` | with the keys that a client reads |
//! | `/api/chat`, `/api/generate` | lines of JSON, or one object for `stream: false`; thinking, tools, `done_reason`, counts |
//! | a context that is too small | the default is 4,096; the head of a conversation is dropped without a word, unless `truncate` is false: then 400 |
//! | a context that fills up while answering | goes on without its head, unless `shift` is false: then `done_reason` is `length` |
//! | loading and unloading | by an empty conversation or prompt and `keep_alive`, shown by `/api/ps` |
//! | an unknown model, too many requests | 404, 503; nothing is ever pulled |
//! | an error in the middle | a line `{"error": …}` behind a status 200, and no `done` |
//! | before 0.12.6 | `truncate` and `shift` are unknown and overlooked: `--version 0.11.0` |
//! | `/v1/chat/completions` | `num_ctx`, `tool_choice`, `n` and their like are overlooked, and an error in a stream ends it without a word |
//!
//! Where it guesses: a token is four bytes; `model_info` has the two keys that matter; the text of the error for a prompt
//! that is too long is llama.cpp's, as Ollama hands it on; times and digests mean nothing.

mod answer;
mod chat;
mod options;
mod routes;
mod wire;
mod world;

pub use options::{OLLAMA_HELP, OllamaFault, OllamaOptions};
pub use world::{OllamaRequest, OllamaStats};

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
};

use crate::death::say;
use world::World;

/// The exit code for a command line that cannot be used, or a port that is taken.
const USAGE: u8 = 64;

/// The fake on a thread of this process, for tests. Dropping it stops accepting and frees the port.
#[derive(Debug)]
pub struct OllamaServer {
    address: SocketAddr,
    world: Arc<World>,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

// === impl OllamaServer ===

impl OllamaServer {
    /// Binds and serves.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(options: OllamaOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((options.host.as_str(), options.port))?;
        let (address, world) = (listener.local_addr()?, Arc::new(World::new(options)));
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
    pub fn stats(&self) -> OllamaStats {
        self.world.stats()
    }

    /// Every request so far, in the order in which they were read.
    #[must_use]
    pub fn requests(&self) -> Vec<OllamaRequest> {
        self.world.requests()
    }

    /// The models that are in memory now.
    #[must_use]
    pub fn loaded(&self) -> Vec<String> {
        self.world.loaded()
    }

    /// From now on it has this fault, or none.
    pub fn fault(&self, fault: Option<OllamaFault>) {
        self.world.set_fault(fault);
    }
}

impl Drop for OllamaServer {
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

/// Serves in this process until it is killed. Returns after `--help`, and when the port is taken.
#[must_use]
pub fn run_ollama(options: OllamaOptions) -> ExitCode {
    if options.help.is_some() {
        say(OLLAMA_HELP);
        return ExitCode::SUCCESS;
    }
    let listener = match TcpListener::bind((options.host.as_str(), options.port)) {
        Ok(listener) => listener,
        Err(error) => {
            say(&format!("Error: listen tcp {}:{}: {error}", options.host, options.port));
            return ExitCode::from(USAGE);
        }
    };
    if let Ok(address) = listener.local_addr() {
        say(&format!("listening on {address}"));
    }
    serve(&listener, &Arc::new(World::new(options)), &AtomicBool::new(false));
    ExitCode::SUCCESS
}

fn serve(listener: &TcpListener, world: &Arc<World>, stopping: &AtomicBool) {
    for connection in listener.incoming() {
        if stopping.load(SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let world = Arc::clone(world);
        // What fails on a connection is its client's affair.
        let _ = thread::Builder::new().spawn(move || routes::handle(&world, &connection));
    }
}
