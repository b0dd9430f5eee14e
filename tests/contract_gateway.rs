//! What every client of the gateway is promised: the labels of an answer, its headers and no others, and who is refused when
//! there is too much to do.

mod support;

use support::Setup;
use support::gateway::{Answer, Call, plain, streamed, with};

/// A server that tells in its answer which headers it was sent, and sends some of its own.
const TALKATIVE: &str = r#"
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        self.answer("application/json", b'{"status": "ok", "data": []}')
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        heard = json.dumps(sorted(name.lower() for name in self.headers.keys()))
        message = {"role": "assistant", "content": heard}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "secret-path"}
        if body.get("stream"):
            answer["choices"] = [{"index": 0, "delta": message, "finish_reason": "stop"}]
            self.answer("text/event-stream", ("data: " + json.dumps(answer) + "\n\ndata: [DONE]\n\n").encode())
        else:
            answer["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
            self.answer("application/json", json.dumps(answer).encode())
    def answer(self, kind, body):
        self.send_response(200)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Set-Cookie", "a=b"),
                            ("X-Internal", "yes"), ("X-Mlx-Tree-Backend", "me"), ("Access-Control-Allow-Origin", "*")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

/// One request in flight at a time, and one that takes a while.
fn slow() -> Setup {
    Setup::demo(&["--control", "--tps", "10", "--answer-tokens", "600"]).set("gateway.max_inflight", "1")
}

/// Waits until the answer of `call` has begun.
async fn begun(call: &mut Call) {
    assert!(call.event().await.is_some(), "it streams");
}

#[tokio::test]
async fn an_answer_says_who_gave_it_after_what_and_nothing_of_the_servers_own_comes_with_it() {
    let tree = Setup::serving(&["python3", "-c", TALKATIVE, "{port}"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let told = [("X-Secret", "hush"), ("Cookie", "hush"), ("Authorization", "Bearer hush"), ("User-Agent", "me")];
    for body in [plain("hello"), streamed("hello")] {
        let answer = gateway.send_with(&told, &body).await.answer().await;
        let heard = answer.whole();
        for (name, _) in told {
            assert!(!heard.contains(&name.to_ascii_lowercase()), "{name} has reached the server: {heard}");
        }
        assert_eq!(answer.header("x-mlx-tree-backend"), Some("mlx_lm"), "{answer:#?}");
        assert_eq!((answer.attempts(), answer.number("x-mlx-tree-queue-ms") < 60_000), (1, true));
        assert!(answer.header("x-request-id").is_some_and(|id| id.len() == 16), "{answer:#?}");
        for foreign in ["set-cookie", "x-internal", "access-control-allow-origin", "server", "x-mlx-tree-fallback"] {
            assert_eq!(answer.header(foreign), None, "{answer:#?}");
        }
        let model = answer.header("x-mlx-tree-model").expect("it says which").to_owned();
        let named = |value: &serde_json::Value| value["model"] == model.as_str();
        if answer.events.is_empty() {
            assert!(named(&answer.json()), "{answer:#?}");
        } else {
            assert!(answer.chunks().iter().all(named), "{answer:#?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        }
        assert!(!format!("{answer:?}").contains("secret-path"), "{answer:#?}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn one_who_has_waited_for_his_turn_as_long_as_allowed_is_told() {
    let tree = slow().set("gateway.hold_budget", "1s").start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut first = gateway.send(&streamed("first")).await;
    begun(&mut first).await;
    gateway.ask(&plain("second")).await.refused(503, "queue_timeout");
    drop(first);
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn a_client_that_says_how_long_it_waits_is_not_held_longer() {
    let tree = slow().start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut first = gateway.send(&streamed("first")).await;
    begun(&mut first).await;
    for header in ["x-request-timeout", "x-stainless-timeout", "x-stainless-read-timeout"] {
        let answer = gateway.send_with(&[(header, "1")], &plain("second")).await.answer().await;
        answer.refused(503, "queue_timeout");
    }
    drop(first);
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn when_the_queue_is_full_one_with_less_than_his_share_takes_the_place_of_him_with_most() {
    let tree = slow().set("gateway.max_queue", "2").start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let (many, few) = ([("Authorization", "Bearer one-with-many")], [("Authorization", "Bearer one-with-few")]);
    let mut first = gateway.send_with(&many, &streamed("first")).await;
    begun(&mut first).await;
    let mut waiting = Vec::new();
    for place in 1..=2 {
        waiting.push(gateway.send_with(&many, &plain(&format!("waits {place}"))).await);
        tree.gateway_until("waiting", |it| it.queued == place).await;
    }
    let full = gateway.send_with(&many, &plain("one more")).await.answer().await;
    assert!(matches!(full.status(), 429 | 503), "he has his share: {full:#?}");
    assert!((1..=60).contains(&full.number("retry-after")), "{full:#?}");
    let other = gateway.send_with(&few, &with(plain("of somebody else"), "max_tokens", 1)).await;
    let youngest: Answer = waiting.pop().expect("two").answer().await;
    youngest.refused(429, "client_share_exceeded");
    drop((first, waiting));
    other.answer().await.whole();
    tree.balanced().await;
    tree.stop().await;
}
