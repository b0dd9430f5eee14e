//! Makes a case smaller for as long as something still holds of it.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// The smallest case found, with each single simplification tried, within half a minute.
pub(crate) fn shrink(case: &Value, mut still_differs: impl FnMut(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    let mut smallest = case.clone();
    'smaller: loop {
        for candidate in candidates(&smallest) {
            if Instant::now() > end {
                return smallest;
            }
            if still_differs(&candidate) {
                smallest = candidate;
                continue 'smaller;
            }
        }
        return smallest;
    }
}

/// All cases that are one step simpler, the boldest first.
fn candidates(case: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let ops = case["ops"].as_array().map_or(0, Vec::len);
    // First everything from some operation on, then single ones.
    for keep in [0, ops / 2, ops.saturating_sub(1)] {
        if keep < ops {
            found.push(changed(case, |case| list(&mut case["ops"]).truncate(keep)));
        }
    }
    for at in (0..ops).rev() {
        found.push(changed(case, |case| drop(list(&mut case["ops"]).remove(at))));
    }
    if case["sup"]["strategy"] != "simple_one_for_one" {
        for at in (0..case["children"].as_array().map_or(0, Vec::len)).rev() {
            found.push(changed(case, |case| drop(list(&mut case["children"]).remove(at))));
        }
    }
    for at in (0..ops).rev() {
        for (field, least) in [("during", 0), ("list", 1)] {
            let length = case["ops"][at][field].as_array().map_or(0, Vec::len);
            for entry in (0..length).rev().filter(|_| length > least) {
                found.push(changed(case, |case| drop(list(&mut case["ops"][at][field]).remove(entry))));
            }
        }
        if case["ops"][at]["spec"].is_object() {
            found.extend(simpler(&case["ops"][at]["spec"]).map(|spec| changed(case, |c| c["ops"][at]["spec"] = spec)));
        }
    }
    for at in 0..case["children"].as_array().map_or(0, Vec::len) {
        found.extend(simpler(&case["children"][at]).map(|child| changed(case, |c| c["children"][at] = child)));
    }
    found
}

/// The same child with one property less.
fn simpler(child: &Value) -> impl Iterator<Item = Value> {
    let mut found = Vec::new();
    let plain = [
        ("stop", json!("shutdown")),
        ("significant", json!(false)),
        ("type", json!("worker")),
        ("start", json!(["ok"])),
        ("restart", json!("permanent")),
    ];
    for (field, value) in plain {
        if !child[field].is_null() && child[field] != value {
            found.push(changed(child, |child| child[field] = value));
        }
    }
    // A child that hangs must be stopped within a limit.
    if child["stop"] != "hang" && child["shutdown"] != 5000 {
        found.push(changed(child, |child| child["shutdown"] = json!(5000)));
    }
    if let Some(script @ 2..) = child["start"].as_array().map(Vec::len) {
        found.push(changed(child, |child| list(&mut child["start"]).truncate(script - 1)));
    }
    found.into_iter()
}

fn changed(value: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut value = value.clone();
    change(&mut value);
    value
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("a list")
}

#[test]
fn a_case_shrinks_to_what_matters() {
    let case = json!({
        "id": "x", "sup": {"strategy": "one_for_one"},
        "children": [{"id": "a", "start": ["ok", "error"], "stop": "normal"}, {"id": "b"}],
        "ops": [{"op": "count"}, {"op": "which", "during": [{"op": "count"}, {"op": "stop"}]}, {"op": "count"}],
    });
    let stops =
        |case: &Value| case["ops"].to_string().contains("stop") && case["children"].to_string().contains("error");
    let smallest = shrink(&case, stops);
    let child = Value::Object(Map::from_iter([
        ("id".to_owned(), json!("a")),
        ("start".to_owned(), json!(["ok", "error"])),
        ("stop".to_owned(), json!("shutdown")),
        ("shutdown".to_owned(), json!(5000)),
    ]));
    assert_eq!(smallest["children"], json!([child]));
    assert_eq!(smallest["ops"], json!([{"op": "which", "during": [{"op": "stop"}]}]));
}
