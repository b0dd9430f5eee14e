//! What is counted and measured of a life: a server that serves, is killed and comes back.

use mlx_tree::api::Phase;
use mlx_tree::control::Verb;
use mlx_tree::data_plane::Code;
use mlx_tree::metrics::words;
use mlx_tree::workers::server::diagnosis::Reason;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::Setup;
use crate::support::gateway::{plain, sampled, streamed, with};

/// The reader of the metrics' own tests: as strict as a scraper.
#[path = "../../crates/metrics/src/tests/parser.rs"]
mod parser;

const SERVER: (&str, &str) = ("server", "server");

#[tokio::test]
async fn a_life_is_counted_and_nothing_of_what_clients_say_is_told() {
    const SECRET: &str = "hush-not-in-metrics";
    let tree = Setup::demo(&[]).start();
    let first = tree.ready(1).await;
    let gateway = tree.gateway().await;
    let headers = [("X-Request-Id", SECRET), ("X-Secret", SECRET), ("Authorization", SECRET)];
    for (body, status) in [
        (plain(SECRET), 200),
        (streamed(SECRET), 200),
        (sampled(SECRET), 200),
        (with(plain(SECRET), "temperature", json!(SECRET)), 400),
        (with(plain(SECRET), "model", SECRET), 404),
    ] {
        assert_eq!(gateway.send_with(&headers, &body).await.answer().await.head.status, status);
    }
    crate::support::send(first.process_pid.expect("it serves"), Signal::SIGKILL);
    assert_eq!(gateway.ask(&plain("hello again")).await.head.status, 200);
    let status = tree.ready(2).await;
    tree.balanced().await;

    let page = tree.client().metrics().await.expect("it answers");
    assert!(!page.contains(SECRET), "{page}");
    let text = parser::parse(&page).expect("it keeps to its format");
    let value = |name: &str, labels: &[(&str, &str)]| {
        text.value(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in:\n{page}"))
    };
    for name in ["mlx_tree_server_restarts_total", "mlx_tree_server_exits_total"] {
        assert_eq!(value(name, &[SERVER, ("reason", "killed")]), 1.0);
    }
    assert_eq!(status.restart_count, 1, "which is what the one reason comes to");
    assert_eq!(value("mlx_tree_server_starts_total", &[SERVER]), 2.0);
    assert_eq!(value("mlx_tree_server_start_seconds_count", &[SERVER]), 2.0);
    assert_eq!(value("mlx_tree_server_time_to_recover_seconds_count", &[SERVER]), 1.0);
    assert_eq!(value("mlx_tree_server_up", &[SERVER]), 1.0);
    assert_eq!(value("mlx_tree_server_phase", &[SERVER, ("phase", "ready")]), 1.0);
    assert!(value("mlx_tree_server_phase_seconds_total", &[SERVER, ("phase", "backoff")]) > 0.0);
    assert!(value("mlx_tree_server_memory_bytes", &[SERVER]) > 100_000.0);
    assert!(value("mlx_tree_probe_seconds_count", &[SERVER, ("probe", "first_canary"), ("outcome", "good")]) >= 2.0);
    let requests = |server, outcome, code| {
        value("mlx_tree_requests_total", &[("server", server), ("outcome", outcome), ("code", code)])
    };
    assert_eq!(requests("server", "answered", ""), 4.0);
    assert_eq!(
        (requests("", "rejected", "invalid_parameter"), requests("", "rejected", "model_not_found")),
        (1.0, 1.0)
    );
    assert_eq!(value("mlx_tree_attempts_total", &[SERVER, ("end", "answered")]), 4.0);
    // Whether it came too early to be held, the events know.
    let held = text.value("mlx_tree_events_total", &[("event", "request.held")]).unwrap_or(0.0);
    assert_eq!(value("mlx_tree_request_holds_total", &[SERVER]), held);
    assert_eq!(value("mlx_tree_request_first_byte_seconds_count", &[SERVER]), 4.0);
    assert!(value("mlx_tree_tokens_total", &[SERVER]) >= 4.0);
    assert_eq!(value("mlx_tree_events_total", &[("event", "server.exited")]), 1.0);
    assert!(value("mlx_tree_process_resident_memory_bytes", &[]) > 1e6);

    let trend = tree.client().trend().await.expect("it answers");
    let server = &trend.servers[0];
    let phases: Vec<_> = server.phases.iter().map(|phase| phase.phase.as_str()).collect();
    let (down, ready) = (Phase::Backoff.as_str(), Phase::Ready.as_str());
    assert!(phases.contains(&down) && phases.last() == Some(&ready), "{phases:?}");
    assert!(server.points.iter().any(|point| point.tokens_per_s > 0.0), "{server:?}");
    let now = server.points.last().expect("one of now");
    assert_eq!((now.in_flight, now.queued), (0, 0));

    tree.perform(Verb::Stop).await.expect("it stops");
    let page = tree.client().metrics().await.expect("it answers");
    let text = parser::parse(&page).expect("it keeps to its format");
    assert_eq!(text.value("mlx_tree_server_up", &[SERVER]), Some(0.0));
    assert_eq!(text.value("mlx_tree_server_memory_bytes", &[SERVER]), None, "there is none");
    assert_eq!(text.value("mlx_tree_operator_requests_total", &[("verb", "stop")]), Some(1.0));
    tree.stop().await;
}

#[test]
fn the_words_that_become_labels_are_those_of_their_owners() {
    assert_eq!(words::REASONS, Reason::ALL.map(Reason::as_str));
    assert_eq!(words::CODES, Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
    let is_failure = |code: &&Code| match code.status().as_u16() {
        505 => false,
        status => status == 429 || status >= 500,
    };
    let failures = Code::ALL.iter().filter(is_failure).map(|code| code.as_str());
    assert_eq!(words::FAILURES, failures.collect::<Vec<_>>());
    assert_eq!(words::VERBS, Verb::ALL.map(Verb::as_str));
}
