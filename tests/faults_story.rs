//! Stories that chance writes: clients of every kind over a server that goes down in every way, and what must hold afterwards.
//!
//! The seed is printed; `MLX_TREE_TEST_SEED` tells one again.

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;
use serde_json::Value;
use support::gateway::{Address, Answer, End, count, plain, sampled, streamed, with};
use support::{Instance, PATIENCE, Setup, processes};

/// So many clients, each with so many requests.
const CLIENTS: u64 = 6;
const REQUESTS: u64 = 5;

/// Requests at the server at once.
const INFLIGHT: u64 = 3;

/// Chance that can be had again: splitmix64.
#[derive(Clone)]
struct Chance(u64);

impl Chance {
    fn of(seed: u64, part: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(part))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn seed() -> u64 {
    let told = std::env::var("MLX_TREE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = told.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        u64::from(now.subsec_nanos())
    });
    support::say(&format!("MLX_TREE_TEST_SEED={seed}"));
    seed
}

/// What clients do before they have their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clients {
    /// They wait.
    Patient,
    /// Some of them leave.
    Fickle,
}

/// How a request ended: exactly one of these (I2).
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Complete,
    Error(String),
    Left,
}

/// What an answer is, having checked that it is nothing in between (I2, I3, I4).
fn judged(answer: &Answer, greedy: bool, expected: &str) -> Outcome {
    if answer.status() != 200 {
        assert_eq!(answer.end, End::Proper, "{answer:#?}");
        return Outcome::Error(answer.error().expect("it has one"));
    }
    if answer.is_success() {
        let text = answer.whole();
        assert_eq!(text, expected, "an answer of one generation, or continued to the letter");
        if !answer.events.is_empty() {
            let ids: BTreeSet<String> = answer.chunks().iter().map(|chunk| chunk["id"].to_string()).collect();
            assert_eq!(ids.len(), 1, "I4: {answer:#?}");
        }
        return Outcome::Complete;
    }
    let error = answer.error().unwrap_or_else(|| panic!("cut without a word: {answer:#?}"));
    assert!(expected.starts_with(&answer.text()) && answer.end == End::Cut, "I4, I3: {greedy} {answer:#?}");
    Outcome::Error(error)
}

/// One client, until it has asked all that it wants to know.
async fn client(gateway: Address, seed: u64, number: u64, kind: Clients, expected: &[String]) -> Vec<Outcome> {
    let mut chance = Chance::of(seed, number);
    let mut outcomes = Vec::new();
    for request in 0..REQUESTS {
        let place = usize::try_from(number * REQUESTS + request).expect("few");
        let prompt = prompt(number, request);
        let (body, greedy): (Value, bool) = match chance.below(4) {
            0 => (plain(&prompt), true),
            1 => (streamed(&prompt), true),
            2 => (sampled(&prompt), false),
            _ => (with(plain(&prompt), "temperature", 0.7), false),
        };
        let call = gateway.send(&body).await;
        if chance.below(6) == 0 && kind == Clients::Fickle {
            tokio::time::sleep(Duration::from_millis(chance.below(200))).await;
            drop(call);
            outcomes.push(Outcome::Left);
        } else {
            outcomes.push(judged(&call.answer().await, greedy, &expected[place]));
        }
        tokio::time::sleep(Duration::from_millis(chance.below(100))).await;
    }
    outcomes
}

fn prompt(number: u64, request: u64) -> String {
    format!("client {number}, question {request}")
}

/// Whoever wishes the server ill, and its operator, until the clients are done.
async fn trouble(tree: &Instance, seed: u64, done: &AtomicBool) -> (u64, u64) {
    let mut chance = Chance::of(seed, u64::MAX);
    let (mut faults, mut most) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(500 + chance.below(1500))).await;
        let status = tree.status().await;
        let (Some(url), Some(pid)) = (status.server.url, status.process_pid) else { continue };
        if let Some(stats) = support::wire::ask(&url, "GET", "/_fake/stats", "").await {
            let body = stats.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let stats = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {stats}"));
            most = most.max(count(&stats, "max_chats_in_flight"));
        }
        // I5: a stand-in beside this one would be a second server.
        let servers = processes::stand_ins_of(tree.home()).len();
        assert!(servers <= 1, "I5: {servers} servers");
        faults += 1;
        let steered = match chance.below(6) {
            0 => "exit?code=3",
            1 => "abort",
            2 => "hang",
            3 => "kill-generation",
            4 => {
                drop(tree.perform(Verb::Restart).await);
                continue;
            }
            _ => {
                if support::exists(pid) {
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                }
                continue;
            }
        };
        // It may be gone already.
        drop(support::wire::ask(&url, "POST", &format!("/_fake/{steered}"), "").await);
    }
    (faults, most)
}

fn tolerant(flags: &[&str]) -> Setup {
    Setup::demo(flags)
        .set("gateway.max_inflight", &INFLIGHT.to_string())
        .set("gateway.climb_after", "1s")
        .set("restart.max_restarts", "1000")
        .set("restart.backoff_max", "300ms")
        .set("breaker.failure_threshold", "1000")
        // All that helps against a server that was made to hang while it started.
        .set("server.start_timeout", "20s")
        .set("health.canary_idle", "500ms")
        .set("health.canary_timeout", "1s")
        .set("health.stall_after", "1s")
}

#[tokio::test]
async fn whatever_happens_each_request_ends_once_and_nothing_passes_for_an_answer_that_is_none() {
    let most = story(Clients::Patient).await;
    // The server's own count, of what clients ask: canaries are no chats.
    assert!(most <= INFLIGHT, "I1: {most} at once");
}

#[tokio::test]
async fn whatever_happens_clients_that_leave_leave_nothing_behind() {
    // One who leaves a server that has stopped generating is not noticed by it: its count says nothing then.
    story(Clients::Fickle).await;
}

/// Tells one, and checks what must hold. Answers how many chats the server has been seen with at once.
async fn story(kind: Clients) -> u64 {
    let seed = seed();
    // What each of them is to hear.
    let calm = Setup::demo(&[]).start();
    calm.ready(1).await;
    let gateway = calm.gateway().await;
    let mut expected = Vec::new();
    for number in 0..CLIENTS {
        for request in 0..REQUESTS {
            expected.push(gateway.ask(&plain(&prompt(number, request))).await.whole());
        }
    }
    // I10: where nothing goes wrong, nothing is restarted.
    assert_eq!(calm.status().await.restart_count, 0);
    calm.stop().await;

    let tree = tolerant(&["--control", "--tps", "150", "--prefill", "50ms"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let before = processes::resident(tree.pid());
    let done = AtomicBool::new(false);
    let clients = async {
        let outcomes = join_all((0..CLIENTS).map(|number| client(gateway, seed, number, kind, &expected))).await;
        done.store(true, Ordering::Relaxed);
        outcomes
    };
    let (outcomes, (faults, most)) = tokio::join!(clients, trouble(&tree, seed, &done));
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    let complete = outcomes.iter().filter(|outcome| **outcome == Outcome::Complete).count();
    let errors: Vec<&str> = outcomes
        .iter()
        .filter_map(|outcome| if let Outcome::Error(code) = outcome { Some(&**code) } else { None })
        .collect();
    support::say(&format!("{complete} of {} complete, {faults} faults, errors {errors:?}", outcomes.len()));
    assert_eq!(outcomes.len() as u64, CLIENTS * REQUESTS, "I2");
    // I9: when the trouble is over, it serves. The last of it may still strike the first who ask.
    let (start, mut told) = (Instant::now(), Vec::new());
    loop {
        let answer = gateway.ask(&sampled(&format!("after all, {}", told.len()))).await;
        if answer.is_success() {
            break;
        }
        told.push((start.elapsed(), answer.error()));
        assert!(start.elapsed() < PATIENCE, "I9: it does not serve again: {told:?}; log:\n{}", tree.log());
    }
    // I7: nothing is left over.
    let gate = tree.balanced().await.gates.remove(0);
    assert_eq!(gate.in_flight, 0);
    tree.gateway_until("fully trusted", |it| it.gates[0].limit == INFLIGHT).await;
    let grown = processes::resident(tree.pid()).saturating_sub(before);
    assert!(grown < 32 << 20, "I7: mlx-tree grew by {grown} bytes");
    assert!(complete > 0, "{outcomes:?}");
    tree.stop().await;
    most
}
