//! Attacks on the framing, and any split of any bytes.

use proptest::prelude::*;

use super::*;

/// What a whole input is judged as.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// So many bytes of requests were let through, in so many requests, and then more was needed.
    Passed(usize, usize),
    /// So many bytes were let through, and then it was refused.
    Refused(usize, &'static str),
}

fn outcome(input: &[u8], cuts: &[usize]) -> Outcome {
    let mut framing = Framing::new(&Limits::default());
    let (mut start, mut requests) = (0, 0);
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([input.len()]).collect();
    ends.sort_unstable();
    for end in ends {
        loop {
            match framing.judge(&input[start..end.max(start)]) {
                Verdict::Head(bytes) => {
                    requests += 1;
                    start += bytes;
                }
                Verdict::Body(bytes) => start += bytes,
                Verdict::More => break,
                Verdict::Over if framing.next() == Next::Allowed => {}
                Verdict::Over => return Outcome::Passed(start, requests),
                Verdict::Refuse(refusal) => return Outcome::Refused(start, refusal.code.as_str()),
            }
        }
    }
    Outcome::Passed(start, requests)
}

fn code_of(input: &str) -> Option<&'static str> {
    match outcome(input.as_bytes(), &[]) {
        Outcome::Passed(..) => None,
        Outcome::Refused(_, code) => Some(code),
    }
}

/// S11, and more of its kind.
#[test]
fn whatever_two_readers_could_read_differently_is_refused() {
    for head in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 1",
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 1",
        "Content-Length: +1",
        "Content-Length: -1",
        "Content-Length: 0x1",
        "Content-Length: 1 1",
        "Content-Length: ",
        "Content-Length: 99999999999999999999",
        "Content-Length : 1",
        " Content-Length: 1",
        "X: a\r\n Content-Length: 1",
        "X: a\r\n\tb",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding : chunked",
        "X: a\nContent-Length: 1",
        "X: a\rContent-Length: 1",
        "X: a\r\rb",
        "X: a\0b",
        "X\0: b",
        "X: \x7f",
        "X: \x1b[2J",
        "X",
        ": a",
        "X y: a",
        "X(: a",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n");
        assert_eq!(code_of(&request), Some("malformed_request"), "{head:?}");
    }
}

#[test]
fn a_request_line_is_a_method_a_path_and_our_version() {
    for (line, code) in [
        ("GET / HTTP/1.1", None),
        ("OPTIONS * HTTP/1.1", None),
        ("GET /a%20b?c=d HTTP/1.1", None),
        ("GET http://localhost/ HTTP/1.1", Some("malformed_request")),
        ("CONNECT localhost:1 HTTP/1.1", Some("malformed_request")),
        ("CONNECT / HTTP/1.1", Some("malformed_request")),
        ("GET * HTTP/1.1", Some("malformed_request")),
        ("GET  / HTTP/1.1", Some("malformed_request")),
        ("GET / HTTP/1.1 ", Some("malformed_request")),
        ("GET /a b HTTP/1.1", Some("malformed_request")),
        ("GET /\t HTTP/1.1", Some("malformed_request")),
        ("GET /# HTTP/1.1", Some("malformed_request")),
        ("GET /\u{e9} HTTP/1.1", Some("malformed_request")),
        ("GET /", Some("malformed_request")),
        ("GET / http/1.1", Some("malformed_request")),
        ("G@T / HTTP/1.1", Some("malformed_request")),
        (" GET / HTTP/1.1", Some("malformed_request")),
        ("", Some("malformed_request")),
        ("GET / HTTP/1.0", Some("http_version_not_supported")),
        ("GET / HTTP/0.9", Some("http_version_not_supported")),
        ("GET / HTTP/1.10", Some("http_version_not_supported")),
        ("PRI * HTTP/2.0", Some("http_version_not_supported")),
    ] {
        assert_eq!(code_of(&format!("{line}\r\nHost: a\r\n\r\n")), code, "{line:?}");
    }
}

#[test]
fn a_client_that_speaks_tls_is_refused_by_its_first_byte() {
    assert_eq!(code_of("\x16\x03\x01"), Some("malformed_request"));
}

#[test]
fn a_chunk_is_a_plain_size_and_its_data() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n";
    for (body, code) in [
        ("3\r\nabc\r\n0\r\n\r\n", None),
        ("00000003\r\nabc\r\n000\r\n\r\n", None),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", None),
        ("0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", None),
        ("3\r\nabcd\r\n0\r\n\r\n", Some("malformed_request")),
        ("4\r\nabc\r\n0\r\n\r\n", Some("malformed_request")),
        ("3;a=b\r\nabc\r\n0\r\n\r\n", Some("malformed_request")),
        ("3 \r\nabc\r\n", Some("malformed_request")),
        (" 3\r\nabc\r\n", Some("malformed_request")),
        ("0x3\r\nabc\r\n", Some("malformed_request")),
        ("+3\r\nabc\r\n", Some("malformed_request")),
        ("-3\r\nabc\r\n", Some("malformed_request")),
        ("\r\n\r\n", Some("malformed_request")),
        ("3\nabc\n0\n\n", Some("malformed_request")),
        ("3\r\nabc\n0\r\n\r\n", Some("malformed_request")),
        ("100000000\r\n", Some("malformed_request")),
        ("ffffffffffffffff1\r\n", Some("malformed_request")),
        ("0\r\nX: trailer\r\n\r\n", Some("malformed_request")),
        ("g\r\n", Some("malformed_request")),
    ] {
        assert_eq!(code_of(&format!("{head}{body}")), code, "{body:?}");
    }
}

#[test]
fn nothing_after_a_chunked_body_is_a_request() {
    let first = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let input = format!("{first}GET / HTTP/1.1\r\n\r\n");
    assert_eq!(outcome(input.as_bytes(), &[]), Outcome::Passed(first.len(), 1));
}

#[test]
fn requests_may_follow_each_other() {
    let one = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    let input = one.repeat(3) + "GET / HTTP/1.1\r\n\r\n";
    assert_eq!(outcome(input.as_bytes(), &[]), Outcome::Passed(input.len(), 4));
}

#[test]
fn a_head_has_limits() {
    let head = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(fields));
    assert_eq!(code_of(&head(100)), None);
    assert_eq!(code_of(&head(101)), Some("headers_too_large"));
    let head = |length: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(length - 23));
    assert_eq!((head(99).len(), code_of(&head(65_535))), (99, None));
    assert_eq!(code_of(&head(65_537)), Some("headers_too_large"));
    assert_eq!(code_of(&format!("GET /{}", "a".repeat(65_536))), Some("headers_too_large"));
}

/// Bytes that are likely to come near an edge.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "GET / HTTP/1.1\r\n",
        "POST /v1 HTTP/1.1\r\n",
        "Host: a\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "X: y\r\n",
        "\r\n",
        "\r",
        "\n",
        "abc",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        " ",
        ":",
        "\0",
        "\t",
        "HTTP/1.0\r\n",
        "0",
        "f",
        ";",
    ];
    let piece = prop_oneof![
        9 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_the_bytes_is_judged_alike(input in bytes(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        prop_assert_eq!(outcome(&input, &cuts), outcome(&input, &[]));
        let every: Vec<_> = (0..input.len()).collect();
        prop_assert_eq!(outcome(&input, &every), outcome(&input, &[]));
    }

    #[test]
    fn no_garbage_makes_it_panic(input in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = outcome(&input, &[]);
    }
}
