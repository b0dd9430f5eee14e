//! A control plane over a tree that is played by hand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mlx_tree_api::{Breaker, BreakerState, Event, Health, Kind, Phase, Server, ServerState, Status, Supervisor, Trend};
use mlx_tree_control::{Done, Limits, Operator, Refusal, Token, Verb, bind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::time::timeout;

/// Longer than anything here may take.
const LONG: Duration = Duration::from_secs(30);

pub(crate) const JSON: &str = "content-type: application/json\r\ncontent-length: 2\r\n";

/// How the tree answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Fine,
    /// Not at all.
    Silent,
    /// With a panic.
    Panicking,
    /// It has ended.
    Ended,
}

/// A tree that counts how often it was told to do something.
#[derive(Clone)]
struct Counting {
    status: Arc<Mutex<Status>>,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
    performed: Arc<AtomicUsize>,
    lines: broadcast::Sender<String>,
    events: broadcast::Sender<Arc<Event>>,
}

impl Counting {
    async fn answer(&self) {
        let mood = *self.mood.lock().expect("not poisoned");
        match mood {
            Mood::Fine | Mood::Ended => {}
            Mood::Silent => std::future::pending().await,
            Mood::Panicking => panic!("as it was told"),
        }
    }
}

impl Operator for Counting {
    async fn status(&self) -> Status {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answer().await;
        self.status.lock().expect("not poisoned").clone()
    }

    async fn alive(&self) -> bool {
        self.answer().await;
        *self.mood.lock().expect("not poisoned") != Mood::Ended
    }

    async fn metrics(&self) -> String {
        self.asked.fetch_add(1, Ordering::SeqCst);
        "# TYPE mlx_tree_up gauge\nmlx_tree_up 1\n".to_owned()
    }

    async fn trend(&self) -> Trend {
        Trend::default()
    }

    async fn perform(&self, verb: Verb) -> Result<Done, Refusal> {
        self.performed.fetch_add(1, Ordering::SeqCst);
        match verb {
            Verb::Reset => {
                Err(Refusal { code: "nothing_to_reset", message: "nothing has failed".to_owned(), help: None })
            }
            Verb::Start | Verb::Stop | Verb::Restart | Verb::Drain | Verb::Reload | Verb::Shutdown => {
                Ok(Done::new(verb, "done"))
            }
        }
    }

    async fn foresee(&self) -> Result<Done, Refusal> {
        Ok(Done::new(Verb::Reload, "a reload would change nothing"))
    }

    fn logs(&self) -> (Vec<String>, broadcast::Receiver<String>) {
        (vec!["one".to_owned(), "two".to_owned(), "three".to_owned()], self.lines.subscribe())
    }

    fn events(&self, seq: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        ((seq + 1..=3).map(event).collect(), self.events.subscribe())
    }
}

/// The status of a server that serves.
pub(crate) fn serving() -> Status {
    Status {
        state: ServerState::Running,
        process_pid: Some(1),
        restart_count: 0,
        health_check_failures: 0,
        circuit_breaker_state: BreakerState::Closed,
        phase: Phase::Ready,
        reason: None,
        next_attempt_in_s: None,
        server: Server {
            kind: "mlx_lm".to_owned(),
            model: "m".to_owned(),
            note: None,
            url: None,
            epoch: 1,
            ready_for_s: None,
            memory_bytes: None,
            memory_soft_limit_bytes: None,
            memory_hard_limit_bytes: None,
        },
        breaker: Breaker {
            state: BreakerState::Closed,
            reason: None,
            half_open_in_s: None,
            consecutive_failures: 0,
            failure_threshold: 5,
            restarts_in_window: 0,
            max_restarts: 5,
            period_s: 300.0,
        },
        health: Health { failures: 0, failure_threshold: 3, last_ok_s_ago: None, last_error: None },
        children: Vec::new(),
        last_exit: None,
        journal: Vec::new(),
        servers: Vec::new(),
        gateway: None,
        degraded: Vec::new(),
        config: None,
        supervisor: Supervisor { pid: 1, version: "0".to_owned(), uptime_s: 0.0, control: None, state_dir: None },
    }
}

pub(crate) fn event(seq: u64) -> Arc<Event> {
    let at = "2026-01-01T00:00:00Z".to_owned();
    Arc::new(Event { seq, at, child: "server".to_owned(), epoch: 1, server: None, kind: Kind::ServerLoading })
}

pub(crate) struct Plane {
    pub(crate) address: SocketAddr,
    pub(crate) token: Token,
    pub(crate) status: Arc<Mutex<Status>>,
    pub(crate) mood: Arc<Mutex<Mood>>,
    /// How often the tree was asked for a document.
    pub(crate) asked: Arc<AtomicUsize>,
    performed: Arc<AtomicUsize>,
    pub(crate) lines: broadcast::Sender<String>,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
}

pub(crate) async fn plane() -> Plane {
    plane_with(Limits::default()).await
}

pub(crate) async fn plane_with(limits: Limits) -> Plane {
    let bound = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port").limits(limits);
    let (lines, _) = broadcast::channel(8);
    let (events, _) = broadcast::channel(8);
    let operator = Counting {
        status: Arc::new(Mutex::new(serving())),
        mood: Arc::new(Mutex::new(Mood::Fine)),
        asked: Arc::default(),
        performed: Arc::default(),
        lines,
        events,
    };
    let plane = Plane {
        address: bound.address(),
        token: Token::random().expect("randomness"),
        status: Arc::clone(&operator.status),
        mood: Arc::clone(&operator.mood),
        asked: Arc::clone(&operator.asked),
        performed: Arc::clone(&operator.performed),
        lines: operator.lines.clone(),
        events: operator.events.clone(),
    };
    tokio::spawn(bound.serve(operator, plane.token.clone(), std::future::pending()));
    plane
}

/// What came back: its status, and all of it as text.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Plane {
    /// A connection on which `request` has been sent as it is, with `{port}` filled in.
    pub(crate) async fn open(&self, request: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).await.expect("it listens");
        let request = request.replace("{port}", &self.address.port().to_string());
        // One who is refused early may be gone before all is sent.
        let _ = socket.write_all(request.as_bytes()).await;
        socket
    }

    /// Sends `request` as it is, with `{port}` filled in, and answers the status code; 0 when there is no answer.
    pub(crate) async fn send(&self, request: &str) -> u16 {
        status_of(&mut self.open(request).await).await
    }

    /// The whole answer to `GET path`, with further `headers`.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> Answer {
        let head = "host: localhost:{port}\r\nconnection: close\r\n";
        self.ask(&format!("GET {path} HTTP/1.1\r\n{head}{headers}\r\n")).await
    }

    /// The whole answer to `request`, after which the connection is closed.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut socket = self.open(request).await;
        let status = status_of(&mut socket).await;
        let mut text = String::new();
        let _ = timeout(LONG, socket.read_to_string(&mut text)).await.expect("it ends");
        Answer { status, text }
    }

    pub(crate) fn bearer(&self) -> String {
        format!("authorization: Bearer {}\r\n", self.token.secret())
    }

    pub(crate) fn performed(&self) -> usize {
        self.performed.load(Ordering::SeqCst)
    }
}

/// The status code of the next answer on `socket`; 0 when it is closed instead.
pub(crate) async fn status_of(socket: &mut TcpStream) -> u16 {
    let mut head = [0_u8; 12];
    match timeout(LONG, socket.read_exact(&mut head)).await.expect("an answer or an end") {
        Ok(_) => std::str::from_utf8(&head[9..12]).expect("ascii").parse().expect("a status"),
        Err(_) => 0,
    }
}

/// Resolves when the other side has closed `socket`, whatever it says before.
pub(crate) async fn closed(socket: &mut TcpStream) {
    let mut scratch = [0_u8; 4096];
    let end = async { while socket.read(&mut scratch).await.is_ok_and(|read| read > 0) {} };
    timeout(LONG, end).await.expect("it is closed");
}
