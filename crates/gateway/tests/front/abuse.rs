//! Clients that take what is not theirs: connections, time, file descriptors.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mlx_tree_gateway::front::{Acceptor, FrontConfig, Limits};
use tokio::net::{TcpListener, TcpStream};

use crate::stand::{Client, Stand, Told};

const GET: &str = "GET /health HTTP/1.1\r\nHost: HOST\r\n\r\n";
const HOLD: &str = "GET /hold HTTP/1.1\r\nHost: HOST\r\n\r\n";
const POST: &str =
    "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";

/// S12.
#[tokio::test]
async fn a_thousand_idle_connections_do_not_stop_a_probe() {
    let stand = Stand::new().await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        let mut client = stand.client().await;
        // Half of them have begun a request, which is no better than none.
        if idle.len() % 2 == 0 {
            client.raw(b"GET /health HTT").await;
        }
        idle.push(client);
    }
    assert_eq!(stand.ask(GET).await.status, 200);
    idle[0].assert_closed().await;
}

#[tokio::test]
async fn the_connection_that_was_idle_for_the_longest_is_given_up_and_none_with_a_request() {
    let mut stand = Stand::limited(|limits| (limits.connections, limits.reserved) = (3, 1)).await;
    let mut busy = stand.client().await;
    busy.send(HOLD).await;
    assert_eq!(stand.next().await, Told::Called);
    let (mut older, mut newer) = (stand.client().await, stand.client().await);
    newer.send(GET).await;
    assert_eq!(newer.answer().await.status, 200);
    assert_eq!(stand.ask(GET).await.status, 200);
    older.assert_closed().await;
    stand.release.send_replace(1);
    assert_eq!(busy.answer().await.body, "held");
}

#[tokio::test]
async fn work_leaves_connections_for_probes() {
    let mut stand = Stand::limited(|limits| (limits.connections, limits.reserved) = (3, 1)).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = stand.client().await;
        client.send(HOLD).await;
        assert_eq!(stand.next().await, Told::Called);
        busy.push(client);
    }
    stand.ask(HOLD).await.assert_refused(503, "server_overloaded");
    assert_eq!(stand.ask(GET).await.status, 200);
    stand.release.send_replace(1);
    for mut client in busy {
        assert_eq!(client.answer().await.body, "held");
    }
    assert_eq!(stand.ask(HOLD).await.body, "held", "the places are free again");
}

#[tokio::test]
async fn who_comes_when_every_connection_is_in_use_waits_for_one() {
    let mut stand = Stand::limited(|limits| (limits.connections, limits.reserved) = (1, 0)).await;
    let mut busy = stand.client().await;
    busy.send(HOLD).await;
    assert_eq!(stand.next().await, Told::Called);
    let mut waiting = stand.client().await;
    waiting.send(GET).await;
    stand.release.send_replace(1);
    assert_eq!(busy.answer().await.body, "held");
    assert_eq!(waiting.answer().await.status, 200);
}

/// A connection may be taken away at any time before its request has begun, and never after.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_served_gets_the_answer_however_fast_connections_are_taken_away() {
    let stand = Stand::limited(|limits| (limits.connections, limits.reserved) = (3, 0)).await;
    let address = stand.address;
    let asking = (0..16).map(|_| {
        tokio::spawn(async move {
            let mut answered = 0;
            for _ in 0..100 {
                let mut client = Client::connect(address).await;
                // Its answer takes more than one turn of its task, so that it can be interrupted.
                client.send("GET /relay HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
                if client.rest_of_one_answer().await {
                    answered += 1;
                }
            }
            answered
        })
    });
    let mut answered = 0;
    for asking in asking.collect::<Vec<_>>() {
        answered += asking.await.expect("no panic");
    }
    assert!(answered > 0);
    assert_eq!(stand.calls(), answered);
}

/// S12: the slow loris.
#[tokio::test]
async fn a_head_that_does_not_come_to_an_end_is_refused() {
    let stand = Stand::limited(|limits| limits.head_time = Duration::from_millis(100)).await;
    let mut client = stand.client().await;
    client.raw(b"GET /health HTTP/1.1\r\nX: y\r\n").await;
    client.answer().await.assert_refused(408, "request_timeout");
    client.assert_closed().await;
}

/// F53.
#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused_and_never_reaches_the_service() {
    let short: [fn(&mut Limits); 2] = [
        |limits| limits.body_time = Duration::from_millis(100),
        |limits| limits.body_grace = Duration::from_millis(100),
    ];
    for limits in short {
        let stand = Stand::limited(limits).await;
        let mut client = stand.client().await;
        client.send(&(POST.to_owned() + "x")).await;
        client.answer().await.assert_refused(408, "request_timeout");
        client.assert_closed().await;
        assert_eq!(stand.calls(), 0);
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_never_reaches_the_service() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send(&(POST.to_owned() + "x")).await;
    drop(client);
    assert_eq!(stand.ask(GET).await.status, 200);
    assert_eq!(stand.calls(), 1, "the probe");
}

/// A listener that is out of file descriptors for a while.
struct Exhausted {
    listener: TcpListener,
    failures: AtomicUsize,
}

impl Acceptor for Exhausted {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        const EMFILE: i32 = 24;
        let left = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(io::Error::from_raw_os_error(EMFILE)),
            Err(_) => self.listener.accept().await,
        }
    }
}

/// F30.
#[tokio::test]
async fn accepting_goes_on_after_it_has_failed() {
    let mut config = FrontConfig::default();
    config.limits.accept_pause = Duration::from_millis(10);
    let stand = Stand::on(config, |listener| Exhausted { listener, failures: AtomicUsize::new(5) }).await;
    assert_eq!(stand.ask(GET).await.status, 200);
    assert!(!stand.serving.is_finished());
}
