//! Proper and improper requests: framing, versions, bodies, panics.

use crate::stand::{Stand, Told};

const GET: &str = "GET /health HTTP/1.1\r\nHost: HOST\r\n\r\n";

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn proper_requests_are_served_one_after_the_other_on_one_connection() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    for _ in 0..3 {
        client.send(GET).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (200, None));
        client.send(&post("hello").replace("Content-Type", "X-Request-Id: mine-1\r\nContent-Type")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "5 mine-1"));
        assert_eq!(answer.header("x-request-id"), Some("mine-1"));
        client.send("GET /empty HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 204);
        client.send("GET /relay HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
        assert_eq!(client.answer().await.body, "one two three");
    }
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_in_order() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send(&[post("a"), GET.to_owned(), post("abc"), post("ab")].concat()).await;
    let mut bodies = Vec::new();
    for _ in 0..4 {
        bodies.push(client.answer().await.body.split(' ').next().expect("a word").to_owned());
    }
    assert_eq!(bodies, ["1", "0", "3", "2"]);
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    let request = post("abc").replace("HOST", &stand.address.to_string());
    for byte in request.bytes() {
        client.raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert!(client.answer().await.body.starts_with("3 "));
}

/// S11: the full list of tricks is in the framing's own tests; here is what a client sees of each kind.
#[tokio::test]
async fn whatever_could_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let stand = Stand::new().await;
    let head = "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n";
    for attack in [
        format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: gzip\r\n\r\nhello"),
        format!("{head}X: a\r\n b\r\n\r\n"),
        format!("{head}X: a\nY: b\r\n\r\n"),
        format!("{head}X: a\0b\r\n\r\n"),
        "GET /health HTTP/1.1\nHost: HOST\n\n".to_owned(),
        "GET http://HOST/health HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(),
        "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(),
        "\r\n\r\nGET /health HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\0".to_owned(),
    ] {
        let mut client = stand.client().await;
        client.send(&(attack.clone() + GET)).await;
        let answer = client.answer().await;
        answer.assert_refused(400, "malformed_request");
        assert_eq!(answer.header("connection"), Some("close"), "{attack:?}");
        client.assert_closed().await;
    }
    assert_eq!(stand.calls(), 0);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_has_said_all_it_wants_to() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    client.raw(b"nonsense\r\n\r\n").await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.expect("half closed");
    client.answer().await.assert_refused(400, "malformed_request");
}

#[tokio::test]
async fn a_bad_request_after_a_good_one_is_refused_too() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send(&(post("a") + "BAD\r\n\r\n" + GET)).await;
    assert_eq!(client.answer().await.status, 200);
    client.answer().await.assert_refused(400, "malformed_request");
    client.assert_closed().await;
}

#[tokio::test]
async fn what_follows_a_chunked_body_is_not_read() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    let head =
        "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(&format!("{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n{GET}")).await;
    let answer = client.answer().await;
    assert!(answer.body.starts_with("5 "), "{answer:?}");
    assert_eq!(answer.header("connection"), Some("close"));
    client.assert_closed().await;
    assert_eq!(stand.calls(), 1);
}

/// S15.
#[tokio::test]
async fn only_http_1_1_is_spoken() {
    let stand = Stand::new().await;
    for (request, status) in [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET /health HTTP/1.0\r\nHost: HOST\r\n\r\n", 505),
        ("GET /health HTTP/2\r\nHost: HOST\r\n\r\n", 505),
        ("GET /health\r\n", 400),
    ] {
        let mut client = stand.client().await;
        client.send(request).await;
        let answer = client.answer().await;
        let code = if status == 505 { "http_version_not_supported" } else { "malformed_request" };
        answer.assert_refused(status, code);
        client.assert_closed().await;
    }
    let upgrade = "GET /health HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(stand.ask(upgrade).await.status, 200, "an offer that may be passed over");
}

/// S12.
#[tokio::test]
async fn a_head_beyond_its_limits_is_refused() {
    let stand = Stand::new().await;
    let long = format!("GET /health HTTP/1.1\r\nHost: HOST\r\nX: {}\r\n\r\n", "x".repeat(66_000));
    stand.ask(&long).await.assert_refused(431, "headers_too_large");
    let many = format!("GET /health HTTP/1.1\r\nHost: HOST\r\n{}\r\n", "X: y\r\n".repeat(100));
    stand.ask(&many).await.assert_refused(431, "headers_too_large");
    let much = format!("GET /health?{} HTTP/1.1\r\nHost: HOST\r\n\r\n", "x".repeat(65_000));
    assert_eq!(stand.ask(&much).await.status, 200);
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_refused_before_it_comes_or_while_it_does() {
    let stand = Stand::limited(|limits| limits.body_bytes = 1_000).await;
    let head = "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n";
    let mut client = stand.client().await;
    client.send(&format!("{head}Content-Length: 1001\r\n\r\n")).await;
    client.answer().await.assert_refused(413, "body_too_large");
    client.assert_closed().await;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    let answer = stand.ask(&format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}")).await;
    answer.assert_refused(413, "body_too_large");
    assert!(stand.ask(&post(&"x".repeat(1_000))).await.body.starts_with("1000 "));
    assert_eq!(stand.calls(), 1);
}

#[tokio::test]
async fn a_client_that_is_still_sending_can_read_why_its_body_is_too_large() {
    let stand = Stand::limited(|limits| limits.body_bytes = 1_000).await;
    let mut client = stand.client().await;
    client.send(&post(&"x".repeat(1 << 20))).await;
    client.answer().await.assert_refused(413, "body_too_large");
}

/// S12: the sum.
#[tokio::test]
async fn bodies_that_are_too_much_together_are_refused_and_room_comes_back() {
    let mut stand = Stand::limited(|limits| limits.buffered_bytes = 1_000).await;
    let mut first = stand.client().await;
    let hold = format!("GET /hold HTTP/1.1\r\nHost: HOST\r\nContent-Length: 900\r\n\r\n{}", "x".repeat(900));
    first.send(&hold).await;
    assert_eq!(stand.next().await, Told::Called);
    let answer = stand.ask(&post(&"x".repeat(101))).await;
    answer.assert_refused(503, "server_overloaded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(stand.ask(&post(&"x".repeat(100))).await.status, 200);
    stand.release.send_replace(1);
    assert_eq!(first.answer().await.body, "held");
    assert_eq!(stand.ask(&post(&"x".repeat(1_000))).await.status, 200, "all of it is there again");
}

/// S13, S3.
#[tokio::test]
async fn a_body_is_plain_json_or_refused() {
    let stand = Stand::new().await;
    for (fields, status) in [
        ("Content-Type: application/json\r\n", 200),
        ("Content-Type: Application/JSON; charset=utf-8\r\n", 200),
        ("Content-Type: application/json\r\nContent-Encoding: identity\r\n", 200),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 415),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("Content-Type: application/jsonx\r\n", 415),
        ("", 415),
    ] {
        let answer =
            stand.ask(&format!("POST /echo HTTP/1.1\r\nHost: HOST\r\n{fields}Content-Length: 2\r\n\r\n{{}}")).await;
        assert_eq!(answer.status, status, "{fields:?}: {answer:?}");
        if status == 415 {
            answer.assert_refused(415, "unsupported_media_type");
        }
    }
    stand.ask("GET /echo HTTP/1.1\r\nHost: HOST\r\n\r\n").await.assert_refused(405, "method_not_allowed");
    stand.ask("GET /nowhere HTTP/1.1\r\nHost: HOST\r\n\r\n").await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn a_client_may_ask_before_it_sends_its_body() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    let head = "POST /echo HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 2\r\n";
    client.send(&format!("{head}Content-Type: application/json\r\n\r\n")).await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("{}").await;
    assert_eq!(client.answer().await.status, 200);
    let refused = stand.ask(&format!("{head}Content-Type: text/plain\r\n\r\n")).await;
    refused.assert_refused(415, "unsupported_media_type");
}

/// S19.
#[tokio::test]
async fn a_panic_is_a_500_and_nobody_else_notices() {
    let mut stand = Stand::new().await;
    let mut other = stand.client().await;
    other.send("GET /hold HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
    assert_eq!(stand.next().await, Told::Called);
    let mut client = stand.client().await;
    for path in ["/panic", "/panic-at-once", "/panic"] {
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n")).await;
        client.answer().await.assert_refused(500, "internal_error");
    }
    client.send(GET).await;
    assert_eq!(client.answer().await.status, 200, "on the same connection");
    stand.release.send_replace(1);
    assert_eq!(other.answer().await.body, "held");
}

#[tokio::test]
async fn a_panic_in_a_stream_breaks_that_stream_only() {
    let stand = Stand::new().await;
    let mut client = stand.client().await;
    client.send("GET /panic-later HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
    assert!(!client.rest().await.contains("\r\n0\r\n"));
    assert_eq!(stand.ask(GET).await.status, 200);
}

#[tokio::test]
async fn a_stream_that_is_cut_says_its_last_words_and_does_not_look_whole() {
    let stand = Stand::new().await;
    for _ in 0..50 {
        let mut client = stand.client().await;
        client.send("GET /cut HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
        let all = client.rest().await;
        assert!(all.contains("data: last words\n\n"), "{all:?}");
        assert!(!all.contains("\r\n0\r\n"), "no terminating chunk: {all:?}");
    }
}
