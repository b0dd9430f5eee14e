//! The exchange over sockets, where a server has to be cut up by hand: a stream that is opened before it has begun, and an answer
//! that is cut without a word.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request};
use mlx_tree_api::{Kind, Sample};
use mlx_tree_gateway::admission::Limits;
use mlx_tree_gateway::answer::Body;
use mlx_tree_gateway::exchange::Continuation;
use mlx_tree_gateway::front::{ClientKey, Gone, Incoming, RequestId, Service as _};
use mlx_tree_gateway::gateway::{Member, Plan};
use mlx_tree_gateway::request::{Catalogue, Served};
use mlx_tree_gateway::{Backend, BackendState, Code, Gateway, Observer, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);

const HEAD: &str = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const ANSWER: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\
                      \"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// A gateway before a server that the test plays itself.
struct Stage {
    gateway: Gateway,
    server: TcpListener,
    backend: watch::Sender<Backend>,
    told: Arc<Told>,
}

/// Remembers what was measured, in short: all but times and the request's number.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn progressed(&self, _server: &str) {}

    fn wanted(&self, _server: &str) {}

    fn tell(&self, _server: &str, _epoch: u64, _kind: Kind) {}

    fn sample(&self, sample: &Sample<'_>) {
        let text = match sample {
            Sample::AttemptBegan { server, epoch, .. } => format!("{server}: {epoch} begun"),
            Sample::AttemptEnded { server, epoch, end, .. } => format!("{server}: {epoch} {}", end.as_str()),
            Sample::Tokens { server, count } => format!("{server}: tokens {count}"),
            Sample::WaitBegan { server } => format!("{server}: waits"),
            Sample::WaitEnded { server } => format!("{server}: waits no longer"),
            Sample::RequestEnded { server, outcome, code, took, first_byte, waited, attempts, .. } => {
                assert!(took >= waited && *took >= first_byte.unwrap_or_default(), "{sample:?}");
                let first = if first_byte.is_some() { "begun" } else { "silent" };
                format!("{server}: request {} {code:?} {first} after {attempts}", outcome.as_str())
            }
            other => panic!("a gateway does not measure {other:?}"),
        };
        self.0.lock().expect("not poisoned").push(text);
    }
}

impl Stage {
    async fn set() -> Self {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let (backend, watched) = watch::channel(ready(1, server.local_addr().expect("an address")));
        let told = Arc::new(Told::default());
        let mut catalogue = Catalogue::new();
        catalogue.add(Served::mlx_lm("m", "s")).expect("a name");
        catalogue.default_for_absent("m").expect("it is there");
        let gateway = Gateway::new(Plan {
            catalogue,
            servers: vec![Member { server: "s".into(), kind: "mlx_lm".into(), backend: watched }],
            limits: Limits::default(),
            hold_budget: PATIENCE,
            stall_timeout: PATIENCE,
            open_after: Duration::from_millis(100),
            continuation: Continuation::Greedy,
            fallback: None,
            observer: told.clone(),
        });
        Self { gateway, server, backend, told }
    }

    fn told(&self) -> Vec<String> {
        self.told.0.lock().expect("not poisoned").clone()
    }

    /// The connection of the next attempt, its request read.
    async fn asked(&self) -> TcpStream {
        let (mut stream, _) = within(self.server.accept()).await.expect("it connects");
        let mut request = vec![0; 4096];
        assert!(within(stream.read(&mut request)).await.expect("a request") > 0);
        stream
    }

    fn down(&self) {
        self.backend.send_modify(|backend| {
            backend.state = BackendState::Restarting { ready_at: None, reason: "it was killed".into() };
        });
    }

    fn up_again(&self) {
        let address = self.server.local_addr().expect("an address");
        self.backend.send_modify(|backend| *backend = ready(backend.epoch + 1, address));
    }
}

fn ready(epoch: u64, address: SocketAddr) -> Backend {
    Backend::new(epoch, BackendState::Ready { address })
}

async fn within<F: Future>(wait: F) -> F::Output {
    tokio::time::timeout(PATIENCE, wait).await.expect("in time")
}

fn incoming(method: &str, path: &str, body: &'static str) -> Incoming {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let (mut head, ()) = Request::builder().method(method).uri(path).body(()).expect("a request").into_parts();
    head.headers = headers;
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let client = ClientKey::Address(peer.ip());
    Incoming { head, body: body.into(), peer, client, id: RequestId::fresh(), gone: Gone::never() }
}

fn streamed() -> Incoming {
    incoming("POST", "/v1/chat/completions", r#"{"messages":[{"role":"user","content":"hi"}],"stream":true}"#)
}

/// The next piece of a stream that has been opened.
async fn piece(body: &mut Body) -> Option<String> {
    let frame = within(body.frame()).await?.ok()?;
    Some(String::from_utf8(frame.into_data().expect("data").to_vec()).expect("utf-8"))
}

/// All that is left, and whether it ended as a whole answer does.
async fn rest(body: &mut Body) -> (String, bool) {
    let mut text = String::new();
    loop {
        match within(body.frame()).await {
            None => return (text, true),
            Some(Ok(frame)) => text.push_str(std::str::from_utf8(&frame.into_data().expect("data")).expect("utf-8")),
            Some(Err(_)) => return (text, false),
        }
    }
}

#[tokio::test]
async fn a_stream_that_has_to_wait_is_opened_with_comments_and_then_answered() {
    let stage = Stage::set().await;
    let play = async {
        let mut server = stage.asked().await;
        server.write_all(HEAD.as_bytes()).await.expect("it reads");
        server
    };
    let (response, mut server) = tokio::join!(stage.gateway.call(streamed()), play);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-mlx-tree-backend"], "mlx_lm");
    assert!(!response.headers().contains_key("x-mlx-tree-attempts"), "nobody knows yet");
    let mut body = response.into_body();
    assert!(piece(&mut body).await.expect("a comment").starts_with(':'));
    server.write_all(ANSWER.as_bytes()).await.expect("it reads");
    let (text, whole) = rest(&mut body).await;
    assert!(whole && text.contains("\"hi\"") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn a_stream_that_was_only_opened_is_replayed_after_a_death() {
    let stage = Stage::set().await;
    let (response, server) = tokio::join!(stage.gateway.call(streamed()), stage.asked());
    let mut body = response.into_body();
    assert!(piece(&mut body).await.expect("a comment").starts_with(':'));
    drop(server);
    stage.down();
    let play = async {
        stage.up_again();
        let mut server = stage.asked().await;
        server.write_all(HEAD.as_bytes()).await.expect("it reads");
        server.write_all(ANSWER.as_bytes()).await.expect("it reads");
    };
    let poll_then_play = async {
        tokio::task::yield_now().await;
        play.await;
    };
    let ((text, whole), ()) = tokio::join!(rest(&mut body), poll_then_play);
    assert!(whole && text.contains("\"hi\"") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn a_stream_that_was_opened_in_vain_ends_with_an_error_and_not_as_an_answer() {
    let stage = Stage::set().await;
    let (response, mut server) = tokio::join!(stage.gateway.call(streamed()), stage.asked());
    let mut body = response.into_body();
    assert!(piece(&mut body).await.expect("a comment").starts_with(':'));
    server.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n{\"error\": \"it does not fit\"}").await.expect("it reads");
    drop(server);
    let (text, whole) = rest(&mut body).await;
    assert!(!whole && text.contains("\"error\"") && text.contains("it does not fit"), "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
}

#[tokio::test]
async fn half_an_answer_to_what_is_passed_through_is_not_passed_off_as_whole() {
    let stage = Stage::set().await;
    let play = async {
        let mut server = stage.asked().await;
        server
            .write_all(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"half\": ")
            .await
            .expect("it reads");
        drop(server);
        stage.down();
    };
    let (response, ()) = tokio::join!(stage.gateway.call(incoming("GET", "/slots", "")), play);
    assert_eq!(response.status(), 502);
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(body.windows(15).any(|word| word == b"backend_crashed"), "{body:?}");
}

#[tokio::test]
async fn what_is_passed_through_may_end_with_the_connection_as_old_servers_do() {
    let stage = Stage::set().await;
    let play = async {
        let mut server = stage.asked().await;
        server
            .write_all(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"all\": 1}")
            .await
            .expect("it reads");
    };
    let (response, ()) = tokio::join!(stage.gateway.call(incoming("GET", "/slots", "")), play);
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(&body[..], b"{\"all\": 1}");
}

#[tokio::test]
async fn a_request_is_measured_from_its_arrival_to_its_end_and_so_is_each_attempt() {
    let stage = Stage::set().await;
    let play = async {
        drop(stage.asked().await);
        stage.down();
        stage.up_again();
        let mut server = stage.asked().await;
        server.write_all(HEAD.as_bytes()).await.expect("it reads");
        server.write_all(ANSWER.as_bytes()).await.expect("it reads");
    };
    let answered = async { rest(&mut stage.gateway.call(streamed()).await.into_body()).await };
    let ((_, whole), ()) = tokio::join!(answered, play);
    assert!(whole);
    let expected = ["s: 1 begun", "s: 1 broken", "s: 2 begun", "s: tokens 1", "s: 2 answered"];
    assert_eq!(stage.told()[..5], expected);
    assert_eq!(stage.told()[5..], ["s: request answered None begun after 2"]);
}

#[tokio::test]
async fn a_client_that_leaves_is_told_of_once_wherever_its_request_is() {
    let stage = Stage::set().await;
    let (response, _server) = tokio::join!(stage.gateway.call(streamed()), stage.asked());
    drop(response);
    assert_eq!(stage.told(), ["s: 1 begun", "s: 1 abandoned", "s: request left None silent after 1"]);

    stage.down();
    let waiting = tokio::time::timeout(Duration::from_millis(10), stage.gateway.call(streamed()));
    assert!(waiting.await.is_err(), "there is no server");
    assert_eq!(stage.told()[3..], ["s: waits", "s: waits no longer", "s: request left None silent after 0"]);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_measured_as_that_and_not_as_an_answer() {
    let stage = Stage::set().await;
    let play = async {
        let mut server = stage.asked().await;
        server.write_all(HEAD.as_bytes()).await.expect("it reads");
        let begun =
            ANSWER.replace("\"finish_reason\":\"stop\"", "\"finish_reason\":null").replace("data: [DONE]\n\n", "");
        server.write_all(begun.as_bytes()).await.expect("it reads");
        server
    };
    let sampled = r#"{"messages":[{"role":"user","content":"hi"}],"stream":true,"temperature":0.7}"#;
    let call = stage.gateway.call(incoming("POST", "/v1/chat/completions", sampled));
    let (response, server) = tokio::join!(call, play);
    let mut body = response.into_body();
    while !piece(&mut body).await.expect("it goes on").contains("hi") {}
    drop(server);
    stage.down();
    assert!(!rest(&mut body).await.1);
    drop(body);
    let cut = "s: request cut Some(\"backend_crashed\") begun after 1";
    assert_eq!(stage.told(), ["s: 1 begun", "s: tokens 1", "s: 1 broken", cut]);
}

#[tokio::test]
async fn what_is_refused_is_measured_too() {
    let stage = Stage::set().await;
    stage.gateway.call(incoming("POST", "/v1/chat/completions", "{")).await;
    let stranger = r#"{"model":"stranger","messages":[{"role":"user","content":"hi"}]}"#;
    stage.gateway.call(incoming("POST", "/v1/chat/completions", stranger)).await;
    stage.backend.send_modify(|backend| backend.state = BackendState::Stopped { reason: "by hand".into() });
    stage.gateway.call(streamed()).await;
    stage.gateway.call(incoming("GET", "/slots", "")).await;
    stage.gateway.call(incoming("GET", "/health", "")).await;
    stage.gateway.refused(&RequestId::fresh(), &Refusal::new(Code::InvalidApiKey, "who are you?"));
    let expected = [
        ": request rejected Some(\"invalid_json\") silent after 0",
        ": request rejected Some(\"model_not_found\") silent after 0",
        "s: request failed Some(\"backend_stopped\") silent after 0",
        "s: request failed Some(\"backend_stopped\") silent after 0",
        ": request rejected Some(\"invalid_api_key\") silent after 0",
    ];
    assert_eq!(stage.told(), expected);
}
