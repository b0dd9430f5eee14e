//! How much of mlx-tree callers can take up: floods, dawdlers, and callers who do not read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use mlx_tree_api::ServerState;
use mlx_tree_control::Limits;
use tokio::net::TcpStream;

use crate::plane::{Answer, JSON, Mood, Plane, closed, event, plane, plane_with, status_of};

const STREAM: &str = "GET /events HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n";
const STATUS: &str = "GET /status HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n";

async fn open(plane: &Plane, request: &str, count: usize) -> Vec<TcpStream> {
    join_all((0..count).map(|_| plane.open(request))).await
}

#[tokio::test]
async fn s12_a_thousand_sockets_that_only_idle_keep_nobody_out() {
    let plane = plane().await;
    for begun in ["", "GET /status HTT", "POST /stop HTTP/1.1\r\nhost: loc"] {
        let mut idle = open(&plane, begun, 333).await;
        assert_eq!(plane.send(STATUS).await, 200, "{begun:?}");
        // The first ones have given way.
        closed(&mut idle[0]).await;
        assert_eq!(plane.send(STATUS).await, 200, "{begun:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_being_answered_gives_way_to_nobody() {
    let plane = plane_with(Limits { connections: 4, ..Limits::default() }).await;
    let mut stream = plane.open(STREAM).await;
    assert_eq!(status_of(&mut stream).await, 200);
    let _idle = open(&plane, "", 100).await;
    assert_eq!(plane.send(STATUS).await, 200);
    plane.events.send(event(4)).expect("the stream is still there");
}

#[tokio::test]
async fn streams_take_a_part_of_the_places_and_some_are_kept_for_the_token() {
    let limits = Limits { connections: 8, streams: 4, open_streams: 2, ..Limits::default() };
    let plane = plane_with(limits).await;
    let owned = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost:{{port}}\r\n{}\r\n", plane.bearer());
    let mut streams = open(&plane, STREAM, 2).await;
    for stream in &mut streams {
        assert_eq!(status_of(stream).await, 200);
    }
    let Answer { status, text } = plane.get("/events", "").await;
    assert_eq!(status, 503);
    assert!(text.contains("retry-after: 1\r\n") && text.contains("too_many_streams"), "{text}");
    for path in ["/events", "/logs?follow=true"] {
        let mut stream = plane.open(&owned(path)).await;
        assert_eq!(status_of(&mut stream).await, 200, "{path}");
        streams.push(stream);
    }
    assert_eq!(plane.send(&owned("/events")).await, 503);
    assert_eq!(plane.get("/events", "accept: application/x-ndjson\r\n").await.status, 200, "this one ends");
    assert_eq!(plane.send(STATUS).await, 200);
    // A place that is given back can be had again.
    drop(streams.remove(0));
    while plane.send(STREAM).await == 503 {}
}

#[tokio::test]
async fn who_dawdles_is_closed() {
    let short = Duration::from_millis(100);
    let plane = plane_with(Limits { head: short, idle: 3 * short, body: short, ..Limits::default() }).await;
    closed(&mut plane.open("GET /status HTT").await).await;
    closed(&mut plane.open("").await).await;
    let mut used = plane.open(STATUS).await;
    assert_eq!(status_of(&mut used).await, 200);
    closed(&mut used).await;
    let slow = format!("POST /stop HTTP/1.1\r\nhost: localhost:{{port}}\r\n{}{JSON}\r\n{{", plane.bearer());
    assert_eq!(plane.send(&slow).await, 408);
    assert_eq!(plane.performed(), 0);
}

#[tokio::test]
async fn s14_who_does_not_read_its_stream_is_cut_off() {
    let plane = plane_with(Limits { blocked: Duration::from_millis(200), ..Limits::default() }).await;
    let mut streams = open(&plane, STREAM, 8).await;
    for stream in &mut streams {
        assert_eq!(status_of(stream).await, 200);
    }
    // Until each is gone: what a caller does not take is kept for it in buffers of the system only.
    while plane.events.receiver_count() > 0 {
        let _ = plane.events.send(event(4));
        tokio::task::yield_now().await;
    }
    assert_eq!(plane.send(STATUS).await, 200);
}

#[tokio::test]
async fn heads_and_bodies_have_a_size() {
    let plane = plane().await;
    let long = "x".repeat(256 << 10);
    let line = format!("GET /{long} HTTP/1.1\r\nhost: localhost:{{port}}\r\n\r\n");
    assert!(matches!(plane.send(&line).await, 414 | 431));
    let header = format!(
        "GET /status HTTP/1.1
host: localhost:{{port}}
x: {long}

"
    );
    assert_eq!(plane.send(&header).await, 431);
    // To the byte, whatever pieces it comes in.
    let of_length = |length: usize| {
        let head = format!("GET /status HTTP/1.1\r\nhost: localhost:{}\r\n", plane.address.port());
        let pad = "x".repeat(length - head.len() - "x: \r\n\r\n".len());
        format!("{head}x: {pad}\r\n\r\n")
    };
    assert_eq!(plane.send(&of_length(64 << 10)).await, 200);
    assert_eq!(plane.send(&of_length((64 << 10) + 1)).await, 431);
    let many: String = (0..80).map(|at| format!("x-{at}: y\r\n")).collect();
    assert_eq!(plane.send(&format!("GET /status HTTP/1.1\r\nhost: localhost:{{port}}\r\n{many}\r\n")).await, 431);
    let post = |body: &str| {
        let (length, bearer) = (body.len(), plane.bearer());
        let head =
            format!("POST /stop HTTP/1.1\r\nhost: localhost:{{port}}\r\n{bearer}content-type: application/json\r\n");
        format!("{head}content-length: {length}\r\n\r\n{body}")
    };
    assert_eq!(plane.send(&post(&" ".repeat(1025))).await, 413);
    for argument in [r#"{"command":["sh"]}"#, "[]", "null", "x", r#"{"env":{"A":"b"}}"#, "{} {}"] {
        assert_eq!(plane.send(&post(argument)).await, 400, "{argument}");
    }
    assert_eq!(plane.performed(), 0);
    for nothing in ["", "{}", " { } "] {
        assert_eq!(plane.send(&post(nothing)).await, 200, "{nothing:?}");
    }
}

#[tokio::test]
async fn f74_who_asks_too_often_without_the_token_is_told_so_and_its_holder_is_not() {
    let plane = plane_with(Limits { rate: 1, burst: 20, ..Limits::default() }).await;
    let asked = join_all((0..60).map(|_| plane.get("/metrics", ""))).await;
    let count = |code: u16| asked.iter().filter(|answer| answer.status == code).count();
    assert_eq!(count(200) + count(429) + count(0), 60);
    assert!((20..40).contains(&count(200)), "{}", count(200));
    let refused = asked.iter().find(|answer| answer.status == 429).expect("one of them");
    assert!(refused.text.contains("retry-after: 1\r\n"), "{}", refused.text);
    let bearer = plane.bearer();
    let owned = join_all((0..60).map(|_| plane.get("/status", &bearer))).await;
    assert!(owned.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn f74_a_flood_is_answered_and_the_tree_is_asked_a_few_times_only() {
    let plane = plane().await;
    let bearer = plane.bearer();
    let started = tokio::time::Instant::now();
    let one = async |path: &'static str| {
        for _ in 0..25 {
            assert_eq!(plane.get(path, &bearer).await.status, 200);
        }
    };
    join_all((0..40).map(|at| one(if at % 2 == 0 { "/status" } else { "/metrics" }))).await;
    let asked = plane.asked.load(Ordering::SeqCst);
    let allowed = 2 * (6 + usize::try_from(started.elapsed().as_millis()).expect("short") * 20 / 1000);
    assert!(asked <= allowed, "{asked} times for 1,000 requests; {allowed} at most");
}

#[tokio::test]
async fn a_tree_that_does_not_answer_is_told_of_and_nothing_hangs() {
    let short = Duration::from_millis(50);
    let plane = plane_with(Limits { answer: short, round_trip: short, ..Limits::default() }).await;
    let codes = async || {
        let mut codes = Vec::new();
        for path in ["/livez", "/readyz", "/healthz", "/status"] {
            codes.push(plane.get(path, "").await.status);
        }
        codes
    };
    assert_eq!(codes().await, [200, 200, 200, 200]);
    *plane.mood.lock().expect("not poisoned") = Mood::Silent;
    assert_eq!(codes().await, [503, 503, 503, 503]);
    let silent = plane.get("/status", "").await.text;
    assert!(silent.contains("retry-after: 1\r\n") && silent.contains("tree_silent"), "{silent}");
    *plane.mood.lock().expect("not poisoned") = Mood::Ended;
    assert_eq!(codes().await, [503, 200, 200, 200]);
    *plane.mood.lock().expect("not poisoned") = Mood::Panicking;
    assert_eq!(codes().await, [500, 500, 500, 500]);
    *plane.mood.lock().expect("not poisoned") = Mood::Fine;
    assert_eq!(codes().await, [200, 200, 200, 200], "a panic costs its own request only");
}

#[tokio::test]
async fn f47_what_is_degraded_is_told_and_is_no_health() {
    let plane = plane().await;
    plane.status.lock().expect("not poisoned").degraded = vec!["the child health fails again and again".to_owned()];
    let ready = plane.get("/readyz", "").await;
    assert_eq!(ready.status, 200, "it serves");
    assert!(ready.text.contains(r#""degraded":["the child health fails again and again"]"#), "{}", ready.text);
    let health = plane.get("/healthz", "").await;
    assert_eq!(health.status, 503);
    assert!(health.text.contains(r#""reasons":["the child health fails again and again"]"#), "{}", health.text);
    plane.status.lock().expect("not poisoned").state = ServerState::Restarting;
    assert_eq!(plane.get("/readyz", "").await.status, 503);
}
