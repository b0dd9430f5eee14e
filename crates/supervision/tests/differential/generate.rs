//! Random cases, in the format that the driver of OTP's supervisor reads.
//!
//! What is left out is what neither side could answer for: a child that hangs is always stopped within a short limit, and a
//! dynamic child is never ignored on a restart (OTP then keeps an entry without a process for ever; we forget the child). Nor
//! is a child given 0 ms to stop: whether it hears of that before it is killed is up to Erlang's scheduler.

use serde_json::{Value, json};

/// Where the numbers come from: SplitMix64, so that a seed means the same case on every machine.
pub(crate) struct Random(u64);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Static,
    Dynamic,
}

const ENDS: [&str; 7] = ["normal", "shutdown", "shutdown_t", "crash", "crash", "crash", "kill"];

/// The case number `number` of `seed`.
pub(crate) fn case(seed: u64, number: u64) -> Value {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03));
    let r = &mut random;
    let strategy = r.of(&["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]);
    let kind = if strategy == "simple_one_for_one" { Kind::Dynamic } else { Kind::Static };
    let period = r.of(&[1_u64, 2, 5, 10]);
    let auto_shutdown = r.of(&["never", "never", "any_significant", "all_significant"]);
    let sup = json!({
        "strategy": strategy, "intensity": r.of(&[0, 1, 2, 3, 5, 20]), "period": period, "auto_shutdown": auto_shutdown,
    });
    let ids = &["a", "b", "c", "d", "e"][..r.between(1, 5)];
    let mut children = match kind {
        Kind::Static => ids.iter().map(|id| boot_child(r, id)).collect(),
        Kind::Dynamic => vec![template(r)],
    };
    for child in &mut children {
        let contradicts = auto_shutdown == "never" || child["restart"] == "permanent";
        if contradicts && !r.one_in(20) {
            child["significant"] = json!(false);
        }
    }
    if kind == Kind::Static && r.one_in(50) {
        children.push(boot_child(r, ids[0]));
    }
    let may_hang = [json!("brutal_kill"), json!(20)].contains(&children[0]["shutdown"]);
    let ops: Vec<_> = (0..r.between(1, 16)).map(|_| op(r, ids, kind, period, may_hang)).collect();
    json!({"id": format!("{seed}-{number}"), "sup": sup, "children": children, "ops": ops})
}

fn op(r: &mut Random, ids: &[&str], kind: Kind, period: u64, may_hang: bool) -> Value {
    let mut op = match r.below(100) {
        0..45 => json!({"op": "exit", "id": r.of(ids), "why": r.of(&ENDS)}),
        45..55 => {
            let mut dying = ids.to_vec();
            let mut list = Vec::new();
            for _ in 0..r.between(1, ids.len()) {
                list.push(json!([dying.swap_remove(r.below(dying.len())), r.of(&ENDS)]));
            }
            json!({"op": "exits", "list": list})
        }
        55..65 => return json!({"op": "advance", "s": r.of(&[1, 1, 2, period, period + 1])}),
        65..67 => stop(),
        _ => call(r, ids, kind, may_hang),
    };
    if r.below(100) < 35 {
        let during = (0..r.between(1, 3)).map(|_| if r.one_in(12) { stop() } else { call(r, ids, kind, may_hang) });
        op["during"] = during.collect();
    }
    op
}

fn stop() -> Value {
    json!({"op": "stop", "why": "shutdown"})
}

fn call(r: &mut Random, ids: &[&str], kind: Kind, may_hang: bool) -> Value {
    // One more than there is.
    let whom = |r: &mut Random| if r.one_in(ids.len() + 1) { "g" } else { r.of(ids) };
    let what = match kind {
        Kind::Static => r.of(&[
            "start_child",
            "terminate_child",
            "terminate_child",
            "restart_child",
            "restart_child",
            "delete_child",
            "which",
            "count",
            "get_childspec",
        ]),
        Kind::Dynamic => r.of(&["start_child", "start_child", "terminate_child", "which", "count", "restart_child"]),
    };
    match (what, kind) {
        ("which" | "count", _) => json!({"op": what}),
        ("start_child", Kind::Static) => {
            let id = whom(r);
            let mut spec = child(r, id);
            // The script counts even if the spec is refused, and the old spec may wait for ever.
            if spec["stop"] == "hang" {
                spec["stop"] = json!("shutdown");
            }
            json!({"op": what, "spec": spec})
        }
        ("start_child", Kind::Dynamic) => {
            let stop = match r.below(10) {
                0 => "normal",
                1 => "crash",
                2 if may_hang => "hang",
                _ => "shutdown",
            };
            json!({"op": what, "label": whom(r), "start": never_ignored_again(script(r)), "stop": stop})
        }
        _ => json!({"op": what, "id": whom(r)}),
    }
}

/// A child of the tree; its first start seldom fails, because then there is nothing else to see.
fn boot_child(r: &mut Random, id: &str) -> Value {
    let mut child = child(r, id);
    if (child["start"][0] == "error" || child["start"][0] == "raise") && !r.one_in(10) {
        child["start"][0] = json!("ok");
    }
    child
}

/// What all dynamic children are made from.
fn template(r: &mut Random) -> Value {
    let mut child = child(r, "t");
    child["start"] = json!(["ok"]);
    child["stop"] = json!("shutdown");
    child
}

fn child(r: &mut Random, id: &str) -> Value {
    let stop = r.of(&["shutdown", "shutdown", "shutdown", "shutdown", "shutdown", "normal", "crash", "hang"]);
    let shutdown = match stop {
        "hang" => r.of(&[json!(10), json!("brutal_kill")]),
        _ => r.of(&[json!("brutal_kill"), json!(20), json!(5000), json!(5000), json!("infinity")]),
    };
    json!({
        "id": id,
        "restart": r.of(&["permanent", "permanent", "transient", "temporary"]),
        "start": script(r),
        "stop": stop,
        "shutdown": shutdown,
        "type": if r.below(100) < 15 { "supervisor" } else { "worker" },
        "significant": r.one_in(5),
    })
}

/// What becomes of the first start, the second …; the last one repeats.
fn script(r: &mut Random) -> Vec<&'static str> {
    if r.one_in(4) {
        return (0..r.between(1, 5)).map(|_| r.of(&["ok", "ok", "ok", "error", "raise", "ignore"])).collect();
    }
    let usual: [&[&str]; 11] = [
        &["ok"],
        &["ok"],
        &["ok"],
        &["ok", "ok", "error", "ok"],
        &["ok", "error", "ok"],
        &["ok", "error", "error", "ok"],
        &["ok", "raise", "ok"],
        &["ok", "error"],
        &["error", "ok"],
        &["ignore", "ok"],
        &["ok", "ignore", "ok"],
    ];
    r.of(&usual).to_vec()
}

fn never_ignored_again(mut script: Vec<&'static str>) -> Vec<&'static str> {
    for outcome in script.iter_mut().skip(1) {
        if *outcome == "ignore" {
            *outcome = "ok";
        }
    }
    script
}

// === impl Random ===

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a small number");
        usize::try_from(self.next() % limit).expect("a small number")
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}
