//! The faults of connections, answers and streams: each does what its line in the help says.

#[path = "common/client.rs"]
mod common;

use common::{CHAT, chat, get, open, post, read_for, request};
use mlx_tree_stand_in::{Options, Server};
use std::{
    io::Read,
    time::{Duration, Instant},
};

const STREAM: &str = ", \"stream\": true, \"max_tokens\": 4";
const MOMENT: Duration = Duration::from_millis(300);

fn server(flags: &str) -> Server {
    let options = Options::from_args(flags.split_whitespace().chain(["--port", "0", "--quiet"])).unwrap();
    Server::start(options).unwrap()
}

/// The answer to a chat under these flags.
fn answer(flags: &str, more: &str) -> String {
    post(server(flags).address(), CHAT, &chat("hello", more)).unwrap()
}

fn events(answer: &str) -> Vec<&str> {
    answer.split("\n\n").filter_map(|block| block.split("\r\n\r\n").last()?.strip_prefix("data: ")).collect()
}

#[test]
fn all_404_is_an_error_of_generation() {
    let answer = answer("--all-404", "");
    assert!(answer.starts_with("HTTP/1.0 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("{\"error\": \"[load_safetensors]"), "{answer}");
}

#[test]
fn a_status_of_choice_comes_with_an_error() {
    let answer = answer("--status 429", "");
    assert!(answer.starts_with("HTTP/1.0 429 Too Many Requests\r\n") && answer.contains("{\"error\": "), "{answer}");
}

#[test]
fn a_body_may_be_no_json_a_page_or_of_a_wrong_length() {
    assert!(answer("--bad-json", "").ends_with("\r\n\r\n{\"id\": \"chatcmpl-"));
    assert!(answer("--html", "").contains("\r\n\r\n<!DOCTYPE html>"));
    let text = answer("--length-off 7", "");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len() + 7)), "{head}");
}

#[test]
fn the_end_of_a_stream_may_be_missing_doubled_or_overrun() {
    let last = |flags: &str| {
        let answer = answer(flags, STREAM);
        let events = events(&answer);
        let done = events.iter().filter(|event| **event == "[DONE]").count();
        let finishes = events.iter().filter(|event| event.contains("\"length\"")).count();
        (finishes, done, events.last().copied() == Some("[DONE]"))
    };
    assert_eq!(last(""), (1, 1, true));
    assert_eq!(last("--no-done"), (1, 0, false));
    assert_eq!(last("--no-finish"), (0, 0, false));
    assert_eq!(last("--double-done"), (1, 2, true));
    assert_eq!(last("--data-after-done"), (1, 1, false));
}

#[test]
fn a_stream_may_hold_garbage_an_error_or_a_huge_event() {
    let garbage = answer("--garbage 2", STREAM);
    assert_eq!(events(&garbage)[2], "\u{1}{garbage");
    let error = answer("--error-in-stream 2", STREAM);
    assert_eq!(events(&error).len(), 3);
    assert!(events(&error)[2].starts_with("{\"error\": {"), "{error}");
    let huge = answer("--big-line 100000", STREAM);
    assert!(events(&huge)[1].len() > 100_000);
}

#[test]
fn a_stream_may_be_written_in_each_lawful_form() {
    let crlf = answer("--crlf", STREAM);
    assert!(crlf.ends_with("\r\n\r\ndata: [DONE]\r\n\r\n"), "{crlf}");
    assert!(answer("--no-space", STREAM).ends_with("\n\ndata:[DONE]\n\n"));
    assert!(!answer("--split-utf8", STREAM).is_ascii());
}

#[test]
fn a_stream_may_be_cut_or_stall_after_a_token() {
    let cut = answer("--close-at tokens:2", STREAM);
    assert_eq!(events(&cut).len(), 2);
    let server = server("--stall-after 2");
    let mut connection = open(server.address(), &request(CHAT, &chat("hello", STREAM))).unwrap();
    let stalled = read_for(&mut connection, MOMENT);
    assert_eq!(events(&stalled).len(), 2);
    assert_eq!(server.stats().in_flight, 1);
}

#[test]
fn a_connection_may_be_closed_at_each_point_of_an_answer() {
    let body = chat("hello", "");
    let at = |point: &str| post(server(&format!("--close-at {point}")).address(), CHAT, &body);
    assert_eq!(at("header").unwrap(), "");
    let half = at("in-header").unwrap();
    assert!(half.starts_with("HTTP/1.0 200 OK") && !half.contains("\r\n\r\n"), "{half}");
    assert!(at("body").unwrap().ends_with("\r\n\r\n"));
    // A close with unread bytes in the buffer is a reset.
    assert!(at("accept").map_or(true, |answer| answer.is_empty()));
}

#[test]
fn a_reset_is_no_end_of_file() {
    let server = server("--close-at tokens:2 --reset");
    let error = post(server.address(), CHAT, &chat("hello", STREAM)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn the_head_may_be_followed_by_silence_or_by_comments_only() {
    let silent = server("--headers-then-silence");
    let mut connection = open(silent.address(), &request(CHAT, &chat("hello", STREAM))).unwrap();
    let answer = read_for(&mut connection, MOMENT);
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(get(silent.address(), "/health").unwrap().starts_with("HTTP/1.0 200 "));

    let talking = server("--comments --keepalive-every 10ms");
    let mut connection = open(talking.address(), &request(CHAT, &chat("hello", STREAM))).unwrap();
    let answer = read_for(&mut connection, MOMENT);
    assert!(answer.matches(": keepalive 0/1\n\n").count() > 2, "{answer}");
    assert!(!answer.contains("data:"), "{answer}");
}

#[test]
fn health_follows_its_pattern() {
    let server = server("--health-pattern 10x");
    let answers: Vec<String> = (0..6).map(|_| get(server.address(), "/health").unwrap_or_default()).collect();
    let codes: Vec<&str> = answers.iter().map(|answer| answer.get(9..12).unwrap_or("none")).collect();
    assert_eq!(codes, ["200", "503", "none", "200", "503", "none"]);
}

#[test]
fn health_is_good_before_the_model_is_loaded_and_a_completion_waits_for_it() {
    let server = server("--load 300ms");
    let start = Instant::now();
    assert!(get(server.address(), "/health").unwrap().starts_with("HTTP/1.0 200 "));
    assert!(post(server.address(), CHAT, &chat("hello", "")).unwrap().starts_with("HTTP/1.0 200 "));
    assert!(start.elapsed() >= Duration::from_millis(290), "{:?}", start.elapsed());
}

#[test]
fn a_hung_server_accepts_and_does_not_answer() {
    let server = server("--hang http");
    let mut connection = open(server.address(), "GET /health HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(read_for(&mut connection, MOMENT), "");
}

#[test]
fn with_generation_dead_health_stays_good_and_requests_wait_for_ever() {
    let server = server("--kill-generation-thread 1");
    assert!(post(server.address(), CHAT, &chat("hello", "")).unwrap().starts_with("HTTP/1.0 200 "));
    let mut waiting = open(server.address(), &request(CHAT, &chat("hello", ""))).unwrap();
    assert_eq!(read_for(&mut waiting, MOMENT), "");
    assert!(get(server.address(), "/health").unwrap().starts_with("HTTP/1.0 200 "));
}

#[test]
fn with_generation_dead_as_in_0_32_health_is_503_and_requests_fail() {
    let server = server("--kill-generation-thread --health-when-dead 503");
    assert!(get(server.address(), "/health").unwrap().ends_with("{\"status\": \"unavailable\"}"));
    let answer = post(server.address(), CHAT, &chat("hello", "")).unwrap();
    assert!(answer.starts_with("HTTP/1.0 404 ") && answer.contains("generation thread died"), "{answer}");
}

#[test]
fn a_prompt_beyond_the_context_fails() {
    let server = server("--context 10");
    let answer = post(server.address(), CHAT, &chat(&"long ".repeat(40), "")).unwrap();
    assert!(answer.starts_with("HTTP/1.0 404 ") && answer.contains("exceeds the context of 10"), "{answer}");
    assert!(post(server.address(), CHAT, &chat("x", "")).unwrap().starts_with("HTTP/1.0 200 "));
}

#[test]
fn faults_stay_within_their_scope() {
    let server = server("--all-404 --only-with poison --from-request 2 --until-request 2");
    let status = |text: &str| post(server.address(), CHAT, &chat(text, "")).unwrap()[9..12].to_owned();
    let codes = ["hello", "poison", "hello", "poison", "poison"].map(status);
    assert_eq!(codes, ["200", "200", "200", "404", "200"]);
}

#[test]
fn a_server_of_one_thread_answers_health_after_the_generation() {
    let server = server("--single-thread --tps 20 --answer-tokens 10");
    let mut generation = open(server.address(), &request(CHAT, &chat("hello", ""))).unwrap();
    while server.stats().in_flight == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    get(server.address(), "/health").unwrap();
    assert_eq!(server.stats().served, 1);
    generation.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn prefill_is_told_by_comments() {
    let answer = answer("--prefill 100ms --keepalive-every 20ms", STREAM);
    assert!(answer.matches(": keepalive ").count() >= 4, "{answer}");
    assert!(answer.contains(": keepalive 7/7\n\ndata: "), "{answer}");
}

#[test]
fn the_control_routes_exist_only_when_asked_for() {
    assert!(get(server("").address(), "/_fake/stats").unwrap().starts_with("HTTP/1.0 404 "));
    let server = server("--control");
    post(server.address(), CHAT, &chat("hello", "")).unwrap();
    let stats = get(server.address(), "/_fake/stats").unwrap();
    assert!(
        stats.contains("\"requests\": 1, \"chats\": 1, \"served\": 1, \"aborted\": 0, \"in_flight\": 0"),
        "{stats}"
    );
    let last = get(server.address(), "/_fake/last-request").unwrap();
    assert!(last.ends_with(&chat("hello", "")) && last.contains("POST /v1/chat/completions\n"), "{last}");

    post(server.address(), "/_fake/hang", "").unwrap();
    let mut hung = open(server.address(), "GET /health HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(read_for(&mut hung, MOMENT), "");
    post(server.address(), "/_fake/unhang", "").unwrap();
    assert!(read_for(&mut hung, common::LONG).starts_with("HTTP/1.0 200 "));

    post(server.address(), "/_fake/kill-generation", "").unwrap();
    let mut waiting = open(server.address(), &request(CHAT, &chat("hello", ""))).unwrap();
    assert_eq!(read_for(&mut waiting, MOMENT), "");
    post(server.address(), "/_fake/revive-generation", "").unwrap();
    assert!(read_for(&mut waiting, common::LONG).starts_with("HTTP/1.0 200 "));
}
