//! What attacks the data plane: nothing that a request holds leads anywhere else, and nothing secret is ever told. Attacks on the
//! control plane of a whole mlx-tree are in a module of their own.

#[path = "../crates/control/tests/wire/schema.rs"]
mod schema;
mod support;

#[path = "security/control.rs"]
mod control;

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use support::gateway::{Address, Answer, count, plain, with};
use support::{Setup, wire};

/// A server that answers as one of its kind does, and sends those who ask for it elsewhere.
const REDIRECTING: &str = r#"
import http.server, json, sys
trap, port = sys.argv[1], int(sys.argv[2])
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        self.answer(200, "application/json", b'{"status": "ok", "data": []}')
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "elsewhere" in body:
            self.answer(307, "text/plain", b"", ("Location", trap))
        elif '"stream"' in body:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
                {"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
            self.answer(200, "text/event-stream", ("data: " + json.dumps(chunk) + "\n\ndata: [DONE]\n\n").encode())
        else:
            choice = {"index": 0, "text": "hi", "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
            self.answer(200, "application/json", json.dumps({"id": "1", "object": "text_completion", "created": 1,
                "model": "m", "choices": [choice], "usage": {"completion_tokens": 1}}).encode())
    def answer(self, status, kind, body, *headers):
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;

/// S5, F75: neither a request's fields, nor its headers, nor the server's redirects, nor the environment's proxies lead away
/// from the server.
#[tokio::test]
async fn s5_f75_a_request_goes_to_the_server_and_nowhere_else() {
    let trap = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    trap.set_nonblocking(true).expect("it can");
    let elsewhere = format!("http://{}", trap.local_addr().expect("an address"));
    let mut setup = Setup::serving(&["python3", "-c", REDIRECTING, &format!("{elsewhere}/v1/trap"), "{port}"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        setup = setup.with(|command, _| {
            command.env(name, &elsewhere);
        });
    }
    let tree = setup.start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    assert_eq!(gateway.ask(&plain("hello")).await.head.status, 200, "it serves, proxies or not");

    let redirected = gateway.ask(&plain("take me elsewhere")).await;
    assert_eq!(redirected.head.status, 502, "{redirected:?}");
    let fields = ["base_url", "api_base", "url", "host", "endpoint", "proxy", "api_base_url"];
    let body = fields.iter().fold(plain("hello"), |body, field| with(body, field, elsewhere.as_str()));
    let told = [
        ("X-Forwarded-Host", &*elsewhere),
        ("X-Original-URL", "/elsewhere"),
        ("X-Rewrite-URL", "/elsewhere"),
        ("Forwarded", "host=elsewhere"),
        ("X-Upstream", &*elsewhere),
        ("Proxy", &*elsewhere),
    ];
    let answer = gateway.send_with(&told, &body).await.answer().await;
    assert_eq!(answer.head.status, 200, "{answer:?}");
    for path in [&*elsewhere, &elsewhere["http:".len()..], "/\\evil", "/@evil", "/%2f%2fevil", "/..//evil"] {
        let answer = gateway.get(path).await;
        assert!((200..500).contains(&answer.head.status), "{path}: {answer:?}");
    }
    let caught = trap.accept();
    assert!(caught.is_err(), "somebody came to the trap: {caught:?}");
    tree.stop().await;
}

/// S6: a model's name is a key and nothing else, and the server never sees another one.
#[tokio::test]
async fn s6_no_name_of_a_model_reaches_the_server() {
    let tree = Setup::demo(&["--control"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let before = tree.stats().await;
    let long = "m".repeat(1 << 20);
    let names = ["../../etc/passwd", "/etc/passwd", "mlx-community/Other-4bit", "", "a\u{0}b", "~/model", &long];
    for name in names {
        let answer = gateway.ask(&with(plain("hello"), "model", name)).await;
        assert!(matches!(answer.head.status, 400 | 404), "{:?}: {answer:?}", &name[..name.len().min(40)]);
        assert!(answer.body.len() < 2_000, "a long name is not told back: {}", answer.body.len());
    }
    for (field, value) in [("adapters", json!("/tmp/adapter")), ("draft_model", json!("a/b")), ("model", json!(["a"]))]
    {
        let answer = gateway.ask(&with(plain("hello"), field, value)).await;
        assert_eq!(answer.head.status, 400, "{field}: {answer:?}");
        assert!(answer.body.contains(field), "{answer:?}");
    }
    let after = tree.stats().await;
    assert_eq!(count(&before, "requests"), count(&after, "requests"), "the server was asked: {after}");
    assert_eq!(gateway.ask(&plain("hello")).await.head.status, 200);
    let last = wire::ask(&tree.url().await, "GET", "/_fake/last-request", "").await.expect("the stand-in answers");
    assert!(last.contains("default_model"), "{last}");
    tree.stop().await;
}

/// Asks at a path of its own.
async fn ask_at(gateway: Address, path: &str, body: &serde_json::Value) -> Answer {
    let (body, host) = (body.to_string(), gateway.0);
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json");
    gateway.raw(&format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}")).await.answer().await
}

/// S6: what is passed on unread is not a way round what is read.
#[tokio::test]
async fn s6_no_other_spelling_of_a_path_leads_past_the_checks() {
    let tree = Setup::demo(&["--control"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let before = tree.stats().await;
    let deadly = with(plain("hello"), "logit_bias", json!({"999999999": 5}));
    for path in
        ["//v1/chat/completions", "/v1//chat/completions", "/v1/chat%2fcompletions", "/x/../v1/chat/completions"]
    {
        ask_at(gateway, path, &deadly).await.refused(404, "not_found");
    }
    ask_at(gateway, "/v1/chat/completions", &deadly).await.refused(400, "invalid_parameter");
    assert_eq!(count(&before, "requests"), count(&tree.stats().await, "requests"));
    tree.stop().await;
}

/// S1: beyond loopback the gateway wants tokens, and then everybody has to show one.
#[tokio::test]
async fn s1_beyond_loopback_nobody_serves_without_tokens_and_nobody_is_served_without_one() {
    const TOKEN: &str = "0123456789abcdef";
    let (status, stdout, stderr) = Setup::new(&["demo"]).set("gateway.listen", "0.0.0.0:0").run();
    assert_eq!(status.code(), Some(78), "{stdout}{stderr}");
    for words in ["gateway.listen", "everybody who reaches this machine", "help: set gateway.tokens"] {
        assert!(stderr.contains(words), "{stderr}");
    }
    let tree =
        Setup::demo(&[]).set("gateway.listen", "0.0.0.0:0").set("gateway.tokens", &format!("[{TOKEN:?}]")).start();
    tree.ready(1).await;
    let port = tree.gateway().await.0.port();
    let gateway = Address((Ipv4Addr::LOCALHOST, port).into());
    let mut refused = Vec::new();
    for shown in ["", "Bearer fedcba9876543210", "Bearer 0123456789abcde", "Basic 0123456789abcdef"] {
        let answer = gateway.send_with(&[("Authorization", shown)], &plain("hello")).await.answer().await;
        answer.refused(401, "invalid_api_key");
        refused.push(answer.body);
    }
    refused.push(gateway.ask(&plain("hello")).await.body);
    refused.dedup();
    assert_eq!(refused.len(), 1, "what was wrong is nobody's business: {refused:?}");
    let shown = format!("Bearer {TOKEN}");
    gateway.send_with(&[("Authorization", &*shown)], &plain("hello")).await.answer().await.whole();
    tree.stop().await;
}

/// An interpreter as the program sees it, which runs the stand-in in place of `mlx_lm`.
const INTERPRETER: &str = r#"#!/bin/sh
case "$1" in
-c) echo "mlx-tree-probe version 3.11.7"; [ -n "$3" ] && echo "mlx-tree-probe module 0.32.2"; exit 0;;
esac
shift 3
exec "PROGRAM" stand-in "$@"
"#;

/// S4: the real command line of the child, as the process table has it.
#[tokio::test]
async fn s4_the_server_listens_on_loopback_at_a_port_of_ours_and_keeps_foreign_origins_out() {
    let setup = Setup::new(&["run"]);
    let python = setup.home().join("python");
    std::fs::write(&python, INTERPRETER.replace("PROGRAM", support::PROGRAM)).expect("written");
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("it can");
    let tree =
        setup.set("server.python", python.to_str().expect("utf-8")).set("server.args", r#"["--temp", "0.5"]"#).start();
    let status = tree.ready(1).await;
    let (pid, url) = (status.process_pid.expect("it runs"), status.server.url.expect("it serves"));
    let port = url.rsplit(':').next().expect("a port");
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
    let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let value = |flag: &str| {
        let places: Vec<_> = words.iter().enumerate().filter(|(_, word)| *word == flag).map(|(at, _)| at).collect();
        assert_eq!(places.len(), 1, "{flag} stands there once: {words:?}");
        words[places[0] + 1].to_string()
    };
    assert_eq!((value("--host"), value("--port")), ("127.0.0.1".to_owned(), port.to_owned()));
    assert_eq!(value("--allowed-origins"), url, "only its own pages");
    assert_eq!(value("--temp"), "0.5", "what is the user's own is passed on");
    tree.stop().await;
    for argument in ["--host=0.0.0.0", "--ho", "--port", "--allowed-origins", "--allowed-o=*", "--model"] {
        let refused = Setup::new(&["run"]).set("server.args", &format!("[{argument:?}]")).run();
        assert_eq!(refused.0.code(), Some(78), "{argument}: {refused:?}");
        assert!(refused.2.contains("server.args") && refused.2.contains("help: "), "{}", refused.2);
    }
}

/// S8: what is secret is in no log, status, event, error or file of mlx-tree.
#[tokio::test]
async fn s8_no_secret_is_told_anywhere() {
    const SECRETS: [&str; 5] = [
        "hush-token-of-the-gateway",
        "hush-of-the-servers-env",
        "hush-in-the-prompt",
        "hush-in-a-header",
        "hush-wrong-token",
    ];
    let [token, env, prompt, header, wrong] = SECRETS;
    let tree = Setup::demo(&["--die-on-substring", "die of it", "--quiet"])
        .set("gateway.tokens", &format!("[{token:?}]"))
        .set("server.env", &format!("{{ HF_TOKEN = {env:?} }}"))
        .set("log.format", "json")
        .set("log.level", "trace")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let authorization = |token: &str| format!("Bearer {token}");
    let mut answers = Vec::new();
    for (token, words) in [(token, ""), (wrong, ""), (token, "die of it")] {
        let authorization = authorization(token);
        let headers = [("Authorization", &*authorization), ("X-Secret", header), ("Cookie", header)];
        let asked = plain(&format!("{prompt} {words}"));
        answers.push(gateway.send_with(&headers, &asked).await.answer().await);
        // What is wrong with a request is told without telling the request.
        let bad = with(asked, "temperature", json!("hot"));
        answers.push(gateway.send_with(&headers, &bad).await.answer().await);
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.head.status).collect();
    assert_eq!(statuses, [200, 400, 401, 401, 422, 400]);
    tree.ready(3).await;

    let control = tree.access().url;
    let mut told = vec![("log", tree.log())];
    let read = [
        "/status",
        "/livez",
        "/readyz",
        "/healthz",
        "/events?follow=false",
        "/trend",
        "/metrics",
        "/openapi.json",
        "/",
    ];
    for path in read {
        let answer = reqwest::get(format!("{control}{path}")).await.expect("it answers");
        told.push(("control", answer.text().await.expect("text")));
    }
    told.push(("status", tree.command(&["status"]).1));
    told.push(("logs", tree.command(&["logs"]).1));
    told.push(("events", tree.command(&["events", "--json"]).1));
    told.extend(answers.iter().map(|answer| ("answer", format!("{answer:?}"))));
    for entry in std::fs::read_dir(tree.state_dir()).expect("a directory").flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        told.push(("file", String::from_utf8_lossy(&bytes).into_owned()));
    }
    let arguments = std::fs::read(format!("/proc/{}/cmdline", tree.pid())).unwrap_or_default();
    told.push(("arguments", String::from_utf8_lossy(&arguments).into_owned()));
    for (place, text) in &told {
        for secret in SECRETS {
            // The stand-in's answer may repeat its prompt to the one who asked.
            let own = *place == "answer" && secret == prompt;
            assert!(own || !text.contains(secret), "{secret} is in {place}: {text}");
        }
    }
    assert!(told[0].1.contains("request.quarantined"), "there was something to tell: {}", told[0].1);
    tree.stop().await;
}
