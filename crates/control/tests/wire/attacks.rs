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
        "127.0.0.1.:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "localhost:0{port}",
        "localhost:{port}, evil.example",
        "[::1%lo]:{port}",
        "[::ffff:127.0.0.1]:{port}",
        "",
    ];
    for host in strangers {
        assert_eq!(plane.send(&format!("GET /status HTTP/1.1\r\nhost: {host}\r\n\r\n")).await, 403, "{host:?}");
    }
    let twice = "GET /status HTTP/1.1\r\nhost: localhost:{port}\r\nhost: localhost:{port}\r\n\r\n";
    assert!(matches!(plane.send(twice).await, 400 | 403));
    assert!(matches!(plane.send("GET /status HTTP/1.1\r\n\r\n").await, 400 | 403), "no host at all");
    // The address in the first line must say the same.
    let absolute = |line: &str, host: &str| format!("GET {line}/status HTTP/1.1\r\nhost: {host}:{{port}}\r\n\r\n");
    for (line, host) in [
        ("http://evil.example", "localhost"),
        ("http://localhost:{port}", "127.0.0.1"),
        ("http://user@localhost:{port}", "localhost"),
        ("http://LOCALHOST:{port}", "localhost"),
        ("https://localhost:{port}", "localhost"),
        ("http://localhost:1", "localhost"),
    ] {
        assert_eq!(plane.send(&absolute(line, host)).await, 403, "{line} {host}");
    }
    assert_eq!(plane.send(&absolute("http://localhost:{port}", "localhost")).await, 200);
    for version in ["HTTP/1.0", "HTTP/2.0"] {
        let old = format!("GET /status {version}\r\nhost: localhost:{{port}}\r\n\r\n");
        assert!(matches!(plane.send(&old).await, 400 | 505 | 0), "{version}");
    }
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
        "origin: http://localhost",
        "origin: http://localhost:1",
        "origin: http://LOCALHOST:{port}",
        "origin: http://localhost:{port}/",
        "origin: http://localhost:{port}\r\norigin: http://localhost:{port}",
        "origin:",
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
        (format!("GET /statu HTTP/1.1\r\nhost: localhost:{{port}}\r\n{bearer}\r\n"), 404),
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

/// One request is one request: what could be read as two changes nothing, and nothing behind it is read.
#[tokio::test]
async fn s11_nobody_smuggles_a_verb_behind_another_request() {
    let plane = plane().await;
    let bearer = plane.bearer();
    let verb = format!("POST /stop HTTP/1.1\r\nhost: localhost:{{port}}\r\n{bearer}{JSON}");
    let hidden = format!("{verb}\r\n{{}}");
    for (framing, status) in [
        ("transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 411),
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("transfer-encoding: identity\r\n\r\n", 400),
        ("content-length: 2\r\ncontent-length: 3\r\n\r\n{}", 400),
        ("content-length: +2\r\n\r\n{}", 400),
        ("x: a\r\n b\r\n\r\n", 400),
        ("x : a\r\n\r\n", 400),
        ("x: a\0b\r\n\r\n", 400),
    ] {
        let request = format!(
            "POST /reset HTTP/1.1\r\nhost: localhost:{{port}}\r\n{bearer}content-type: application/json\r\n{framing}"
        );
        assert_eq!(plane.send(&(request + &hidden)).await, status, "{framing:?}");
    }
    let body =
        format!("GET /status HTTP/1.1\r\nhost: localhost:{{port}}\r\ncontent-length: {}\r\n\r\n", hidden.len() + 5);
    assert_eq!(plane.send(&(body + &hidden)).await, 200);
    assert_eq!(plane.performed(), 0);
}

#[tokio::test]
async fn the_logs_are_for_the_owner_only() {
    let plane = plane().await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost:{{port}}\r\n\r\n");
    for path in ["/logs", "/logs?follow=true&lines=3", "/plan"] {
        assert_eq!(plane.send(&ask(path)).await, 401, "{path}");
    }
    for path in ["/status", "/events", "/trend", "/metrics", "/livez", "/readyz", "/healthz"] {
        assert_eq!(plane.send(&ask(path)).await, 200, "{path}");
    }
}

/// One answer for all that is wrong with a token, in one form, and nowhere a place for it but its header.
#[tokio::test]
async fn s9_s18_a_wrong_token_is_told_nothing_and_one_in_an_address_is_none() {
    let plane = plane().await;
    let secret = plane.token.secret().to_owned();
    let shown = |value: &str| format!("{JSON}authorization: {value}\r\n");
    let mut bodies = Vec::new();
    for headers in [
        JSON.to_owned(),
        shown("Bearer"),
        shown("Bearer "),
        shown(&format!("Bearer {}", &secret[1..])),
        shown(&format!("Bearer {secret}0")),
        shown(&format!("Bearer {}", secret.to_uppercase())),
        shown(&format!("bearer {secret}")),
        shown(&format!("Basic {secret}")),
        shown(&secret),
        shown(&format!("Bearer {secret}")) + &format!("authorization: Bearer {secret}\r\n"),
        shown("Bearer \u{e9}"),
        format!("{JSON}cookie: token={secret}\r\nx-token: {secret}\r\n"),
    ] {
        let request = format!(
            "POST /stop?token={secret} HTTP/1.1\r\nhost: localhost:{{port}}\r\n{headers}connection: close\r\n\r\n{{}}"
        );
        let answer = plane.ask(&request).await;
        assert_eq!(answer.status, 401, "{headers}");
        let date = |line: &&str| !line.starts_with("date: ");
        bodies.push(answer.text.lines().filter(date).collect::<Vec<_>>().join("\n"));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(bodies[0].contains("www-authenticate: Bearer") && !bodies[0].contains(&secret), "{}", bodies[0]);
    for path in ["/logs", "/logs?follow=true"] {
        let joint = if path.contains('?') { '&' } else { '?' };
        assert_eq!(plane.get(&format!("{path}{joint}token={secret}&access_token={secret}"), "").await.status, 401);
    }
    assert_eq!(plane.performed(), 0);
}

/// Nothing but the seven verbs can be asked for, however it is spelt.
#[tokio::test]
async fn s7_there_are_seven_verbs_and_no_other_way_to_change_anything() {
    let plane = plane().await;
    let bearer = plane.bearer();
    for path in [
        "/Stop",
        "/stop/",
        "//stop",
        "/./stop",
        "/x/../stop",
        "/stop;x",
        "/config",
        "/env",
        "/exec",
        "/run",
        "/shell",
        "/status",
        "/events",
        "/logs",
        "/",
        "/assets/../stop",
    ] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: localhost:{{port}}\r\n{bearer}{JSON}\r\n{{}}");
        assert!(matches!(plane.send(&request).await, 404 | 405), "{path}");
    }
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "QUERY"] {
        let request = format!("{method} /stop HTTP/1.1\r\nhost: localhost:{{port}}\r\n{bearer}{JSON}\r\n{{}}");
        assert!(matches!(plane.send(&request).await, 400 | 403 | 404 | 405), "{method}");
    }
    assert_eq!(plane.performed(), 0);
}

/// No page frames it, no script of others runs in it, and nobody keeps a copy.
#[tokio::test]
async fn s10_s18_every_answer_forbids_what_a_browser_could_do_with_it() {
    let plane = plane().await;
    for path in ["/", "/assets/app.js", "/status", "/metrics", "/events?follow=false", "/nothing", "/logs"] {
        let answer = plane.get(path, "").await;
        let head = answer.text.split("\r\n\r\n").next().expect("a head").to_lowercase();
        for mark in ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "frame-ancestors 'none'"] {
            assert!(head.contains(mark), "{path}: {mark}: {head}");
        }
        assert!(head.contains("default-src 'none'") || head.contains("default-src 'self'"), "{path}: {head}");
        assert!(!head.contains("unsafe-inline") && !head.contains("access-control-allow"), "{path}: {head}");
    }
}
