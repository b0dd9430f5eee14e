//! Clients that leave, and a front that goes down.

use std::time::Duration;

use mlx_tree_gateway::front::Stop;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::stand::{BIG, Stand, Told, soon};

const HOLD: &str = "GET /hold HTTP/1.1\r\nHost: HOST\r\n\r\n";
const GET: &str = "GET /health HTTP/1.1\r\nHost: HOST\r\n\r\n";

/// What is told of one held request when its client leaves, in either order.
async fn assert_left(stand: &mut Stand) {
    let told = [stand.next().await, stand.next().await];
    assert!(told.contains(&Told::Gone) && told.contains(&Told::Dropped), "{told:?}");
}

/// F50: queued or in prefill, which is all the same here.
#[tokio::test]
async fn a_client_that_closes_while_it_waits_is_noticed() {
    let mut stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send(HOLD).await;
    assert_eq!(stand.next().await, Told::Called);
    drop(client);
    assert_left(&mut stand).await;
}

/// F50, where the library alone would not look: with bytes of a next request in hand.
#[tokio::test]
async fn a_client_that_closes_with_requests_sent_ahead_is_noticed() {
    for ahead in [1, 20_000] {
        let mut stand = Stand::new().await;
        let mut client = stand.client().await;
        client.send(&(HOLD.to_owned() + &GET.repeat(ahead))).await;
        assert_eq!(stand.next().await, Told::Called);
        drop(client);
        assert_left(&mut stand).await;
    }
}

#[tokio::test]
async fn a_client_that_sends_far_too_much_ahead_gets_its_answer_and_no_more() {
    let mut stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send(HOLD).await;
    assert_eq!(stand.next().await, Told::Called);
    client.send(&GET.repeat(20_000)).await;
    stand.release.send_replace(1);
    assert_eq!(client.answer().await.body, "held");
    let mut answered = 0;
    while client.fill().await.is_ok_and(|read| read > 0) {
        answered += 1;
        assert!(answered < 20_000);
    }
    assert!(stand.calls() < 20_000, "the rest is dropped");
}

/// F50: a client that resets.
#[tokio::test]
async fn a_client_that_resets_while_it_waits_is_noticed() {
    let mut stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send(HOLD).await;
    assert_eq!(stand.next().await, Told::Called);
    client.stream.set_zero_linger().expect("linger");
    drop(client);
    assert_left(&mut stand).await;
}

/// F51: documented.
#[tokio::test]
async fn a_client_that_closes_its_side_has_left() {
    let mut stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send(HOLD).await;
    assert_eq!(stand.next().await, Told::Called);
    client.stream.shutdown().await.expect("half closed");
    assert_left(&mut stand).await;
    client.assert_closed().await;
}

/// F50: streaming.
#[tokio::test]
async fn a_client_that_closes_during_its_stream_is_noticed() {
    let mut stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send("GET /stream HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
    client.until("xxx").await;
    assert_eq!(stand.next().await, Told::Called);
    drop(client);
    assert_eq!(stand.next().await, Told::Dropped, "its sender is told");
}

/// S14, F52.
#[tokio::test]
async fn a_client_that_never_reads_is_given_up() {
    let mut stand = Stand::limited(|limits| limits.write_time = Duration::from_millis(200)).await;
    let mut client = stand.client().await;
    client.send("GET /stream HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
    assert_eq!(stand.next().await, Told::Called);
    assert_eq!(stand.next().await, Told::Dropped);
    assert_eq!(stand.ask(GET).await.status, 200);
    drop(client);
}

#[tokio::test]
async fn a_connection_without_a_request_times_out() {
    let stand = Stand::limited(|limits| limits.idle_time = Duration::from_millis(50)).await;
    let mut silent = stand.client().await;
    silent.assert_closed().await;
    let mut client = stand.client().await;
    client.send(GET).await;
    assert_eq!(client.answer().await.status, 200);
    client.assert_closed().await;
}

#[tokio::test]
async fn draining_closes_what_is_idle_and_finishes_the_rest() {
    let mut stand = Stand::new().await;
    let mut idle = stand.client().await;
    idle.send(GET).await;
    assert_eq!(idle.answer().await.status, 200);
    assert_eq!(stand.next().await, Told::Called);
    let mut busy = stand.client().await;
    busy.send(HOLD).await;
    assert_eq!(stand.next().await, Told::Called);
    stand.stop.send_replace(Stop::Drain);
    idle.assert_closed().await;
    assert!(!stand.serving.is_finished());
    soon(async { while TcpStream::connect(stand.address).await.is_ok() {} }).await;
    stand.release.send_replace(1);
    let answer = busy.answer().await;
    assert_eq!((answer.body.as_str(), answer.header("connection")), ("held", Some("close")));
    busy.assert_closed().await;
    drop(busy);
    soon(stand.serving).await.expect("it ends by itself");
}

#[tokio::test]
async fn an_answer_that_is_still_being_written_is_no_idle_connection() {
    let mut stand = Stand::limited(|limits| (limits.connections, limits.reserved) = (1, 0)).await;
    let mut slow = stand.client().await;
    slow.send("GET /big HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
    assert_eq!(stand.next().await, Told::Called);
    slow.until("\r\n\r\nx").await;
    // Neither somebody who wants the connection nor the end of the front takes it away.
    let mut other = stand.client().await;
    other.send(GET).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    stand.stop.send_replace(Stop::Drain);
    soon(async { while TcpStream::connect(stand.address).await.is_ok() {} }).await;
    assert_eq!(slow.rest().await.len(), BIG - 1);
    drop(slow);
    soon(stand.serving).await.expect("it ends by itself");
}

#[tokio::test]
async fn aborting_ends_what_will_not_end() {
    let mut stand = Stand::new().await;
    let mut busy = stand.client().await;
    busy.send(HOLD).await;
    assert_eq!(stand.next().await, Told::Called);
    stand.stop.send_replace(Stop::Drain);
    stand.stop.send_replace(Stop::Abort);
    soon(&mut stand.serving).await.expect("it ends");
    assert_left(&mut stand).await;
    busy.assert_closed().await;
}
