//! A front on a free port of loopback before a service made for attacking, and a client that writes its requests by hand.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use mlx_tree_gateway::answer::Body;
use mlx_tree_gateway::front::{Acceptor, Front, FrontConfig, Incoming, Limits, Route, Service, Stop, require_json};
use mlx_tree_gateway::{Code, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing here takes so long, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// More than the operating system takes for a client that does not read.
pub(crate) const BIG: usize = 64 << 20;

/// Waits for what must come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it must happen")
}

/// What a request that is held is told, and what is told of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It has reached the service.
    Called,
    /// `Gone` has resolved.
    Gone,
    /// Its future was dropped.
    Dropped,
}

/// A service with a path for each way to be nasty.
pub(crate) struct Nasty {
    pub(crate) called: AtomicUsize,
    told: mpsc::UnboundedSender<Told>,
    release: watch::Receiver<u64>,
}

struct OnDrop(mpsc::UnboundedSender<Told>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(Told::Dropped);
    }
}

impl Service for Nasty {
    fn route(&self, head: &Parts) -> Result<Route, Refusal> {
        match (&head.method, head.uri.path()) {
            (&Method::GET | &Method::HEAD, "/health") => Ok(Route::Probe),
            (&Method::GET, "/big" | "/panic-later" | "/stream" | "/cut" | "/hold" | "/panic" | "/empty" | "/relay") => {
                Ok(Route::Work)
            }
            (&Method::GET, "/panic-at-once") => panic!("as asked"),
            (&Method::POST, "/echo") => require_json(head).map(|()| Route::Work),
            (_, "/echo" | "/health") => Err(Refusal::new(Code::MethodNotAllowed, "Another method.")),
            _ => Err(Refusal::new(Code::NotFound, "Nothing here.")),
        }
    }

    fn call(&self, incoming: Incoming) -> BoxFuture<'_, Response<Body>> {
        self.called.fetch_add(1, Ordering::SeqCst);
        let told = self.told.clone();
        async move {
            let _ = told.send(Told::Called);
            match incoming.head.uri.path() {
                "/panic" => panic!("as asked"),
                "/hold" => {
                    let _dropped = OnDrop(told.clone());
                    let gone = incoming.gone.clone();
                    tokio::spawn(async move {
                        gone.wait().await;
                        let _ = told.send(Told::Gone);
                    });
                    let mut release = self.release.clone();
                    let _ = release.wait_for(|released| *released > 0).await;
                    Response::new(Body::whole("held"))
                }
                "/empty" => {
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::NO_CONTENT;
                    response
                }
                "/cut" => {
                    let (sender, body) = Body::channel(4);
                    tokio::spawn(async move {
                        let _ = sender.send("data: one\n\n").await;
                        let _ = sender.send("data: last words\n\n").await;
                        sender.cut();
                    });
                    Response::new(body)
                }
                "/big" => Response::new(Body::whole(vec![b'x'; BIG])),
                "/panic-later" => Response::new(Body::relay(1, |sender| async move {
                    let _ = sender.send("some").await;
                    panic!("as asked")
                })),
                "/relay" => Response::new(Body::relay(1, |sender| async move {
                    for piece in ["one ", "two ", "three"] {
                        let _ = sender.send(piece).await;
                        tokio::task::yield_now().await;
                    }
                    let _ = sender.finish().await;
                })),
                "/stream" => {
                    let (sender, body) = Body::channel(4);
                    tokio::spawn(async move {
                        let _dropped = OnDrop(told);
                        while sender.send(vec![b'x'; 16 << 10]).await.is_ok() {}
                    });
                    Response::new(body)
                }
                _ => Response::new(Body::whole(format!("{} {}", incoming.body.len(), incoming.id))),
            }
        }
        .boxed()
    }
}

/// A front that serves.
pub(crate) struct Stand {
    pub(crate) address: SocketAddr,
    pub(crate) service: Arc<Nasty>,
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
    pub(crate) stop: watch::Sender<Stop>,
    pub(crate) release: watch::Sender<u64>,
    pub(crate) serving: JoinHandle<()>,
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::with(FrontConfig::default()).await
    }

    pub(crate) async fn limited(change: impl FnOnce(&mut Limits)) -> Self {
        let mut config = FrontConfig::default();
        change(&mut config.limits);
        Self::with(config).await
    }

    pub(crate) async fn with(config: FrontConfig) -> Self {
        Self::on(config, |listener| listener).await
    }

    pub(crate) async fn on<A: Acceptor>(config: FrontConfig, wrap: impl FnOnce(TcpListener) -> A) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (tell, told) = mpsc::unbounded_channel();
        let (release, released) = watch::channel(0);
        let service = Arc::new(Nasty { called: AtomicUsize::new(0), told: tell, release: released });
        let (stop, stopped) = watch::channel(Stop::Not);
        let front = Front::new(config, Arc::clone(&service) as _);
        let serving = tokio::spawn(front.serve(wrap(listener), address, stopped));
        Self { address, service, told, stop, release, serving }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// The answer to one request on a connection of its own.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut client = self.client().await;
        client.send(request).await;
        client.answer().await
    }

    pub(crate) fn calls(&self) -> usize {
        self.service.called.load(Ordering::SeqCst)
    }

    pub(crate) async fn next(&mut self) -> Told {
        soon(self.told.recv()).await.expect("the service lives")
    }
}

/// A connection, and what has been read of it beyond the last answer.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    address: SocketAddr,
    inbound: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        Self { stream, address, inbound: Vec::new() }
    }

    /// Sends `request`, with `HOST` in it replaced by the address.
    pub(crate) async fn send(&mut self, request: &str) {
        self.raw(request.replace("HOST", &self.address.to_string()).as_bytes()).await;
    }

    /// What cannot be written because the other side has had enough is no failure here.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let _ = soon(self.stream.write_all(bytes)).await;
    }

    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        soon(self.stream.read_buf(&mut self.inbound)).await
    }

    /// The bytes up to and including `mark`.
    pub(crate) async fn until(&mut self, mark: &str) -> String {
        loop {
            let found = self.inbound.windows(mark.len()).position(|window| window == mark.as_bytes());
            if let Some(at) = found {
                let rest = self.inbound.split_off(at + mark.len());
                return String::from_utf8(std::mem::replace(&mut self.inbound, rest)).expect("text");
            }
            let read = self.fill().await.expect("more bytes");
            assert!(read > 0, "ended before {mark:?}: {:?}", String::from_utf8_lossy(&self.inbound));
        }
    }

    async fn exactly(&mut self, bytes: usize) -> String {
        while self.inbound.len() < bytes {
            assert!(self.fill().await.expect("more bytes") > 0, "ended within a body");
        }
        let rest = self.inbound.split_off(bytes);
        String::from_utf8(std::mem::replace(&mut self.inbound, rest)).expect("text")
    }

    /// The next answer, whole.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.until("\r\n\r\n").await;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let mut answer = Answer { status, head, body: String::new() };
        if let Some(length) = answer.header("content-length") {
            answer.body = self.exactly(length.parse().expect("a number")).await;
        } else if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.until("\r\n").await;
                let size = usize::from_str_radix(size.trim(), 16).expect("a size");
                answer.body += &self.exactly(size).await;
                assert_eq!(self.exactly(2).await, "\r\n");
                if size == 0 {
                    break;
                }
            }
        }
        answer
    }

    /// Everything until the other side closes.
    pub(crate) async fn rest(&mut self) -> String {
        while matches!(self.fill().await, Ok(1..)) {}
        String::from_utf8_lossy(&self.inbound).into_owned()
    }

    /// Whether there is a whole answer, rather than the end of the connection.
    pub(crate) async fn rest_of_one_answer(&mut self) -> bool {
        while !self.inbound.windows(4).any(|window| window == b"\r\n\r\n") {
            if !matches!(self.fill().await, Ok(1..)) {
                assert!(self.inbound.is_empty(), "a part of an answer");
                return false;
            }
        }
        self.answer().await.status == 200
    }

    /// Whether the other side has closed with nothing more to say.
    pub(crate) async fn assert_closed(&mut self) {
        assert_eq!(self.rest().await, "", "nothing more comes");
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The code of an error in OpenAI's shape, which has four keys, and of every answer of which has a request id.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"));
        let keys: Vec<_> = body["error"].as_object().expect("an error").keys().cloned().collect();
        assert_eq!(keys, ["code", "message", "param", "type"], "{self:?}");
        body["error"]["code"].as_str().expect("a code").to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
    }
}
