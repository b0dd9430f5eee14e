//! Second generations, of all kinds.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::answer::chunk::{self, Reading};
use crate::answer::transcript::{REMEMBERED, Transcript};

/// What a client has put together of the events that it was sent: the texts and calls of each choice.
#[derive(Debug, Default, PartialEq)]
struct Client {
    said: std::collections::BTreeMap<String, String>,
    ids: Vec<String>,
    entries: usize,
    finish: Vec<String>,
    marks: std::collections::BTreeSet<String>,
}

impl Client {
    fn read(&mut self, event: &[u8]) {
        let json = event.strip_prefix(b"data: ").expect("an event");
        let chunk: Value = serde_json::from_slice(json).expect("JSON");
        self.marks.insert(format!("{} {} {}", chunk["id"], chunk["created"], chunk["model"]));
        for choice in chunk["choices"].as_array().expect("choices") {
            let index = &choice["index"];
            let mut add = |path: String, text: &Value| {
                self.said.entry(path).or_default().push_str(text.as_str().unwrap_or_default());
            };
            add(format!("{index} text"), &choice["text"]);
            for name in ["content", "reasoning", "reasoning_content"] {
                add(format!("{index} {name}"), &choice["delta"][name]);
            }
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                add(format!("{index} call {} name", call["index"]), &call["function"]["name"]);
                add(format!("{index} call {} arguments", call["index"]), &call["function"]["arguments"]);
                self.ids.extend(call["id"].as_str().map(str::to_owned));
            }
            self.finish.extend(choice["finish_reason"].as_str().map(str::to_owned));
            self.entries += choice["logprobs"]["content"].as_array().map_or(0, Vec::len);
        }
        self.said.retain(|_, text| !text.is_empty());
    }
}

fn parsed(data: &str) -> Chunk<'_> {
    match chunk::read(data.as_bytes()) {
        Ok(Reading::Chunk(chunk)) => chunk,
        other => panic!("{data}: {other:?}"),
    }
}

/// A client that has been sent the first `cut` chunks of a generation, and how to go on.
fn cut(chunks: &[String], cut: usize) -> (Client, Plan) {
    let (mut client, mut transcript) = (Client::default(), Transcript::new("name", REMEMBERED));
    for data in &chunks[..cut] {
        let _ = transcript.take(data.as_bytes());
        client.read(&parsed(data).event("name"));
    }
    (client, transcript.into_sent().plan())
}

fn resume(plan: Plan) -> Box<Resume> {
    match plan {
        Plan::Regenerate(resume) => resume,
        other => panic!("it is to be generated again, not {other:?}"),
    }
}

/// Feeds a second generation to its end.
fn feed(resume: &mut Resume, client: &mut Client, chunks: &[String]) -> Result<(), Mismatch> {
    for data in chunks {
        match resume.take(&parsed(data)) {
            Step::Swallowed => {}
            Step::Emit(events) => events.iter().for_each(|event| client.read(event)),
            Step::Mismatch(why) => return Err(why),
        }
    }
    resume.end()
}

/// The chunks of a generation, each with a piece of its text; `choice` makes one of a piece.
fn generation(id: &str, pieces: &[String], choice: impl Fn(&str) -> Value, last: &Value) -> Vec<String> {
    let chunk = |choice: Value| json!({"id": id, "created": id.len(), "model": "/m", "choices": [choice]}).to_string();
    let mut chunks: Vec<_> = pieces.iter().map(|piece| chunk(choice(piece))).collect();
    chunks.push(chunk(last.clone()));
    chunks
}

fn chat(id: &str, pieces: &[String]) -> Vec<String> {
    let piece = |text: &str| {
        json!({"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null,
            "logprobs": {"content": text.chars().map(|token| json!({"token": token})).collect::<Vec<_>>()}})
    };
    generation(id, pieces, piece, &json!({"index": 0, "delta": {}, "finish_reason": "length"}))
}

fn completion(id: &str, pieces: &[String]) -> Vec<String> {
    let piece = |text: &str| json!({"index": 0, "text": text, "finish_reason": null});
    generation(id, pieces, piece, &json!({"index": 0, "text": "", "finish_reason": "stop"}))
}

fn call(id: &str, pieces: &[String]) -> Vec<String> {
    let piece = |text: &str| json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}, "finish_reason": null});
    let mut chunks = generation(id, pieces, piece, &json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"}));
    let first =
        json!({"index": 0, "id": format!("call-{id}"), "type": "function", "function": {"name": "f", "arguments": ""}});
    let delta = json!({"role": "assistant", "content": null, "tool_calls": [first]});
    let first = json!({"id": id, "created": id.len(), "model": "/m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    chunks.insert(0, first.to_string());
    chunks
}

/// A text in pieces, which may be empty.
fn pieces(text: &str, cuts: &[prop::sample::Index]) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(chars.len() + 1)).collect();
    cuts.extend([0, chars.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| chars[ends[0]..ends[1]].iter().collect()).collect()
}

fn owned(pieces: &[&str]) -> Vec<String> {
    pieces.iter().map(|piece| (*piece).to_owned()).collect()
}

type Make = fn(&str, &[String]) -> Vec<String>;

const SHAPES: [Make; 3] = [chat, completion, call];

proptest! {
    #[test]
    fn the_client_has_the_uncut_generation_wherever_it_is_cut(
        shape in prop::sample::select(SHAPES.to_vec()),
        text in "\\PC{0,30}",
        first in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        second in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        at in any::<prop::sample::Index>(),
    ) {
        let (first, second) = (shape("one", &pieces(&text, &first)), shape("second", &pieces(&text, &second)));
        // All but the chunk with the finish_reason: with it there is nothing to continue.
        let (mut client, plan) = cut(&first, at.index(first.len()));
        prop_assert_eq!(feed(&mut resume(plan), &mut client, &second), Ok(()));
        let mut uncut = Client::default();
        // A client that had been sent nothing sees the marks of the second.
        let whole = if at.index(first.len()) == 0 { &second } else { &first };
        whole.iter().for_each(|data| uncut.read(&parsed(data).event("name")));
        prop_assert_eq!(client, uncut);
    }

    #[test]
    fn on_the_first_difference_nothing_of_the_second_is_emitted(
        shape in prop::sample::select(SHAPES.to_vec()),
        text in "[a-zé ]{1,30}",
        more in "[a-zé ]{0,10}",
        differs in any::<prop::sample::Index>(),
        first in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        second in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut other: Vec<char> = text.chars().collect();
        let at = differs.index(other.len());
        other[at] = 'X';
        let other = other.into_iter().collect::<String>() + &more;
        let first = shape("one", &pieces(&text, &first));
        let (mut client, plan) = cut(&first, first.len() - 1);
        let before = format!("{client:?}");
        let result = feed(&mut resume(plan), &mut client, &shape("second", &pieces(&other, &second)));
        prop_assert_eq!(result, Err(Mismatch::Text { choice: 0 }));
        prop_assert_eq!(format!("{client:?}"), before);
    }

    #[test]
    fn a_second_generation_that_is_shorter_is_another(
        shape in prop::sample::select(SHAPES.to_vec()),
        text in "[a-zé ]{1,30}",
        short in any::<prop::sample::Index>(),
        first in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let first = shape("one", &pieces(&text, &first));
        let shorter: String = text.chars().take(short.index(text.chars().count())).collect();
        let second = shape("second", &[shorter]);
        let (mut client, plan) = cut(&first, first.len() - 1);
        let before = format!("{client:?}");
        let mut ends = resume(plan);
        prop_assert_eq!(feed(&mut ends, &mut client, &second), Err(Mismatch::Finish { choice: 0 }));
        let mut breaks_off = resume(cut(&first, first.len() - 1).1);
        prop_assert_eq!(feed(&mut breaks_off, &mut client, &second[..second.len() - 1]), Err(Mismatch::Short));
        prop_assert_eq!(format!("{client:?}"), before);
    }
}

#[test]
fn the_chunk_in_which_the_prefix_ends_is_sent_without_what_was_sent() {
    let (_, plan) = cut(&chat("one", &owned(&["Once ", "up", "on"])), 2);
    let mut resume = resume(plan);
    let second = chat("second", &owned(&["Once upon a time", "."]));
    let Step::Emit(events) = resume.take(&parsed(&second[0])) else { panic!("there is more") };
    let [event] = &events[..] else { panic!("it is one") };
    let json: Value = serde_json::from_slice(&event[6..]).expect("JSON");
    let tokens: Vec<_> = "on a time".chars().map(|token| json!({"token": token})).collect();
    let choice =
        json!({"index": 0, "delta": {"content": "on a time"}, "finish_reason": null, "logprobs": {"content": tokens}});
    assert_eq!(json, json!({"id": "one", "created": 3, "model": "name", "choices": [choice]}));
    let Step::Emit(events) = resume.take(&parsed(&second[1])) else { panic!("it passes") };
    let expected = parsed(&second[1]).data().replace("second", "one").replace("\"created\":6", "\"created\":3");
    assert_eq!(events, [format!("data: {}\n\n", expected.replace("/m", "name"))]);
}

#[test]
fn an_answer_whose_reason_was_sent_only_lacks_its_done() {
    let chunks = chat("one", &owned(&["all", " of it"]));
    assert!(matches!(cut(&chunks, chunks.len()).1, Plan::Finish));
}

#[test]
fn what_cannot_be_compared_is_not_continued() {
    let mut transcript = Transcript::new("name", 4);
    let _ = transcript.take(chat("one", &owned(&["too long"]))[0].as_bytes());
    assert!(matches!(transcript.into_sent().plan(), Plan::Impossible(Unfit::TooLong)));
}

#[test]
fn a_call_keeps_its_first_id_and_a_new_one_has_its_own() {
    let calls = |id: &str, calls: &[(u32, &str)]| {
        let call = |(index, arguments): &(u32, &str)| {
            json!({"index": index, "id": format!("{id}-{index}"), "type": "function",
                "function": {"name": "f", "arguments": arguments}})
        };
        let calls: Vec<_> = calls.iter().map(call).collect();
        json!({"id": id, "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": calls}}]}).to_string()
    };
    let (mut client, plan) = cut(&[calls("one", &[(0, "{\"a\":")])], 1);
    let mut resume = resume(plan);
    feed(&mut resume, &mut client, &[calls("two", &[(0, "{\"a\":1}"), (1, "{}")])]).expect("the same");
    assert_eq!(client.ids, ["one-0", "two-1"]);
    assert_eq!(client.said["0 call 0 arguments"], "{\"a\":1}");
    assert_eq!((&*client.said["0 call 0 name"], &*client.said["0 call 1 name"]), ("f", "f"));
}

#[test]
fn of_several_choices_none_is_sent_before_all_have_caught_up() {
    let piece = |index: u32, text: &str, finish: Option<&str>| {
        json!({"id": "x", "choices": [{"index": index, "text": text, "finish_reason": finish}]}).to_string()
    };
    let first = [piece(0, "ab", None), piece(1, "xy", None), piece(0, "", Some("stop"))];
    let (mut client, plan) = cut(&first, 3);
    let mut ahead = resume(plan);
    assert_eq!(ahead.take(&parsed(&piece(1, "xyz", None))), Step::Swallowed);
    assert_eq!(ahead.take(&parsed(&piece(0, "ab", None))), Step::Swallowed);
    let rest = [piece(0, "", Some("stop")), piece(1, "!", Some("stop"))];
    feed(&mut ahead, &mut client, &rest).expect("the same");
    assert_eq!((&*client.said["0 text"], &*client.said["1 text"]), ("ab", "xyz!"));
    assert_eq!(client.finish, ["stop", "stop"]);

    let mut other = resume(cut(&first, 3).1);
    assert_eq!(other.take(&parsed(&piece(1, "xyz", None))), Step::Swallowed);
    assert_eq!(other.take(&parsed(&piece(0, "abc", None))), Step::Mismatch(Mismatch::Text { choice: 0 }));
    assert_eq!(other.take(&parsed(&piece(0, "", None))), Step::Mismatch(Mismatch::Text { choice: 0 }));

    let mut far = resume(cut(&first, 3).1);
    let much = piece(1, &format!("xy{}", "z".repeat(HELD_MAX)), None);
    assert_eq!(far.take(&parsed(&much)), Step::Mismatch(Mismatch::Ahead));
}

#[test]
fn thoughts_and_words_are_compared_apart() {
    let piece = |name: &str, text: &str| {
        let mut delta = json!({"role": "assistant"});
        delta[name] = text.into();
        json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}).to_string()
    };
    let first = [piece("reasoning", "hm"), piece("content", "a")];
    let (mut client, plan) = cut(&first, 2);
    let second = [piece("reasoning", "h"), piece("reasoning", "m"), piece("content", "ab")];
    feed(&mut resume(plan), &mut client, &second).expect("the same");
    assert_eq!((&*client.said["0 reasoning"], &*client.said["0 content"]), ("hm", "ab"));
    let other = [piece("reasoning", "hm, well"), piece("content", "b")];
    let mut client = Client::default();
    let result = feed(&mut resume(cut(&first, 2).1), &mut client, &other);
    assert_eq!((result, client), (Err(Mismatch::Text { choice: 0 }), Client::default()));
}
