//! The same cases on both levels: the machine in a scripted world, and real actors under ractor, on tokio's paused clock.
//!
//! The [golden](./golden.rs) cases and as many fresh ones are played twice: by the machine alone, as in the comparison with
//! OTP, and by the supervisor as its users have it, with actors that play the same scripts. Every event must be the same, in
//! the same order: each start, signal, end, report and answer. So what is shown of the machine is shown of the actors.
//!
//! `MLX_TREE_OTP_CASES` and `MLX_TREE_OTP_SEED` say how many fresh ones, and which.
//!
//! Here the machine takes its own view of what it does otherwise than OTP (`View::Ours`). A text is changed in one respect
//! only, for both: see [`as_actors_can`]; and what has no order is left out: see [`start_or_kill`].

#[path = "two_levels/actors.rs"]
mod actors;
#[path = "../examples/otp_replay/case.rs"]
mod case;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/generate.rs"]
mod generate;
#[path = "two_levels/log.rs"]
mod log;
#[path = "../examples/otp_replay/world.rs"]
mod world;

use std::io::Read;
use std::sync::Once;

use flate2::read::GzDecoder;
use serde_json::Value;

#[derive(Default)]
struct Tally {
    cases: usize,
    events: usize,
    cut_short: usize,
    differing: Vec<String>,
}

// === impl Tally ===

impl Tally {
    async fn play(&mut self, mut text: Value) {
        as_actors_can(&mut text);
        let case: case::Case = serde_json::from_value(text.clone()).unwrap();
        let mut machine = world::World::play(&case, world::View::Ours);
        let mut actors = actors::play(&case).await;
        if let Some(at) = start_or_kill(&machine) {
            machine.truncate(at);
            actors.truncate(at);
            self.cut_short += 1;
        }
        self.cases += 1;
        self.events += actors.len();
        if let Err(difference) = compare::compare(&text, &machine, &actors) {
            self.differing.push(format!("{}: {difference}\nthe case: {text}", case.id));
        }
    }

    #[track_caller]
    fn agree(&self, cases: usize, events: usize) {
        let shown = self.differing.iter().take(3).cloned().collect::<Vec<_>>().join("\n\n");
        assert!(
            self.differing.is_empty(),
            "{} of {} differ (otp: the machine, ours: the actors)\n{shown}",
            self.differing.len(),
            self.cases
        );
        assert_eq!(self.cases, cases);
        assert!(self.cut_short < cases / 20, "{} were not played to their end", self.cut_short);
        assert!(self.events > events, "the cases are worth playing: {} events", self.events);
    }
}

/// An actor that is asked to stop ends with the reason that it was given, or with an error. It has no way to say "normal"
/// instead, as a process has.
fn as_actors_can(text: &mut Value) {
    match text {
        Value::Object(fields) => {
            if fields.get("stop").is_some_and(|stop| stop == "normal") {
                fields.insert("stop".to_owned(), "shutdown".into());
            }
            fields.values_mut().for_each(as_actors_can);
        }
        Value::Array(values) => values.iter_mut().for_each(as_actors_can),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A stop that waits allows a start in progress what the child's shutdown rule does, and `brutal_kill` allows nothing. On
/// virtual time both happen at once, so what comes after is compared no more. (What must hold then is in `shutdown.rs`.)
fn start_or_kill(events: &[Value]) -> Option<usize> {
    events.iter().position(|event| event["ev"] == "start_or_kill")
}

/// A script that panics says so on purpose; nobody needs to read that some hundred times.
fn without_raised_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() != Some("raised") {
                usual(panic);
            }
        }));
    });
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

async fn play_golden(cases: &[u8]) {
    without_raised_panics();
    let mut text = String::new();
    GzDecoder::new(cases).read_to_string(&mut text).unwrap();
    let mut tally = Tally::default();
    for line in text.lines() {
        tally.play(serde_json::from_str(line).unwrap()).await;
    }
    tally.agree(1_000, 20_000);
}

#[tokio::test(start_paused = true)]
async fn actors_play_the_first_golden_cases_as_the_machine_does() {
    play_golden(include_bytes!("golden/cases_2.jsonl.gz")).await;
}

#[tokio::test(start_paused = true)]
async fn actors_play_the_second_golden_cases_as_the_machine_does() {
    play_golden(include_bytes!("golden/cases_3.jsonl.gz")).await;
}

#[tokio::test(start_paused = true)]
async fn actors_play_other_cases_as_the_machine_does() {
    without_raised_panics();
    let mut tally = Tally::default();
    let cases = number("MLX_TREE_OTP_CASES").unwrap_or(500);
    let seed = number("MLX_TREE_OTP_SEED").unwrap_or(1);
    for number in 0..cases {
        tally.play(generate::case(seed, number)).await;
    }
    let cases = usize::try_from(cases).unwrap();
    tally.agree(cases, 16 * cases);
}
