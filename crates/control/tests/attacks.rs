//! What the control plane must not let happen, tried over real sockets with hand-written requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlx_tree_api::{Breaker, BreakerState, Event, Health, Kind, Phase, Server, ServerState, Status, Supervisor, Trend};
use mlx_tree_control::{Access, Client, ClientError, Done, Events, Heard, Operator, Refusal, Token, Verb, bind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::broadcast;

/// A tree that counts how often it was told to do something.
#[derive(Clone)]
struct Counting {
    performed: Arc<AtomicUsize>,
    lines: broadcast::Sender<String>,
    events: broadcast::Sender<Arc<Event>>,
}

impl Operator for Counting {
    async fn status(&self) -> Status {
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
            supervisor: Supervisor { pid: 1, version: "0".to_owned(), uptime_s: 0.0, control: None, state_dir: None },
        }
    }

    async fn alive(&self) -> bool {
        true
    }

    async fn metrics(&self) -> String {
        String::new()
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

    fn logs(&self) -> (Vec<String>, broadcast::Receiver<String>) {
        (vec!["one".to_owned(), "two".to_owned(), "three".to_owned()], self.lines.subscribe())
    }

    fn events(&self, seq: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        ((seq + 1..=3).map(event).collect(), self.events.subscribe())
    }
}

fn event(seq: u64) -> Arc<Event> {
    let at = "2026-01-01T00:00:00Z".to_owned();
    Arc::new(Event { seq, at, child: "server".to_owned(), epoch: 1, kind: Kind::ServerLoading })
}

struct Plane {
    address: SocketAddr,
    token: Token,
    performed: Arc<AtomicUsize>,
    lines: broadcast::Sender<String>,
    events: broadcast::Sender<Arc<Event>>,
}

async fn plane() -> Plane {
    let bound = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let (address, token) = (bound.address(), Token::random().expect("randomness"));
    let performed = Arc::new(AtomicUsize::new(0));
    let (lines, _) = broadcast::channel(8);
    let (events, _) = broadcast::channel(8);
    let operator = Counting { performed: Arc::clone(&performed), lines: lines.clone(), events: events.clone() };
    tokio::spawn(bound.serve(operator, token.clone(), std::future::pending()));
    Plane { address, token, performed, lines, events }
}

impl Plane {
    fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sends `request` as it is, with `{port}` filled in, and answers the status code.
    async fn send(&self, request: &str) -> u16 {
        let mut socket = TcpStream::connect(self.address).await.expect("it listens");
        let request = request.replace("{port}", &self.port().to_string());
        socket.write_all(request.as_bytes()).await.expect("sent");
        let mut head = [0_u8; 12];
        match socket.read_exact(&mut head).await {
            Ok(_) => std::str::from_utf8(&head[9..12]).expect("ascii").parse().expect("a status"),
            Err(_) => 0,
        }
    }

    fn bearer(&self) -> String {
        let secret = serde_json::to_string(&self.token).expect("serialised");
        format!("authorization: Bearer {}\r\n", secret.trim_matches('"'))
    }

    fn performed(&self) -> usize {
        self.performed.load(Ordering::SeqCst)
    }
}

const JSON: &str = "content-type: application/json\r\ncontent-length: 2\r\n";

#[tokio::test]
async fn s2_only_our_own_names_are_accepted_as_host() {
    let plane = plane().await;
    for host in ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}"] {
        assert_eq!(plane.send(&format!("GET /status HTTP/1.1\r\nhost: {host}\r\n\r\n")).await, 200, "{host}");
    }
    let strangers = [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "localhost.:{port}",
        "LOCALHOST:{port}",
        "user@localhost:{port}",
        "localhost",
        "127.0.0.1:1",
        "0.0.0.0:{port}",
        "",
    ];
    for host in strangers {
        assert_eq!(plane.send(&format!("GET /status HTTP/1.1\r\nhost: {host}\r\n\r\n")).await, 403, "{host:?}");
    }
    let twice = "GET /status HTTP/1.1\r\nhost: localhost:{port}\r\nhost: localhost:{port}\r\n\r\n";
    assert!(matches!(plane.send(twice).await, 400 | 403));
    assert!(matches!(plane.send("GET /status HTTP/1.1\r\n\r\n").await, 400 | 403), "no host at all");
    let absolute = "GET http://evil.example/status HTTP/1.1\r\nhost: evil.example\r\n\r\n";
    assert_eq!(plane.send(absolute).await, 403);
}

#[tokio::test]
async fn s3_a_web_page_of_another_origin_is_turned_away_even_for_reading() {
    let plane = plane().await;
    let ask = |header: &str| format!("GET /status HTTP/1.1\r\nhost: localhost:{{port}}\r\n{header}\r\n\r\n");
    assert_eq!(plane.send(&ask("origin: http://localhost:{port}")).await, 200);
    for header in [
        "origin: http://evil.example",
        "origin: null",
        "origin: https://localhost:{port}",
        "sec-fetch-site: cross-site",
    ] {
        assert_eq!(plane.send(&ask(header)).await, 403, "{header}");
    }
}

#[tokio::test]
async fn s3_nothing_changes_without_post_json_and_the_token() {
    let plane = plane().await;
    let bearer = plane.bearer();
    let post = |headers: &str| format!("POST /stop HTTP/1.1\r\nhost: localhost:{{port}}\r\n{headers}\r\n{{}}");
    let form = format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: 2\r\n{bearer}");
    let refused = [
        (format!("GET /stop HTTP/1.1\r\nhost: localhost:{{port}}\r\n{bearer}\r\n"), 405),
        (post(JSON), 401),
        (post(&format!("{JSON}authorization: Bearer wrong\r\n")), 401),
        (post(&format!("{JSON}authorization: Basic eDp5\r\n")), 401),
        (post(&form), 415),
        (post(&format!("content-length: 2\r\n{bearer}")), 415),
        (post(&format!("{JSON}{bearer}")).replace("/stop", "/exec"), 404),
        (post(&format!("{JSON}{bearer}")).replace("/stop", "/stop%00"), 404),
    ];
    for (request, status) in refused {
        assert_eq!(plane.send(&request).await, status, "{request}");
    }
    assert_eq!(plane.performed(), 0);
    assert_eq!(plane.send(&post(&format!("{JSON}{bearer}"))).await, 200);
    assert_eq!(plane.performed(), 1);
}

#[tokio::test]
async fn the_logs_are_for_the_owner_only() {
    let plane = plane().await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost:{{port}}\r\n\r\n");
    for path in ["/logs", "/logs?follow=true&lines=3"] {
        assert_eq!(plane.send(&ask(path)).await, 401, "{path}");
    }
    for path in ["/status", "/events", "/trend", "/metrics", "/livez", "/readyz", "/healthz"] {
        assert_eq!(plane.send(&ask(path)).await, 200, "{path}");
    }
}

#[tokio::test]
async fn the_same_user_needs_no_configuration() {
    let plane = plane().await;
    let dir = tempfile::tempdir().expect("a directory");
    let absent = Client::from_state_dir(dir.path()).expect_err("nobody is there yet");
    assert!(matches!(absent, ClientError::Access(_)), "{absent}");

    let access = Access { url: format!("http://{}", plane.address), pid: 42, token: plane.token.clone() };
    access.publish(dir.path()).expect("published");
    let client = Client::from_state_dir(dir.path()).expect("found");
    assert_eq!(client.status().await.expect("answered").state, ServerState::Running);
    assert_eq!(client.perform(Verb::Restart).await.expect("done").verb, Verb::Restart);
    let refused = client.perform(Verb::Reset).await.expect_err("refused");
    assert_eq!(refused.to_string(), "nothing has failed");

    let last = client.logs(2, false).await.expect("answered").text().await.expect("whole");
    assert_eq!(last, "two\nthree\n");
    let mut following = client.logs(1, true).await.expect("answered");
    assert_eq!(following.chunk().await.expect("read").expect("a line"), "three\n");
    plane.lines.send("four".to_owned()).expect("somebody listens");
    assert_eq!(following.chunk().await.expect("read").expect("a line"), "four\n");
}

#[tokio::test]
async fn a_reader_of_events_goes_on_where_it_was_and_is_told_what_it_missed() {
    async fn heard(events: &mut Events) -> Heard {
        events.next().await.expect("understood").expect("more")
    }
    let (plane, dir) = (plane().await, tempfile::tempdir().expect("a directory"));
    let client = |plane: &Plane| {
        let access = Access { url: format!("http://{}", plane.address), pid: 42, token: plane.token.clone() };
        access.publish(dir.path()).expect("published");
        Client::from_state_dir(dir.path()).expect("found")
    };
    let mut events = client(&plane).events(1).await.expect("answered");
    for seq in 2..=3 {
        assert_eq!(heard(&mut events).await, Heard::Event(Box::new((*event(seq)).clone())));
    }
    plane.events.send(event(4)).expect("somebody listens");
    assert_eq!(heard(&mut events).await, Heard::Event(Box::new((*event(4)).clone())));
    // Another mlx-tree, which has not come so far, and then one that has.
    for from in [events.position(), 3.into()] {
        let other = self::plane().await;
        let run = format!("{from:?}");
        let mut again = client(&other).events(from).await.expect("answered");
        if run.contains("Some") {
            assert_eq!(heard(&mut again).await, Heard::Restarted);
            assert!(matches!(heard(&mut again).await, Heard::Event(event) if event.seq == 1));
        } else {
            other.events.send(event(4)).expect("somebody listens");
            assert!(matches!(heard(&mut again).await, Heard::Event(event) if event.seq == 4));
        }
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_told_as_such() {
    let dir = tempfile::tempdir().expect("a directory");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    Access { url: format!("http://{free}"), pid: 42, token: Token::random().expect("randomness") }
        .publish(dir.path())
        .expect("published");
    let error = Client::from_state_dir(dir.path()).expect("found").status().await.expect_err("nobody is there");
    assert_eq!(error.to_string(), format!("mlx-tree (pid 42) does not answer at http://{free}"));
}
