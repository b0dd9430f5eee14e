//! Events as servers send them, and as nobody should.

use proptest::prelude::*;

use super::*;

fn chunk(data: &str) -> Chunk<'_> {
    match read(data.as_bytes()) {
        Ok(Reading::Chunk(chunk)) => chunk,
        other => panic!("{data}: {other:?}"),
    }
}

fn failure(data: &str) -> String {
    match read(data.as_bytes()) {
        Ok(Reading::Failure(failure)) => String::from_utf8(failure.body.to_vec()).expect("UTF-8"),
        other => panic!("{data}: {other:?}"),
    }
}

#[test]
fn the_name_of_the_model_is_replaced_in_its_place_and_nothing_else_changes() {
    let data =
        r#"{"id": "a", "model": "/models/\u00e9", "created": 1, "choices": [{"index": 0, "text": "x", "x": 1.50}]}"#;
    let event = chunk(data).event("quoted \"name\"");
    let expected = data.replace(r#""/models/\u00e9""#, r#""quoted \"name\"""#);
    assert_eq!(event, format!("data: {expected}\n\n"));
    let nameless = r#"{"choices":[]}"#;
    assert_eq!(chunk(nameless).event("x"), format!("data: {nameless}\n\n"));
}

#[test]
fn json_on_several_lines_is_sent_on_one() {
    let event = chunk("{\n\"model\":\r\n\"a\",\n\"choices\":[]\n}").event("b");
    assert_eq!(event, "data: { \"model\":  \"b\", \"choices\":[] }\n\n");
}

#[test]
fn a_continued_answer_bears_the_marks_of_the_first() {
    let first = chunk(r#"{"id":"one","created":1,"model":"m","choices":[]}"#);
    let second = chunk(r#"{"choices":[],"model":"m","created":2.5,"id":"two"}"#);
    let event = second.event_of(&Label::of(&first, "name"));
    assert_eq!(event, "data: {\"choices\":[],\"model\":\"name\",\"created\":1,\"id\":\"one\"}\n\n");
    let unmarked = Label::of(&chunk(r#"{"choices":[]}"#), "name");
    assert_eq!(
        second.event_of(&unmarked),
        "data: {\"choices\":[],\"model\":\"name\",\"created\":2.5,\"id\":\"two\"}\n\n"
    );
}

#[test]
fn texts_are_borrowed_unless_they_have_escapes() {
    let data = r#"{"choices":[{"index":1,"delta":{"role":"assistant","content":"hé","reasoning":"\n"},"finish_reason":null}]}"#;
    let chunk = chunk(data);
    let choice = &chunk.choices()[0];
    assert_eq!((choice.index(), choice.texts()), (1, ["", "hé", "\n", "", ""]));
    let inside = |text: &str| data.as_bytes().as_ptr_range().contains(&text.as_ptr());
    let [_, content, reasoning, ..] = choice.texts();
    assert!(inside(content) && !inside(reasoning));
}

#[test]
fn the_chunk_of_the_usage_is_known() {
    assert!(chunk(r#"{"choices":[],"usage":{"total_tokens":3}}"#).tells_usage_only());
    assert!(!chunk(r#"{"choices":[],"usage":null}"#).tells_usage_only());
    assert!(!chunk(r#"{"choices":[{"index":0}],"usage":{"total_tokens":3}}"#).tells_usage_only());
}

#[test]
fn f58_an_error_inside_a_stream_is_made_one_of_openais() {
    let shape = r#"{"error":{"code":null,"message":"it failed","param":null,"type":"server_error"}}"#;
    for data in [
        r#"{"error":"it failed"}"#,
        r#"{"error":{"message":"it failed"},"choices":[]}"#,
        r#"{"object":"error","message":"it failed"}"#,
    ] {
        assert_eq!(failure(data), shape, "{data}");
    }
    let kept = r#"{"error":{"code":500,"message":"full","param":"n","type":"slot"}}"#;
    assert_eq!(failure(kept), kept);
    assert!(failure(r#"{"error":{"what":1}}"#).contains(r#""message":"{\"what\":1}""#));
    assert!(matches!(read(br#"{"error":null,"choices":[]}"#), Ok(Reading::Chunk(_))));
}

#[test]
fn f57_garbage_is_told_apart() {
    let garbage = |data: &[u8]| read(data).expect_err("garbage");
    for data in ["", "null", "{", "<html>", "{}x", r#"{"choices":{}}"#, r#"{"choices":[{"text":1}]}"#] {
        assert!(matches!(garbage(data.as_bytes()), Garbage::Shape(_)), "{data}");
    }
    for data in [r#"{"id":"x"}"#, "[]", "[null,null,null,null,[]]"] {
        assert!(matches!(garbage(data.as_bytes()), Garbage::Empty), "{data}");
    }
    assert!(matches!(garbage(b"{\"choices\":[],\"x\":\"\xff\"}"), Garbage::Encoding(_)));
    assert!(matches!(garbage(br#"{"choices":[{"index":4000000000}]}"#), Garbage::Choices));
    let many = format!(r#"{{"choices":[{}]}}"#, ["{}"; CHOICES_MAX + 1].join(","));
    assert!(matches!(garbage(many.as_bytes()), Garbage::Choices));
    let deep = format!(r#"{{"choices":[],"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let _ = read(deep.as_bytes());
}

proptest! {
    #[test]
    fn what_is_sent_on_is_one_event_of_json_with_the_name(
        before in prop::sample::select(vec!["", "\"id\":\"x\",", " \"a\" : [1,{\"model\":2}] ,\n"]),
        model in any::<String>(),
        text in any::<String>(),
        name in any::<String>(),
    ) {
        let data = format!(
            r#"{{{before}"model": {}, "choices": [{{"index":0,"text":{}}}]}}"#,
            quoted(&model), quoted(&text)
        );
        let event = chunk(&data).event(&name);
        let json = event.strip_prefix(b"data: ").and_then(|rest| rest.strip_suffix(b"\n\n")).expect("an event");
        prop_assert!(!json.contains(&b'\n'));
        let mut expected: serde_json::Value = serde_json::from_str(&data).expect("JSON");
        expected["model"] = name.into();
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(json).expect("JSON"), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..64), json in "\\{(\"(choices|error|usage|model|object)\":(\\[\\{\"(delta|text)\":.{0,6}\\}\\]|null|\"x\"),?){0,4}\\}") {
        for data in [&data[..], json.as_bytes()] {
            if let Ok(Reading::Chunk(chunk)) = read(data) {
                let _ = chunk.event("x");
            }
        }
    }
}
