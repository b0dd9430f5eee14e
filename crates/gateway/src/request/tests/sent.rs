//! What the server is sent.

use super::*;

fn sent(body: &str) -> String {
    let ask = read(Endpoint::Completions, &HeaderMap::new(), body.as_bytes(), &catalogue()).expect("it is plain");
    String::from_utf8(ask.upstream.to_vec()).expect("utf-8")
}

#[test]
fn every_other_field_keeps_its_bytes_and_its_place() {
    let body = r#"{ "z":100000000000000000000000000001, "prompt" : "h\u00e9\/ " ,"model":"tiny","b":1.10,"a":[ 1 ,2.0e0 ],"\u0063":{"y":1,"x":2}}"#;
    assert_eq!(
        sent(body),
        r#"{"model":"default_model","stream":true,"stream_options":{"include_usage":true},"z":100000000000000000000000000001,"prompt":"h\u00e9\/ ","b":1.10,"a":[ 1 ,2.0e0 ],"c":{"y":1,"x":2}}"#
    );
}

#[test]
fn null_is_left_out_where_the_server_would_not_take_it() {
    let body = r#"{"model":"tiny","prompt":"hi","temperature":null,"max_tokens":null,"stop":null,"stream":null}"#;
    let plain = r#"{"model":"default_model","stream":true,"stream_options":{"include_usage":true},"prompt":"hi"}"#;
    assert_eq!(sent(body), plain);
    let other = sent(r#"{"model":"big","prompt":"hi","temperature":null}"#);
    assert!(other.ends_with(r#""prompt":"hi","temperature":null}"#), "{other}");
}

#[test]
fn the_clients_options_for_streams_are_kept() {
    let body = r#"{"model":"big","prompt":"hi","stream_options":{"include_usage":false,"include_obfuscation":false}}"#;
    let expected = r#""stream_options":{"include_obfuscation":false,"include_usage":true},"prompt""#;
    assert!(sent(body).contains(expected), "{}", sent(body));
}

#[test]
fn embeddings_are_not_streamed_and_not_asked_of_who_has_none() {
    let ask = read_value(Endpoint::Embeddings, &with(Endpoint::Embeddings, &json!({"input": ["a", "b"]})));
    let ask = ask.expect("this server may do it");
    assert_eq!((ask.wire, ask.delivery), (Wire::Whole, Delivery::Whole));
    assert_eq!(upstream(&ask), json!({"model": "org/big-4bit", "input": ["a", "b"]}));
    let tiny = json!({"model": "tiny", "input": "hi"});
    assert_eq!(read_value(Endpoint::Embeddings, &tiny).expect_err("mlx_lm has none").code, Code::NotFound);
}
