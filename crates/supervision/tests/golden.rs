//! The machine against what OTP 25's own supervisor did in the same cases.
//!
//! `golden/cases.jsonl` are random cases, `golden/otp25.jsonl` what was observed of the real supervisor. Everything is
//! compared, event by event, with one allowance: a dynamic supervisor stops its children all at once, so what happens
//! between the first signal and its own end is compared without regard to order.
//!
//! Where this supervisor deliberately differs from OTP, the [replay](../examples/otp_replay/world.rs) takes OTP's view, by
//! name: queries are answered in turn (`QueryOrder::InTurn`), dynamic children are addressed by pid (`terminate_by_pid`) and
//! counted as one spec whether they live or not (`count_dynamic`). One bug of OTP is taken over to compare
//! (`never_uncounted`), and a stop does not reach into a subtree that is still starting (`reaches_into_a_start`).

#[path = "../examples/otp_replay/case.rs"]
mod case;
#[path = "../examples/otp_replay/world.rs"]
mod world;

use std::collections::HashMap;

use mlx_tree_supervision::Strategy;
use serde_json::Value;

const CASES: &str = include_str!("golden/cases.jsonl");
const OBSERVED: &str = include_str!("golden/otp25.jsonl");

#[test]
fn every_golden_case_is_played_as_otp_played_it() {
    let mut observed: HashMap<String, Vec<Value>> = HashMap::new();
    for line in OBSERVED.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        observed.insert(line["id"].as_str().unwrap().to_owned(), line["events"].as_array().unwrap().clone());
    }
    let (mut cases, mut events) = (0, 0);
    for line in CASES.lines() {
        let case: case::Case = serde_json::from_str(line).unwrap();
        let (mut theirs, mut ours) = (observed[&case.id].clone(), world::World::play(&case));
        if case.sup.strategy() == Strategy::Dynamic {
            (theirs, ours) = (comparable(theirs), comparable(ours));
        }
        if let Some(at) = (0..theirs.len().max(ours.len())).find(|&at| theirs.get(at) != ours.get(at)) {
            panic!(
                "{} differs at event {at}\n  otp : {:?}\n  ours: {:?}\nafter {:#?}",
                case.id,
                theirs.get(at),
                ours.get(at),
                &ours[at.saturating_sub(6)..at.min(ours.len())]
            );
        }
        cases += 1;
        events += ours.len();
    }
    assert_eq!(cases, observed.len(), "every observation belongs to a case");
    assert!(events > 5_000, "the cases are worth playing");
}

/// Sorts what a dynamic supervisor does while it stops everything at once.
fn comparable(mut events: Vec<Value>) -> Vec<Value> {
    let Some(end) = events.iter().position(|event| event["ev"] == "sup_down") else { return events };
    let is_stopping =
        |event: &Value| event["ev"] == "sig" || event["ev"] == "down" || event["what"] == "shutdown_error";
    let start = events[..end].iter().rposition(|event| !is_stopping(event)).map_or(0, |last| last + 1);
    events[start..end].sort_by_key(Value::to_string);
    events
}
