//! The machine against what OTP 25's own supervisor did in the same 2,000 cases.
//!
//! `golden/cases_*.jsonl.gz` are random cases, `golden/otp25_*.jsonl.gz` what was observed of the real supervisor. They are
//! compared as [`differential`](./differential.rs) compares fresh ones, but need no Erlang.

#[path = "../examples/otp_replay/case.rs"]
mod case;
#[path = "differential/compare.rs"]
mod compare;
#[path = "../examples/otp_replay/world.rs"]
mod world;

use std::collections::HashMap;
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;

#[test]
fn every_golden_case_is_played_as_otp_played_it() {
    let first = play(include_bytes!("golden/cases_2.jsonl.gz"), include_bytes!("golden/otp25_2.jsonl.gz"));
    let second = play(include_bytes!("golden/cases_3.jsonl.gz"), include_bytes!("golden/otp25_3.jsonl.gz"));
    assert_eq!(first.0 + second.0, 2_000, "cases");
    assert!(first.1 + second.1 > 40_000, "the cases are worth playing");
}

/// Answers how many cases were played, and how many events they had.
fn play(cases: &[u8], observed: &[u8]) -> (usize, usize) {
    let mut observed: HashMap<String, Value> =
        lines(observed).into_iter().map(|line| (line["id"].as_str().unwrap().to_owned(), line)).collect();
    let (mut played, mut events) = (0, 0);
    for line in lines(cases) {
        let case: case::Case = serde_json::from_value(line.clone()).unwrap();
        let otp = observed.remove(&case.id).unwrap();
        let ours = world::World::play(&case, world::View::Otp);
        if let Err(difference) = compare::compare(&line, otp["events"].as_array().unwrap(), &ours) {
            panic!("{}: {difference}\nthe case: {line}", case.id);
        }
        played += 1;
        events += ours.len();
    }
    assert!(observed.is_empty(), "observations without a case");
    (played, events)
}

fn lines(compressed: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    GzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
