//! The framing and the library behind it, held against each other: what we let through, it reads as we do.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::runtime;

use super::*;

/// A request as the library has read it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    line: String,
    fields: usize,
    length: Option<u64>,
    body: Option<Bytes>,
}

/// What the library alone makes of `input`, and whether it answered something of its own.
fn library(input: &[u8], wrapped: Option<usize>) -> (Vec<Seen>, String) {
    let seen = Mutex::new(Vec::new());
    let link = Arc::new(Link::new(Instant::now()));
    let answer = |request: Request<Incoming>| {
        let (seen, link) = (&seen, Arc::clone(&link));
        async move {
            let (head, body) = request.into_parts();
            let length = body.size_hint().exact();
            let body = body.collect().await.ok().map(|body| body.to_bytes());
            let line = format!("{} {}", head.method, head.uri);
            let refused = link.refusal();
            if refused.is_none() {
                seen.lock().expect("whole").push(Seen { line, fields: head.headers.len(), length, body });
            }
            link.answered();
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = refused.map_or(hyper::StatusCode::OK, |refusal| refusal.code.status());
            Ok::<_, Infallible>(response)
        }
    };
    let run = async {
        let (mut client, server) = duplex(1 << 20);
        let client = async {
            let mut answers = String::new();
            let piece = wrapped.unwrap_or(input.len()).max(1);
            for piece in input.chunks(piece) {
                let _ = client.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            // Not before everything is answered that can be: half closed is gone.
            let _ = tokio::time::timeout(Duration::from_secs(1), client.read_to_string(&mut answers)).await;
            answers
        };
        let server = async {
            let mut library = http1::Builder::new();
            let library = library.max_buf_size(128 << 10).half_close(false);
            match wrapped {
                Some(_) => {
                    let wire = Wire::new(server, Arc::clone(&link), Arc::default(), &Limits::default());
                    let _ = library.serve_connection(wire, service_fn(answer)).await;
                }
                None => {
                    let io = hyper_util::rt::TokioIo::new(server);
                    let _ = library.serve_connection(io, service_fn(answer)).await;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { answers = client => answers, () = server => String::new() }
    };
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let answers = runtime.expect("a runtime").block_on(run);
    (seen.into_inner().expect("whole"), answers)
}

/// Heads that are nearly proper: most are let through, and the rest is at an edge.
fn head() -> impl Strategy<Value = String> {
    const METHODS: &[&str] = &["GET", "POST", "OPTIONS", "HEAD", "PUT", "G!", "get", "TRACE"];
    const TARGETS: &[&str] =
        &["/", "/v1/x?a=b&c", "/%00%zz", "//evil.tld/a", "/a:b@c;d", "/?", "/??", "*", "/~'()!$*+,"];
    const FIELDS: &[&str] = &[
        "Host: a",
        "Host:",
        "X:",
        "X: \t y \t ",
        "x-y_z|~: \u{e9}",
        "Content-Length: 3",
        "content-length:\t3\t",
        "Content-Length: 003",
        "CONTENT-LENGTH: 0",
        "Transfer-Encoding: chunked",
        "TRANSFER-ENCODING:CHUNKED ",
        "Transfer-Encoding: Chunked",
        "Connection: close",
        "Connection: keep-alive, x",
        "Connection: upgrade",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "Expect: 200",
        "TE: trailers",
        "Trailer: x",
        "X: a,b;c=\"d\"",
        "Content-Length-: 5",
        "X-Content-Length: 5",
        "Transfer_Encoding: chunked",
        "Keep-Alive: x",
        "Via: 1.0 x",
    ];
    let fields = prop::collection::vec(prop::sample::select(FIELDS), 0..6);
    (prop::sample::select(METHODS), prop::sample::select(TARGETS), fields).prop_map(|(method, target, fields)| {
        let fields: String = fields.into_iter().map(|field| format!("{field}\r\n")).collect();
        format!("{method} {target} HTTP/1.1\r\n{fields}\r\n")
    })
}

const BODIES: &[&str] = &["", "abc", "3\r\nabc\r\n0\r\n\r\n", "0\r\n\r\n", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_let_through_is_read_alike_by_the_library(head in head(), body in prop::sample::select(BODIES)) {
        let input = format!("{head}{body}");
        let mut framing = Framing::new(&Limits::default());
        if let Verdict::Head(bytes) = framing.judge(input.as_bytes()) {
            prop_assert_eq!(bytes, head.len());
            let mut at = bytes;
            let framed = loop {
                match framing.judge(&input.as_bytes()[at..]) {
                    Verdict::Body(more) => at += more,
                    Verdict::Over => break Some(at),
                    Verdict::Head(_) | Verdict::More | Verdict::Refuse(_) => break None,
                }
            };
            if let Some(end) = framed {
                let (seen, answers) = library(&input.as_bytes()[..end], None);
                prop_assert_eq!(seen.len(), 1, "{:?}", answers);
                let words: Vec<_> = head.split(' ').collect();
                prop_assert_eq!(&seen[0].line, &words[..2].join(" "));
                prop_assert_eq!(seen[0].fields, head.matches("\r\n").count() - 2);
                let chunked = head.to_lowercase().lines().any(|line| line.starts_with("transfer-encoding:"));
                let length = (!chunked).then(|| (end - bytes) as u64);
                prop_assert_eq!(seen[0].length, length);
                prop_assert!(seen[0].body.is_some());
            }
        }
    }

    #[test]
    fn any_split_of_the_bytes_gets_the_same_answers(
        requests in prop::collection::vec((head(), prop::sample::select(BODIES)), 1..4),
        garbage in prop::option::of(prop::collection::vec(any::<u8>(), 1..20)),
        piece in 1_usize..40,
    ) {
        let mut input: Vec<u8> = requests.iter().flat_map(|(head, body)| [head.as_bytes(), body.as_bytes()]).flatten().copied().collect();
        input.extend(garbage.into_iter().flatten());
        let whole = library(&input, Some(input.len()));
        let split = library(&input, Some(piece));
        prop_assert_eq!(&whole.0, &split.0);
        let statuses = |answers: &str| answers.lines().filter(|line| line.starts_with("HTTP/")).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(statuses(&whole.1), statuses(&split.1));
    }
}
