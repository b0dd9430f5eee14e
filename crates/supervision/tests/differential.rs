//! The machine against OTP's own supervisor, in fresh random cases: new ones in each run, compared event by event.
//!
//! Runs where Erlang's `escript` and the driver are at hand, and says so where they are not. [`golden`](./golden.rs)
//! replays recorded cases everywhere.
//!
//! | variable | meaning |
//! |---|---|
//! | `MLX_TREE_OTP_ORACLE` | the driver: reads cases, drives OTP's supervisor, prints what it observed |
//! | `MLX_TREE_OTP_SEED` | the seed of an earlier run, to repeat it |
//! | `MLX_TREE_OTP_CASES` | how many cases; without it 400, or as many as 20 s allow |
//!
//! A case that differs is made smaller for as long as it still differs, and kept in `target/otp-differences/`.

#[path = "../examples/otp_replay/case.rs"]
mod case;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/oracle.rs"]
mod oracle;
#[path = "differential/shrink.rs"]
mod shrink;
#[path = "../examples/otp_replay/world.rs"]
mod world;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use oracle::{Observed, Oracle};

const CASES: u64 = 400;
const TIME: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Tally {
    compared: u64,
    events: usize,
    tainted: u64,
    crashes: Vec<String>,
    differing: Vec<String>,
}

#[test]
fn fresh_cases_are_played_as_otp_plays_them() {
    let driver = match oracle::find() {
        Ok(driver) => driver,
        Err(missing) => return say(&format!("skipped: {missing}")),
    };
    let asked = number("MLX_TREE_OTP_CASES");
    let seed = number("MLX_TREE_OTP_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
        u64::from(now.subsec_nanos()) ^ (now.as_secs() << 30)
    });
    let end = asked.is_none().then(|| Instant::now() + TIME);
    let mut otp = Oracle::start(&driver);
    let mut tally = Tally::default();
    for case in (0..asked.unwrap_or(CASES)).map(|number| generate::case(seed, number)) {
        if end.is_some_and(|end| Instant::now() > end) || tally.differing.len() >= 5 || tally.crashes.len() >= 5 {
            break;
        }
        match otp.observe(&case) {
            Observed::Events(theirs) => tally.compare(&case, &theirs, &mut otp, seed),
            Observed::Tainted => tally.tainted += 1,
            Observed::Crash(why) => {
                tally.crashes.push(format!("{why}\nthe case: {case}"));
                otp = Oracle::start(&driver);
            }
        }
    }
    say(&format!(
        "seed {seed}: {} cases compared with OTP, {} events, {} differ; {} tainted, {} crashes of the driver",
        tally.compared,
        tally.events,
        tally.differing.len(),
        tally.tainted,
        tally.crashes.len(),
    ));
    assert!(tally.differing.is_empty(), "seed {seed}\n{}", tally.differing.join("\n\n"));
    assert!(tally.crashes.is_empty(), "seed {seed}: the driver failed\n{}", tally.crashes.join("\n\n"));
    assert!(tally.compared > tally.tainted, "seed {seed}: too slow a machine to compare on");
}

/// What the comparison finds, and how it is shown, must itself be right: a world that lies is caught.
#[test]
fn a_supervisor_that_forgets_to_restart_is_found_out() {
    let case = json!({
        "id": "x", "sup": {"strategy": "one_for_one"},
        "children": [{"id": "a"}], "ops": [{"op": "exit", "id": "a", "why": "crash"}],
    });
    let events = play(&case);
    assert!(compare::compare(&case, &events, &events).is_ok());
    let lie: Vec<_> = events.iter().filter(|event| event["try"] != 2).cloned().collect();
    let difference = compare::compare(&case, &events, &lie).unwrap_err().to_string();
    assert!(difference.contains(r#"otp : {"ev":"start","id":"a","out":"ok","try":2}"#), "{difference}");
}

// === impl Tally ===

impl Tally {
    fn compare(&mut self, case: &Value, theirs: &[Value], otp: &mut Oracle, seed: u64) {
        self.compared += 1;
        self.events += theirs.len();
        let Err(difference) = compare::compare(case, theirs, &play(case)) else { return };
        let smallest = shrink::shrink(case, |candidate| match otp.observe(candidate) {
            Observed::Events(theirs) => compare::compare(candidate, &theirs, &play(candidate)).is_err(),
            Observed::Tainted | Observed::Crash(_) => false,
        });
        let shown = match otp.observe(&smallest) {
            Observed::Events(theirs) => match compare::compare(&smallest, &theirs, &play(&smallest)) {
                Err(smaller) => smaller.to_string(),
                Ok(()) => format!("not in each run; at first {difference}"),
            },
            Observed::Tainted | Observed::Crash(_) => difference.to_string(),
        };
        let kept = keep(&smallest);
        self.differing.push(format!(
            "{} (seed {seed}): {shown}\nthe case, in {}: {smallest}",
            case["id"],
            kept.display()
        ));
    }
}

/// Plays a case on our machine; a panic is something that OTP would not have done.
fn play(case: &Value) -> Vec<Value> {
    let case: case::Case = serde_json::from_value(case.clone()).expect("the format of a case");
    catch_unwind(AssertUnwindSafe(|| world::World::play(&case, world::View::Otp)))
        .unwrap_or_else(|_| vec![json!({"ev": "panic", "case": case.id})])
}

fn keep(case: &Value) -> PathBuf {
    // Cargo's folder for what tests leave behind lies in the target directory.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("otp-differences");
    let file = folder.join(format!("{}.jsonl", case["id"].as_str().unwrap_or("case")));
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&file, format!("{case}\n")))
        .expect("a place to keep it");
    file
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not `{text}`")))
}

/// Past the test runner, which shows only what failing tests print.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "differential: {line}");
}
