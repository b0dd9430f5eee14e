//! What must not be let happen, tried with hand-written requests.

use crate::plane::{JSON, plane};

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
