//! How servers are stopped, by whom and in which state; and that the last word of an operator counts.

mod support;

use std::time::{Duration, Instant};

use mlx_tree_api::{BreakerState, Phase, ServerState};
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;
use support::{Instance, Setup, processes, wire};

#[tokio::test]
async fn f20_a_server_that_ignores_term_is_killed_when_its_grace_is_over() {
    let grace = Duration::from_secs(1);
    let tree = Setup::demo(&["--ignore-term"]).set("shutdown.grace", "1s").start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let start = Instant::now();
    tree.perform(Verb::Stop).await.expect("it stops");
    assert!(start.elapsed() >= grace, "killed before its time: {:?}", start.elapsed());
    assert!(!support::exists(server));
    tree.told(&["Server stopped", "SIGKILL", "after its grace of 1 s"]).await;
    stopped(&tree).await;
    tree.stop().await;
}

#[tokio::test]
async fn f37_a_server_that_fails_while_it_is_being_stopped_is_stopped_and_has_not_failed() {
    let tree = Setup::demo(&["--die-on-term", "100ms", "--code", "3", "--last-words", "RuntimeError: not now"]).start();
    tree.ready(1).await;
    tree.perform(Verb::Stop).await.expect("it stops");
    let status = stopped(&tree).await;
    assert_eq!((status.restart_count, status.breaker.consecutive_failures), (0, 0));
    assert_eq!(status.journal.iter().filter(|entry| entry.decision.starts_with("restart after")).count(), 0);
    tree.stop().await;
}

/// The server is down, stays so, and nothing of it is left.
async fn stopped(tree: &Instance) -> mlx_tree_api::Status {
    let status = tree.until("stopped", |it| it.phase == Phase::Stopped).await;
    assert_eq!((status.state, status.process_pid, status.next_attempt_in_s), (ServerState::Stopped, None, None));
    assert_eq!(status.circuit_breaker_state, BreakerState::Closed);
    assert_eq!(processes::stand_ins_of(tree.home()), []);
    status
}

/// A state in which an operator may find the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    /// Down; the next start is far away.
    Backoff,
    /// Launched, and not listening yet.
    Starting,
    /// Listening; its model is loading.
    Loading,
    Ready,
    /// Given up by its health checks, in its grace before KILL.
    Ending,
    /// Down; the breaker is open.
    Suspended,
}

impl Situation {
    /// A tree in this situation. From its second launch on, its server is well.
    async fn begin(self) -> Instance {
        let (first, phase) = match self {
            Self::Backoff => ("--exit-after 0", Phase::Backoff),
            Self::Starting => ("--listen-after 1500ms", Phase::Loading),
            Self::Loading => ("--load 1500ms", Phase::Loading),
            Self::Ready => ("ok", Phase::Ready),
            Self::Ending => ("--control --ignore-term", Phase::Stopping),
            Self::Suspended => ("--exit-after 0 --last-words \"No module named nothing\"", Phase::Suspended),
        };
        let tree = Setup::scripted(&[first, "ok"])
            .set("restart.backoff_initial", if self == Self::Backoff { "600s" } else { "50ms" })
            .set("restart.backoff_max", "600s")
            .set("breaker.open_for", "600s")
            .set("shutdown.hung_grace", "2s")
            .start();
        if self == Self::Ending {
            let url = tree.ready(1).await.server.url.expect("it serves");
            wire::steer(&url, "hang").await;
        }
        tree.until(&format!("{self:?}"), |it| it.phase == phase).await;
        tree
    }
}

async fn stop_is_obeyed(situation: Situation) {
    let tree = situation.begin().await;
    // Where there is no server nothing is waited for: the delays of these situations are longer than a verb may take here.
    tree.perform(Verb::Stop).await.expect("a stop is never refused");
    stopped(&tree).await;
    tree.perform(Verb::Start).await.expect("it starts again");
    tree.ready(1).await;
    tree.stop().await;
}

async fn two_stops_at_once_are_one(situation: Situation) {
    let tree = situation.begin().await;
    let (first, second) = tokio::join!(tree.perform(Verb::Stop), tree.perform(Verb::Stop));
    assert_eq!(first, second);
    first.expect("a stop is never refused");
    stopped(&tree).await;
    tree.stop().await;
}

async fn start_is_answered(situation: Situation) {
    let tree = situation.begin().await;
    let outcome = tree.perform(Verb::Start).await;
    match situation {
        Situation::Backoff | Situation::Suspended => {
            let why = outcome.expect_err("it waits, as the policy says");
            assert!(why.contains("will be started by itself in "), "{why}");
            assert_eq!(tree.status().await.process_pid, None);
        }
        Situation::Starting | Situation::Loading | Situation::Ready => {
            outcome.expect("it is waited for, or there already");
            assert_eq!(tree.ready(1).await.server.epoch, 1);
        }
        Situation::Ending => {
            // This incarnation is given up, which is the answer, unless the next one is there already.
            assert!(outcome.as_ref().map_or_else(|why| why.contains("not ready"), |_| true), "{outcome:?}");
            tree.ready(2).await;
        }
    }
    tree.stop().await;
}

async fn restart_is_obeyed(situation: Situation) {
    let tree = situation.begin().await;
    tree.perform(Verb::Restart).await.expect("it is started anew");
    let status = tree.ready(2).await;
    assert_eq!((status.circuit_breaker_state, status.breaker.consecutive_failures), (BreakerState::Closed, 0));
    tree.stop().await;
}

async fn reset_is_obeyed(situation: Situation) {
    let tree = situation.begin().await;
    tree.perform(Verb::Reset).await.expect("a reset is never refused");
    let epoch = match situation {
        Situation::Starting | Situation::Loading | Situation::Ready => 1,
        Situation::Backoff | Situation::Suspended | Situation::Ending => 2,
    };
    let status = tree.ready(epoch).await;
    assert_eq!((status.server.epoch, status.circuit_breaker_state), (epoch, BreakerState::Closed));
    tree.stop().await;
}

async fn shutdown_ends_everything(situation: Situation) {
    let mut tree = situation.begin().await;
    tree.perform(Verb::Shutdown).await.expect("a shutdown is never refused");
    assert_eq!(tree.ended().await.code(), Some(0), "{situation:?}:\n{}", tree.log());
    assert_eq!(processes::stand_ins_of(tree.home()), []);
}

async fn sigterm_ends_everything(situation: Situation) {
    let mut tree = situation.begin().await;
    tree.signal(Signal::SIGTERM);
    assert_eq!(tree.ended().await.code(), Some(0), "{situation:?}:\n{}", tree.log());
    assert_eq!(processes::stand_ins_of(tree.home()), []);
}

async fn a_second_interrupt_ends_everything_at_once(situation: Situation) {
    let mut tree = situation.begin().await;
    tree.signal(Signal::SIGINT);
    // Where the first one is enough, there is nobody left for the second.
    tokio::time::sleep(Duration::from_millis(100)).await;
    if tree.is_running() {
        tree.signal(Signal::SIGINT);
    }
    assert_eq!(tree.ended().await.code(), Some(130), "{situation:?}:\n{}", tree.log());
    assert_eq!(processes::stand_ins_of(tree.home()), []);
}

/// What an operator can do in one situation, each on a tree of its own, all at the same time.
async fn every_verb_in(situation: Situation) {
    tokio::join!(
        stop_is_obeyed(situation),
        two_stops_at_once_are_one(situation),
        start_is_answered(situation),
        restart_is_obeyed(situation),
        reset_is_obeyed(situation),
        shutdown_ends_everything(situation),
        sigterm_ends_everything(situation),
        a_second_interrupt_ends_everything_at_once(situation),
    );
}

#[tokio::test]
async fn an_operators_word_counts_while_the_server_waits_for_its_backoff() {
    every_verb_in(Situation::Backoff).await;
}

#[tokio::test]
async fn an_operators_word_counts_while_the_server_starts() {
    every_verb_in(Situation::Starting).await;
}

#[tokio::test]
async fn an_operators_word_counts_while_the_model_loads() {
    every_verb_in(Situation::Loading).await;
}

#[tokio::test]
async fn an_operators_word_counts_while_the_server_serves() {
    every_verb_in(Situation::Ready).await;
}

#[tokio::test]
async fn an_operators_word_counts_while_a_hung_server_is_being_ended() {
    every_verb_in(Situation::Ending).await;
}

#[tokio::test]
async fn an_operators_word_counts_while_the_breaker_is_open() {
    every_verb_in(Situation::Suspended).await;
}

#[tokio::test]
async fn a_start_during_a_stop_waits_for_it_and_a_stop_during_a_start_ends_it() {
    let tree = Setup::demo(&["--die-on-term", "1s", "--load", "500ms"]).start();
    let first = tree.ready(1).await.process_pid.expect("it serves");
    let (stop, start) = tokio::join!(tree.perform(Verb::Stop), async {
        tree.until("stopping", |it| it.phase == Phase::Stopping).await;
        tree.perform(Verb::Start).await
    });
    stop.expect("it stops");
    start.expect("it starts");
    let second = tree.ready(2).await;
    assert!(second.process_pid != Some(first) && !support::exists(first));
    let (restart, stop) = tokio::join!(tree.perform(Verb::Restart), async {
        tree.until("loading again", |it| it.phase == Phase::Loading && it.server.epoch == 3).await;
        tree.perform(Verb::Stop).await
    });
    assert_eq!(restart.expect_err("it was stopped"), "the server was stopped meanwhile");
    stop.expect("it stops");
    stopped(&tree).await;
    tree.stop().await;
}

/// Steps through the random numbers of a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

#[tokio::test]
async fn f38_after_a_hundred_random_commands_the_last_one_counts_and_there_was_never_more_than_one_server() {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => {
            u64::from(std::process::id())
                ^ u64::from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").subsec_nanos())
        }
    };
    support::say(&format!("SEED={seed} repeats these commands"));
    let mut random = Random(seed);
    let tree = Setup::demo(&["--listen-after", "20ms"])
        .set("restart.backoff_initial", "10ms")
        .set("restart.backoff_max", "50ms")
        .set("restart.max_restarts", "1000")
        .set("breaker.failure_threshold", "1000")
        .start();
    tree.ready(1).await;
    let watch = processes::Watch::of(tree.home());
    let mut asked = Vec::new();
    for _ in 0..100 {
        let verb = match random.below(8) {
            0 | 1 => Some(Verb::Start),
            2 | 3 => Some(Verb::Stop),
            4 | 5 => Some(Verb::Restart),
            6 => Some(Verb::Reset),
            _ => None,
        };
        match verb {
            // Not waited for: the next command comes while this one is carried out.
            Some(verb) => {
                let client = tree.client();
                asked.push(tokio::spawn(async move { client.perform(verb).await.map_err(|error| error.to_string()) }));
            }
            None => {
                for server in processes::stand_ins_of(tree.home()) {
                    // It may have ended since it was seen.
                    let _ =
                        nix::sys::signal::kill(nix::unistd::Pid::from_raw(server.pid.cast_signed()), Signal::SIGKILL);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(random.below(60))).await;
    }
    // Verbs are carried out in the order in which they are told, so the last one has to come after all others are.
    let start = Instant::now();
    while tree.log().matches("Operator: ").count() < asked.len() {
        assert!(start.elapsed() < support::PATIENCE, "SEED={seed}: not all are heard;\n{}", tree.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let last = if random.below(2) == 0 { Verb::Stop } else { Verb::Restart };
    let outcome = tree.perform(last).await;
    match last {
        Verb::Stop => {
            outcome.unwrap_or_else(|why| panic!("SEED={seed}: {why}"));
            stopped(&tree).await;
        }
        _ => {
            tree.until("ready", |it| it.phase == Phase::Ready).await;
            assert_eq!(processes::stand_ins_of(tree.home()).len(), 1, "SEED={seed}");
        }
    }
    for outcome in asked {
        // Refused or done, but answered.
        let answered = tokio::time::timeout(support::PATIENCE, outcome).await;
        let _: Result<_, String> = answered.expect("every command is answered").expect("no panic");
    }
    let (servers, crowds) = watch.end();
    assert!(servers > 5, "SEED={seed}: the table was looked at, and showed {servers} servers one after the other");
    assert!(crowds.is_empty(), "SEED={seed}: alive at the same time: {crowds:?}\n{}", tree.log());
    assert!(!tree.log().contains("panicked"), "SEED={seed}:\n{}", tree.log());
    tree.stop().await;
}
