//! Attempts at servers that follow a script, on real sockets.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// Long enough on any machine; what is over in time does not wait for it.
const PATIENCE: Duration = Duration::from_secs(20);

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// How a scripted server ends.
#[derive(Clone, Copy)]
enum Last {
    Close,
    Reset,
}

/// A server that takes one request and answers it in these pieces; it resolves with the request.
async fn serve(pieces: &'static [&'static str], last: Last) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let request = request_of(&mut stream).await;
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.expect("the client reads");
            tokio::task::yield_now().await;
        }
        match last {
            Last::Close => {}
            Last::Reset => stream.set_zero_linger().expect("a socket"),
        }
        request
    });
    (address, server)
}

/// Reads a request with its body.
async fn request_of(stream: &mut TcpStream) -> String {
    let mut request = String::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.expect("the client writes");
        assert!(read > 0, "the client has left: {request}");
        request.push_str(std::str::from_utf8(&part[..read]).expect("ASCII"));
        if let Some((head, body)) = request.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length
                .split_once("content-length: ")
                .map_or(0, |(_, rest)| rest.split("\r\n").next().expect("a line").parse().expect("a number"));
            if body.len() == length {
                return request;
            }
        }
    }
}

async fn call(address: SocketAddr) -> Result<Attempt, CallError> {
    let connection = connect(address, PATIENCE).await.expect("it listens");
    let path = PathAndQuery::from_static("/v1/chat/completions?x=1");
    tokio::time::timeout(PATIENCE, connection.call(Call::events(path, Bytes::from_static(b"{}"))))
        .await
        .expect("in time")
}

/// All that a body says, and how it ends.
async fn read(body: &mut Body) -> (String, Result<End, Broken>) {
    let mut text = String::new();
    loop {
        match tokio::time::timeout(PATIENCE, body.frame()).await.expect("in time") {
            Ok(Frame::Data(data)) => {
                assert!(!data.is_empty() && data.len() <= BUFFER);
                text.push_str(std::str::from_utf8(&data).expect("ASCII"));
            }
            Ok(Frame::End(end)) => return (text, Ok(end)),
            Err(broken) => return (text, Err(broken)),
        }
    }
}

async fn answer(pieces: &'static [&'static str], last: Last) -> (String, Result<End, Broken>) {
    let (address, server) = serve(pieces, last).await;
    let mut attempt = call(address).await.expect("an answer");
    assert_eq!(attempt.status, StatusCode::OK);
    let read = read(&mut attempt.body).await;
    server.await.expect("the script goes through");
    read
}

#[tokio::test]
async fn a_request_has_these_headers_and_no_others() {
    let (address, server) = serve(&["HTTP/1.0 200 OK\r\n\r\n"], Last::Close).await;
    call(address).await.expect("an answer");
    let request = server.await.expect("a request").to_ascii_lowercase();
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    let mut lines: Vec<_> = head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "post /v1/chat/completions?x=1 http/1.1");
    lines.sort_unstable();
    let host = format!("host: {address}");
    let accept = "accept: text/event-stream, application/json";
    assert_eq!(lines, [accept, "connection: close", "content-length: 2", "content-type: application/json", &host]);
    assert_eq!(body, "{}");
}

#[tokio::test]
async fn a_get_has_no_body() {
    let (address, server) = serve(&["HTTP/1.1 204 No Content\r\n\r\n"], Last::Close).await;
    let call = Call { verb: Verb::Get, path: PathAndQuery::from_static("/health"), accept: Accept::Json };
    let mut attempt = connect(address, PATIENCE).await.expect("it listens").call(call).await.expect("an answer");
    assert!(matches!(read(&mut attempt.body).await, (text, Ok(End::Framed)) if text.is_empty()));
    let request = server.await.expect("a request").to_ascii_lowercase();
    assert!(request.starts_with("get /health http/1.1\r\n") && !request.contains("content-"), "{request}");
}

#[tokio::test]
async fn how_a_body_ends_is_told() {
    let eof = answer(&["HTTP/1.0 200 OK\r\n\r\n", "data: a\n\n", "data: b\n\n"], Last::Close).await;
    assert!(matches!(&eof, (text, Ok(End::Eof)) if text == "data: a\n\ndata: b\n\n"), "{eof:?}");
    let length = answer(&["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "ab", "cd"], Last::Close).await;
    assert!(matches!(&length, (text, Ok(End::Framed)) if text == "abcd"), "{length:?}");
    let chunks = answer(&[CHUNKED, "2\r\nab\r\n", "1\r\nc\r\n0\r\n\r\n"], Last::Close).await;
    assert!(matches!(&chunks, (text, Ok(End::Framed)) if text == "abc"), "{chunks:?}");
}

#[tokio::test]
async fn f55_a_body_that_is_shorter_than_announced_is_broken_and_a_longer_one_is_cut_there() {
    let shorter = answer(&["HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", "{}"], Last::Close).await;
    assert!(matches!(&shorter, (text, Err(_)) if text == "{}"), "{shorter:?}");
    let longer = answer(&["HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", "{}<html>"], Last::Close).await;
    assert!(matches!(&longer, (text, Ok(End::Framed)) if text == "{}"), "{longer:?}");
    let chunks = answer(&[CHUNKED, "5\r\nab"], Last::Close).await;
    assert!(matches!(&chunks, (_, Err(_))), "{chunks:?}");
    let no_last_chunk = answer(&[CHUNKED, "2\r\nab\r\n"], Last::Close).await;
    assert!(matches!(&no_last_chunk, (text, Err(_)) if text == "ab"), "{no_last_chunk:?}");
}

#[tokio::test]
async fn f60_a_reset_inside_a_stream_is_no_end_of_it() {
    let reset = answer(&["HTTP/1.0 200 OK\r\n\r\n", "data: a\n\n"], Last::Reset).await;
    assert!(reset.1.is_err(), "{reset:?}");
}

#[tokio::test]
async fn f54_a_server_that_closes_before_its_head_is_whole_has_not_answered() {
    const INSIDE: &[&str] = &["HTTP/1.0 200 OK\r\nContent-Ty"];
    for (pieces, last) in [(&[][..], Last::Close), (&[], Last::Reset), (INSIDE, Last::Close), (INSIDE, Last::Reset)] {
        let (address, _server) = serve(pieces, last).await;
        let error = call(address).await.expect_err("no answer");
        assert!(matches!(error, CallError::Closed(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_head_that_is_no_http_is_told_apart_from_none() {
    const BAD: [&[&str]; 4] = [
        &["SSH-2.0-OpenSSH_9.6\r\n\r\n"],
        &["HTTP/1.1 2000 OK\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n"],
        &["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ];
    for pieces in BAD {
        let (address, _server) = serve(pieces, Last::Close).await;
        let error = call(address).await.expect_err("no answer");
        assert!(matches!(error, CallError::BadHead(_)), "{pieces:?}: {error:?}");
    }
    let (address, _server) = serve(&["HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"], Last::Close).await;
    assert!(matches!(call(address).await.expect_err("no answer"), CallError::Switched));
}

#[tokio::test]
async fn a_head_is_only_so_large() {
    let large: &'static str = format!("HTTP/1.0 200 OK\r\nX: {}\r\n\r\n", "x".repeat(3 * BUFFER)).leak();
    let many: &'static str = format!("HTTP/1.0 200 OK\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1)).leak();
    for head in [large, many] {
        let (address, _server) = serve(vec![head].leak(), Last::Close).await;
        let error = call(address).await.expect_err("no answer");
        assert!(matches!(error, CallError::HeadTooLarge(_)), "{error:?}");
    }
}

#[tokio::test]
async fn of_the_headers_only_the_allowed_ones_come_through() {
    const HEAD: &str =
        "HTTP/1.0 503 No\r\nServer: x\r\nSet-Cookie: a\r\nRetry-After: 7\r\nContent-Type: text/html\r\n\r\n";
    let (address, _server) = serve(&[HEAD], Last::Close).await;
    let attempt = call(address).await.expect("an answer");
    assert_eq!(attempt.status, StatusCode::SERVICE_UNAVAILABLE);
    let names: Vec<_> = attempt.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(names, [("content-type", &b"text/html"[..]), ("retry-after", b"7")]);
}

#[tokio::test]
async fn a_large_body_comes_in_frames_of_bounded_size() {
    let body: &'static str = "x".repeat(4 * 1024 * 1024).leak();
    let (text, end) = answer(vec!["HTTP/1.0 200 OK\r\n\r\n", body].leak(), Last::Close).await;
    assert!(text == body && matches!(end, Ok(End::Eof)));
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    assert!(matches!(connect(address, PATIENCE).await, Err(ConnectError::Refused)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_does_not_accept_is_not_waited_for_longer_than_said() {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("an address");
    // Its queue takes two, whom it does not accept; the kernel drops what comes then.
    let limit = Duration::from_millis(200);
    let mut queued = Vec::new();
    let error = loop {
        match connect(address, limit).await {
            Ok(connection) => queued.push(connection),
            Err(error) => break error,
        }
        assert!(queued.len() < 16, "the queue is bounded");
    };
    assert!(matches!(error, ConnectError::TimedOut { limit: told } if told == limit), "{error:?}");
}

/// A server that sends `first`, then waits for the client to leave, and resolves when it has.
async fn abandoned(first: &'static str) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        request_of(&mut stream).await;
        stream.write_all(first.as_bytes()).await.expect("the client is there");
        assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)), "the client says no more");
    });
    (address, server)
}

#[tokio::test]
async fn f50_dropping_the_body_closes_the_connection() {
    let (address, server) = abandoned("HTTP/1.0 200 OK\r\n\r\ndata: a\n\n").await;
    let mut attempt = call(address).await.expect("an answer");
    assert!(matches!(attempt.body.frame().await, Ok(Frame::Data(_))));
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 1, "the server, and nobody who drives the connection");
    drop(attempt);
    tokio::time::timeout(PATIENCE, server).await.expect("in time").expect("the client has left");
}

#[tokio::test]
async fn f50_dropping_the_call_closes_the_connection() {
    let (address, server) = abandoned("HTTP/1.0 ").await;
    let connection = connect(address, PATIENCE).await.expect("it listens");
    let call = connection.call(Call::events(PathAndQuery::from_static("/"), Bytes::from_static(b"{}")));
    tokio::time::timeout(Duration::from_millis(200), call).await.expect_err("it does not answer");
    tokio::time::timeout(PATIENCE, server).await.expect("in time").expect("the client has left");
}

#[tokio::test]
async fn f59_a_wait_for_a_silent_server_can_be_given_up_and_taken_up_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (go_on, told) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        request_of(&mut stream).await;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.expect("the client is there");
        told.await.expect("it goes on");
        stream.write_all(b"data: a\n\n").await.expect("the client is there");
    });
    let mut attempt = call(address).await.expect("an answer");
    for _ in 0..3 {
        let stall = tokio::time::timeout(Duration::from_millis(20), attempt.body.frame()).await;
        assert!(stall.is_err(), "{stall:?}");
    }
    go_on.send(()).expect("the server waits");
    assert!(matches!(read(&mut attempt.body).await, (text, Ok(End::Eof)) if text == "data: a\n\n"));
    server.await.expect("the script goes through");
}
