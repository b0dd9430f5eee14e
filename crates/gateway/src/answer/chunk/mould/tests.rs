//! What is read by a mould is what would have been read without.

use proptest::prelude::*;

use super::*;
use crate::answer::assemble::{ANSWER_LIMIT, Assembly, Kind};
use crate::answer::chunk::{self, Reading, quoted};
use crate::answer::transcript::{REMEMBERED, Transcript, Verdict};

fn mould(data: &str) -> Option<Mould> {
    match chunk::read(data.as_bytes()) {
        Ok(Reading::Chunk(chunk)) => Mould::of(&chunk, "name"),
        other => panic!("{data}: {other:?}"),
    }
}

#[test]
fn a_chunk_that_differs_in_its_text_only_fits() {
    let first = r#"{"id":"c","model":"m","choices":[{"index":3,"delta":{"content":"Once"},"finish_reason":null}]}"#;
    let mould = mould(first).expect("a mould");
    let second = first.replace("Once", r" up\u006fn");
    let token = mould.read(second.as_bytes()).expect("it fits");
    assert_eq!((token.choice, token.channel, &*token.text), (3, Channel::Content, " upon"));
    let expected = second.replace(r#""m""#, r#""name""#);
    assert_eq!(mould.event(&token), format!("data: {expected}\n\n"));
}

#[test]
fn what_says_anything_else_does_not_fit() {
    let first = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    let mould = mould(first).expect("a mould");
    for other in [
        first.replace("null", r#""stop""#),
        first.replace(r#""c""#, r#""d""#),
        first.replace(r#""a""#, r#""a","role":"assistant""#),
        first.replace(r#""a""#, r#""a"},"text":{"x":"b""#),
        first.replace(r#""a""#, "1"),
        first.replace(r#""a""#, "null"),
        first.replace(r#""a""#, r#""\x""#),
        first.replace(r#""a""#, "\"\n\""),
        first.replace(r#""a""#, r#""\ud800""#),
        first.replace(r#""a""#, ""),
        first[..first.len() - 1].to_owned(),
    ] {
        assert!(mould.read(other.as_bytes()).is_none(), "{other}");
    }
    let (before, after) = first.split_once('a').expect("a text");
    let no_text = [before.as_bytes(), b"\xff", after.as_bytes()].concat();
    assert!(mould.read(&no_text).is_none());
}

#[test]
fn only_a_chunk_with_one_text_and_nothing_that_grows_is_a_mould() {
    let delta = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
    assert!(mould(&delta(r#"{"role":"assistant","content":"a","reasoning":"","tool_calls":[]}"#)).is_some());
    for none in [
        delta(r#"{"role":"assistant"}"#),
        delta(r#"{"content":""}"#),
        delta(r#"{"content":"\u0061"}"#),
        delta(r#"{"content":"a","reasoning":"b"}"#),
        delta(r#"{"content":"a","audio":{"data":"x"}}"#),
        delta(r#"{"content":"a","tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#),
        r#"{"choices":[{"text":"a","logprobs":{"tokens":["a"]}}]}"#.to_owned(),
        r#"{"choices":[{"text":"a","finish_reason":"stop"}]}"#.to_owned(),
        r#"{"choices":[{"text":"a"}],"usage":{"total_tokens":1}}"#.to_owned(),
        r#"{"choices":[{"index":0,"text":"a"},{"index":1,"text":"b"}]}"#.to_owned(),
    ] {
        assert!(mould(&none).is_none(), "{none}");
    }
}

#[test]
fn a_delta_that_says_something_twice_is_no_chunk() {
    for name in ["role", "content", "reasoning", "reasoning_content", "refusal"] {
        let twice = format!(r#"{{"choices":[{{"delta":{{"{name}":"a","{name}":"b"}}}}]}}"#);
        assert!(chunk::read(twice.as_bytes()).is_err(), "{twice}");
    }
}

/// All that comes of an answer: what a streaming client is sent, what can be continued, and the plain answer.
fn all_of(
    events: &[String],
    read: for<'a> fn(&mut Transcript, &'a [u8]) -> Verdict<'a>,
) -> (Vec<Bytes>, String, String) {
    let (mut transcript, mut assembly) = (Transcript::new("name", REMEMBERED), Assembly::new(Kind::Chat, ANSWER_LIMIT));
    let mut sent = Vec::new();
    for event in events {
        let assembled = match read(&mut transcript, event.as_bytes()) {
            Verdict::Chunk(chunk) => {
                sent.push(chunk.event("name"));
                assembly.take(event.as_bytes())
            }
            Verdict::Token(token) => {
                sent.push(transcript.event(&token));
                assembly.take_token(event.len(), &token)
            }
            Verdict::Failure(_) | Verdict::Garbage(_) | Verdict::Late => Ok(()),
        };
        if assembled.is_err() {
            break;
        }
    }
    let answer = assembly.finish("name").map(|answer| String::from_utf8_lossy(&answer).into_owned());
    (sent, format!("{:?}", transcript.into_sent()), format!("{answer:?}"))
}

fn event() -> impl Strategy<Value = String> {
    let head = prop::sample::select(vec![
        r#""id":"c","model":"/m","created":1,"#,
        "\"created\":2,\n\"model\":\"/m\",",
        r#""timings":{"n":1},"#,
        "",
    ]);
    let tail = prop::sample::select(vec!["", r#","model":"m""#, r#","usage":null"#, r#","usage":{"total_tokens":2}"#]);
    let delta = prop::sample::select(vec![
        r#""delta":{"role":"assistant","content":TEXT}"#,
        r#""delta":{"content":TEXT}"#,
        r#""delta":{"content":"","reasoning":TEXT}"#,
        r#""delta":{"content":TEXT,"x":1}"#,
        r#""delta":{"content":TEXT,"tool_calls":[{"index":0,"function":{"arguments":"a"}}]}"#,
        r#""delta":{"content":TEXT},"logprobs":{"content":[1]}"#,
        r#""text":TEXT"#,
    ]);
    let text = prop_oneof![3 => "[a-z ]{0,4}".prop_map(|text| quoted(&text)), 1 => any::<String>().prop_map(|text| quoted(&text)),
        1 => Just(r#""\u0061\n""#.to_owned()), 1 => Just(r#""\ud800""#.to_owned()), 1 => Just("null".to_owned())];
    let finish = prop::sample::select(vec!["", "", "", r#","finish_reason":null"#, r#","finish_reason":"stop""#]);
    (head, 0usize..2, delta, text, finish, tail).prop_map(|(head, index, delta, text, finish, tail)| {
        let delta = delta.replace("TEXT", &text);
        format!(r#"{{{head}"choices":[{{"index":{index},{delta}{finish}}}]{tail}}}"#)
    })
}

proptest! {
    #[test]
    fn nothing_depends_on_how_it_is_read(
        kinds in prop::collection::vec(event(), 1..4),
        order in prop::collection::vec((0usize..4, "[a-z\"\\\\]{0,3}"), 0..24),
    ) {
        // Runs of the same chunk with other texts, with others between them.
        let mut events = Vec::new();
        for (kind, text) in order {
            let kind = &kinds[kind % kinds.len()];
            events.push(kind.clone());
            events.push(kind.replace(r#""content":""#, &format!(r#""content":"{}"#, quoted(&text).trim_matches('"'))));
        }
        prop_assert_eq!(all_of(&events, Transcript::follow), all_of(&events, Transcript::take));
    }
}
