//! What streams are worth.

use proptest::prelude::*;

use super::*;
use crate::answer::chunk::CHOICES_MAX;

const TEXT: &str =
    r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"id":"c","choices":[],"usage":{"total_tokens": 7}}"#;

fn transcript(events: &[&str]) -> Transcript {
    let mut transcript = Transcript::new("name", REMEMBERED);
    for event in events {
        if *event == "[DONE]" {
            transcript.done();
        } else {
            let _ = transcript.take(event.as_bytes());
        }
    }
    transcript
}

fn ending(events: &[&str]) -> Ending {
    transcript(events).ending()
}

#[test]
fn an_answer_is_whole_only_with_its_reason_and_its_end() {
    assert_eq!(ending(&[TEXT, STOP, USAGE, "[DONE]"]), Ending::Whole);
    assert_eq!(ending(&[TEXT, STOP, USAGE]), Ending::WholeWithoutDone);
    assert_eq!(ending(&[TEXT, STOP]), Ending::WholeWithoutDone);
    for cut in [&[][..], &["[DONE]"], &[TEXT], &[TEXT, "[DONE]"], &[USAGE, "[DONE]"]] {
        assert_eq!(ending(cut), Ending::Cut, "{cut:?}");
    }
}

#[test]
fn each_choice_has_to_say_why_it_ends() {
    let other = r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#;
    let other_ends = r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#;
    assert_eq!(ending(&[TEXT, other, STOP, "[DONE]"]), Ending::Cut);
    assert_eq!(ending(&[TEXT, other, STOP, other_ends, "[DONE]"]), Ending::Whole);
}

#[test]
fn f58_an_error_spoils_an_answer_whatever_follows() {
    let mut transcript = transcript(&[TEXT]);
    let Verdict::Failure(failure) = transcript.take(br#"{"error":{"message":"out of memory"}}"#) else {
        panic!("it is an error")
    };
    assert_eq!(failure.message, "out of memory");
    assert!(matches!(transcript.take(STOP.as_bytes()), Verdict::Late));
    transcript.done();
    assert_eq!(transcript.ending(), Ending::Cut);
}

#[test]
fn f57_garbage_spoils_an_answer_also_after_its_reason() {
    assert_eq!(ending(&[TEXT, STOP, "{\"choices\":", "[DONE]"]), Ending::Cut);
}

#[test]
fn f58_what_comes_after_done_is_nobodys() {
    let mut transcript = transcript(&[TEXT, STOP, "[DONE]"]);
    assert!(matches!(transcript.take(TEXT.as_bytes()), Verdict::Late));
    assert!(matches!(transcript.take(b"garbage"), Verdict::Late));
    assert_eq!(transcript.ending(), Ending::Whole);
}

#[test]
fn the_usage_is_kept_as_it_was_told() {
    assert_eq!(transcript(&[TEXT, USAGE]).usage().map(RawValue::get), Some(r#"{"total_tokens": 7}"#));
    assert!(transcript(&[TEXT]).usage().is_none());
}

#[test]
fn what_is_too_long_to_remember_is_read_all_the_same() {
    let mut transcript = Transcript::new("name", 16);
    for _ in 0..1000 {
        assert!(matches!(transcript.take(TEXT.as_bytes()), Verdict::Chunk(_)));
    }
    let _ = transcript.take(STOP.as_bytes());
    assert_eq!(transcript.ending(), Ending::WholeWithoutDone);
    let sent = transcript.into_sent();
    assert_eq!(sent.fit(), Err(Unfit::TooLong));
    assert!(sent.choices().iter().all(|choice| choice.texts.iter().all(|text| text.capacity() == 0)));
}

#[test]
fn what_is_not_known_cannot_be_compared() {
    let audio = r#"{"choices":[{"index":0,"delta":{"audio":{"data":"…"}}}]}"#;
    assert_eq!(transcript(&[TEXT, audio]).into_sent().fit(), Err(Unfit::Unknown));
    let null = r#"{"choices":[{"index":0,"delta":{"audio":null}}]}"#;
    assert_eq!(transcript(&[TEXT, null]).into_sent().fit(), Ok(()));
}

proptest! {
    #[test]
    fn what_is_remembered_is_bounded(
        events in prop::collection::vec((0usize..200, 0usize..400, "[a-z]{0,20}"), 0..300),
        room in 0usize..4096,
    ) {
        let mut transcript = Transcript::new("name", room);
        for (choice, call, text) in &events {
            let event = format!(
                r#"{{"choices":[{{"index":{choice},"delta":{{"content":"{text}","tool_calls":[{{"index":{call},"function":{{"arguments":"{text}"}}}}]}},"logprobs":{{"{text}":[1]}}}}]}}"#
            );
            let _ = transcript.take(event.as_bytes());
        }
        let sent = transcript.into_sent();
        prop_assert!(sent.choices().len() <= CHOICES_MAX);
        let bytes = |choice: &SentChoice| {
            let texts: usize = choice.texts.iter().map(String::len).sum();
            texts + choice.calls.iter().map(|call| call.name.len() + call.arguments.len() + 64).sum::<usize>()
        };
        prop_assert!(sent.choices().iter().map(bytes).sum::<usize>() <= room);
    }
}
