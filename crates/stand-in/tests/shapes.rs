//! A healthy stand-in answers in the shapes of `mlx_lm.server` 0.32.2, as they were recorded from it.

#[path = "common/client.rs"]
mod common;

use common::{CHAT, TEXT, chat, get, post, raw};
use mlx_tree_stand_in::{Options, Server};
use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
};

fn server(flags: &str) -> Server {
    let options = Options::from_args(flags.split_whitespace().chain(["--port", "0", "--quiet"])).unwrap();
    Server::start(options).unwrap()
}

/// The answer without what differs from one to the next.
fn fixed(answer: &str) -> String {
    let mut fixed = String::new();
    for part in answer.split_inclusive(['\n', ',']) {
        let name = part.trim_start_matches([' ', '{']).trim_start_matches("data: {");
        match name.split_once(": ") {
            Some((name @ ("\"id\"" | "\"created\""), _)) => fixed.push_str(&format!("{name}: *,")),
            Some(_) | None => fixed.push_str(part),
        }
    }
    fixed
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap()
}

#[test]
fn health_is_http_1_0_with_the_headers_of_the_real_one_and_the_label() {
    let server = server("");
    assert_eq!(
        get(server.address(), "/health").unwrap(),
        "HTTP/1.0 200 OK\r\nServer: mlx-tree-stand-in (demo, not MLX)\r\nContent-type: application/json\r\n\
         Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: *\r\nAccess-Control-Allow-Headers: *\r\n\r\n\
         {\"status\": \"ok\"}"
    );
}

#[test]
fn a_chat_is_answered_whole() {
    let server = server("");
    let answer = post(server.address(), CHAT, &chat("hello", ", \"max_tokens\": 3")).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&format!("\r\nContent-Length: {}\r\n", body(&answer).len())), "{answer}");
    assert_eq!(
        fixed(body(&answer)),
        "\"id\": *, \"system_fingerprint\": \"stand-in-0.1.0\", \"object\": \"chat.completion\", \
         \"model\": \"default_model (demo, not MLX)\",\"created\": *, \"choices\": [{\"index\": 0, \
         \"finish_reason\": \"length\", \"message\": {\"role\": \"assistant\", \"content\": \"rivers and when\"}}], \
         \"usage\": {\"prompt_tokens\": 7, \"completion_tokens\": 3, \"total_tokens\": 10, \
         \"prompt_tokens_details\": {\"cached_tokens\": 0}}}"
    );
}

#[test]
fn a_stream_has_comments_events_usage_and_done() {
    let server = server("");
    let more = ", \"max_tokens\": 2, \"stream\": true, \"stream_options\": {\"include_usage\": true}, \"model\": \"m\"";
    let answer = post(server.address(), CHAT, &chat("hello", more)).unwrap();
    assert!(answer.contains("\r\nContent-type: text/event-stream\r\nCache-Control: no-cache\r\n"), "{answer}");
    let start = "\"id\": *, \"system_fingerprint\": \"stand-in-0.1.0\", \"object\": \"chat.completion.chunk\", \
                 \"model\": \"m (demo, not MLX)\",\"created\": *, \"choices\": [{\"index\": 0, \"finish_reason\": ";
    let usage = start.replace("chat.completion.chunk", "chat.completion");
    let usage = usage.split_once("[{").unwrap().0;
    assert_eq!(
        fixed(body(&answer)),
        format!(
            ": keepalive 6/7\n\n: keepalive 7/7\n\n\
             {start}null, \"delta\": {{\"role\": \"assistant\", \"content\": \"rivers\"}}}}]}}\n\n\
             {start}null, \"delta\": {{\"role\": \"assistant\", \"content\": \" and\"}}}}]}}\n\n\
             {start}\"length\", \"delta\": {{\"role\": \"assistant\"}}}}]}}\n\n\
             {usage}[], \"usage\": {{\"prompt_tokens\": 7, \"completion_tokens\": 2, \"total_tokens\": 9, \
             \"prompt_tokens_details\": {{\"cached_tokens\": 0}}}}}}\n\n\
             data: [DONE]\n\n"
        )
    );
}

#[test]
fn a_text_completion_has_text_in_both_deliveries() {
    let server = server("");
    let whole = post(server.address(), TEXT, "{\"prompt\": \"hi\", \"max_tokens\": 1}").unwrap();
    assert!(whole.contains("\"object\": \"text_completion\""), "{whole}");
    assert!(
        whole.contains("\"choices\": [{\"index\": 0, \"finish_reason\": \"length\", \"text\": \"stone\"}]"),
        "{whole}"
    );
    let stream = post(server.address(), TEXT, "{\"prompt\": \"hi\", \"max_tokens\": 1, \"stream\": true}").unwrap();
    assert!(stream.contains("{\"index\": 0, \"finish_reason\": null, \"text\": \"stone\"}"), "{stream}");
    assert!(stream.ends_with("\"finish_reason\": \"length\", \"text\": \"\"}]}\n\ndata: [DONE]\n\n"), "{stream}");
}

#[test]
fn the_same_request_has_the_same_answer_in_every_incarnation() {
    let answers = [(); 2].map(|()| {
        let server = server("");
        let answer = post(server.address(), CHAT, &chat("again", "")).unwrap();
        fixed(body(&answer))
    });
    assert!(answers[0].contains("\"finish_reason\": \"stop\""), "{}", answers[0]);
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_stop_word_ends_the_answer() {
    let server = server("");
    let answer = post(server.address(), CHAT, &chat("hello", ", \"stop\": [\"and\"]")).unwrap();
    assert!(answer.contains("\"finish_reason\": \"stop\""), "{answer}");
    assert!(answer.contains("\"content\": \"rivers\"}"), "{answer}");
}

#[test]
fn each_wrong_request_is_refused_as_the_real_one_refuses_it() {
    let server = server("");
    let address = server.address();
    let cases = [
        (TEXT, "{nope", "400", "Invalid JSON in request body: Expecting property name enclosed in double quotes"),
        (TEXT, "[]", "400", "Request should be a JSON dictionary"),
        (TEXT, "{}", "400", "Request did not contain a prompt"),
        (CHAT, "{}", "400", "Request did not contain messages"),
        (TEXT, "{\"prompt\": \"x\", \"stream\": 1}", "400", "stream must be of type bool"),
        (TEXT, "{\"prompt\": \"x\", \"max_tokens\": 0}", "400", "max_tokens must be at least 1"),
        (TEXT, "{\"prompt\": \"x\", \"max_tokens\": \"3\"}", "400", "max_tokens must be of type int"),
        (TEXT, "{\"prompt\": \"x\", \"top_p\": 3}", "400", "top_p must be at most 1"),
        (TEXT, "{\"prompt\": \"x\", \"model\": 3}", "400", "requested_model must be of type str"),
        (
            CHAT,
            "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}",
            "404",
            "Only 'text' content type is supported.",
        ),
    ];
    for (target, body, status, error) in cases {
        let answer = post(address, target, body).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.0 {status} ")), "{body}: {answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{{\"error\": \"{error}\"}}")), "{body}: {answer}");
    }
    let chunked = "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let answer = raw(address, chunked).unwrap();
    assert!(answer.starts_with("HTTP/1.0 411 "), "{answer}");
    assert!(get(address, "/").unwrap().ends_with("\r\n\r\nNot Found"));
    assert!(post(address, "/v1/embeddings", "{}").unwrap().starts_with("HTTP/1.0 404 "));
}

#[test]
fn origins_are_allowed_as_configured() {
    let server = server("--allowed-origins http://a,http://b");
    let ask = |origin: &str| {
        raw(server.address(), &format!("OPTIONS /v1/completions HTTP/1.1\r\nOrigin: {origin}\r\n\r\n")).unwrap()
    };
    assert!(ask("http://b").contains("\r\nAccess-Control-Allow-Origin: http://b\r\nVary: Origin\r\n"));
    assert!(!ask("http://c").contains("Allow-Origin"));
}

#[test]
fn a_whole_answer_runs_to_its_end_when_the_client_has_left_and_a_stream_does_not() {
    let server = server("--tps 200 --answer-tokens 40");
    let leave = |more: &str| {
        let mut connection = TcpStream::connect(server.address()).unwrap();
        connection.write_all(common::request(CHAT, &chat("hello", more)).as_bytes()).unwrap();
        if more.contains("stream") {
            connection.read_exact(&mut [0; 200]).unwrap();
        }
    };
    let until = |done: &dyn Fn(mlx_tree_stand_in::Stats) -> bool| {
        let mut tries = 0;
        while !done(server.stats()) {
            tries += 1;
            assert!(tries < 2000, "{:?}", server.stats());
            thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    leave("");
    until(&|stats| stats.served == 1 && stats.in_flight == 0);
    assert_eq!(server.stats().tokens, 40);
    leave(", \"stream\": true");
    until(&|stats| stats.aborted == 1 && stats.in_flight == 0);
    assert!(server.stats().tokens < 80, "{:?}", server.stats());
}

#[test]
fn the_highest_concurrency_is_counted() {
    let server = server("--tps 50 --answer-tokens 10");
    thread::scope(|scope| {
        for number in 0..5 {
            let address = server.address();
            scope.spawn(move || post(address, CHAT, &chat(&format!("number {number}"), "")).unwrap());
        }
    });
    let stats = server.stats();
    assert_eq!((stats.requests, stats.served, stats.in_flight), (5, 5, 0));
    assert!((2..=5).contains(&stats.max_in_flight), "{stats:?}");
    assert_eq!(stats.max_chats_in_flight, stats.max_in_flight);
    post(server.address(), "/v1/completions", "{\"prompt\": \"hi\", \"max_tokens\": 1}").unwrap();
    let after = server.stats();
    assert_eq!((after.requests, after.chats_in_flight), (6, 0), "{after:?}");
}
