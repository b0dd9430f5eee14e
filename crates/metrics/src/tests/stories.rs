//! What is counted of a server's life and of its requests.

use std::time::Duration;

use mlx_tree_api::{AttemptEnd, Kind, Phase, Probe, ProbeOutcome, RequestOutcome, Sample};
use proptest::prelude::*;

use super::{Story, exited, granted, operator, ready, spawned};

fn restarts(story: &Story) -> Vec<(&'static str, u64)> {
    let counted = story.server("server").restarts.iter().filter(|(_, count)| **count > 0);
    counted.map(|(reason, count)| (*reason, *count)).collect()
}

#[test]
fn a_restart_is_counted_when_it_happens_for_the_reason_of_the_end_before() {
    let mut story = Story::of(&["server"]);
    story.event(1, spawned()).event(1, ready(1.0)).event(1, exited("killed"));
    assert_eq!(restarts(&story), [], "it has ended, and nothing was started yet");
    story.event(1, granted());
    assert_eq!(restarts(&story), [], "it was granted, and is due in a while");
    story.event(2, spawned()).event(2, ready(1.0));
    assert_eq!(restarts(&story), [("killed", 1)]);
    story.event(2, exited("metal_out_of_memory")).event(2, granted()).event(3, spawned());
    assert_eq!(restarts(&story), [("killed", 1), ("metal_out_of_memory", 1)]);
    assert_eq!(story.server("server").starts, 3);
}

#[test]
fn a_start_that_fails_before_there_is_a_process_is_a_restart_all_the_same() {
    let mut story = Story::of(&["server"]);
    story.event(1, exited("port_in_use")).event(1, granted()).event(2, exited("port_in_use")).event(2, granted());
    assert_eq!(restarts(&story), [("port_in_use", 1)]);
    story.event(3, exited("cannot_execute"));
    assert_eq!(restarts(&story), [("port_in_use", 2)]);
    assert_eq!(story.server("server").starts, 0);
}

#[test]
fn the_trial_of_a_half_open_breaker_is_a_restart_and_so_is_one_after_a_reset() {
    for release in [Kind::BreakerHalfOpened, Kind::BreakerClosed { reason: "reset".to_owned() }] {
        let mut story = Story::of(&["server"]);
        story.event(5, spawned()).event(5, exited("crashed"));
        story.event(5, Kind::BreakerOpened { reason: "too many".to_owned(), open_for_s: Some(60.0) });
        story.event(5, release).event(6, spawned());
        assert_eq!(restarts(&story), [("crashed", 1)]);
        assert_eq!(story.server("server").breaker_openings, 1);
    }
}

#[test]
fn what_an_operator_starts_is_no_automatic_restart() {
    for verbs in [&["restart"][..], &["stop", "start"]] {
        let mut story = Story::of(&["server"]);
        story.event(1, spawned()).event(1, exited("crashed")).event(1, granted());
        for verb in verbs {
            story.event(0, operator(verb));
        }
        story.event(2, spawned());
        assert_eq!(restarts(&story), []);
    }
}

#[test]
fn it_is_down_from_the_first_sign_of_it_to_ready() {
    let mut story = Story::of(&["server"]);
    story.at(10.0).event(1, ready(1.0));
    story.at(20.0).event(1, Kind::ServerUnhealthy { reason: "it hangs".to_owned() });
    story.at(23.0).event(1, exited("unhealthy"));
    story.at(27.0).event(2, exited("crashed"));
    story.at(32.0).event(3, ready(4.0));
    let recovery = &story.server("server").recovery;
    assert_eq!((recovery.count(), recovery.sum()), (1, 12.0));
    assert_eq!(story.server("server").start.sum(), 5.0);
}

#[test]
fn a_server_that_was_stopped_has_nothing_to_recover_from() {
    let mut story = Story::of(&["server"]);
    story.at(1.0).event(1, exited("crashed")).event(0, operator("stop"));
    story.at(600.0).event(0, operator("start")).event(2, ready(1.0));
    story.event(2, Kind::ServerStopped { how: "exit code 0".to_owned() }).event(3, ready(1.0));
    story
        .event(3, exited("crashed"))
        .event(3, Kind::ServerPutToSleep { reason: "idle".to_owned() })
        .event(4, ready(1.0));
    assert_eq!(story.server("server").recovery.count(), 0);
}

#[test]
fn processor_time_goes_on_with_the_next_incarnation_and_nothing_old_is_counted() {
    let used = |epoch, cpu| Sample::Used { server: "server", epoch, memory_bytes: 1, cpu: Duration::from_secs(cpu) };
    let mut story = Story::of(&["server"]);
    story.at(10.0).sample(&used(1, 4)).at(20.0).sample(&used(1, 9)).at(21.0).event(1, exited("killed"));
    story.at(30.0).sample(&used(2, 3)).sample(&used(1, 10)).at(40.0).sample(&used(2, 2)).at(50.0).sample(&used(2, 5));
    // 4 + 5 of the first; of the second 3, nothing when a member of its group has gone, and 3.
    assert_eq!(story.server("server").cpu(), Duration::from_secs(15));
}

#[test]
fn further_servers_have_totals_of_their_own_and_strangers_have_none() {
    let mut story = Story::of(&["main", "coder"]);
    story.told("server", 1, exited("killed")).told("coder/server", 1, exited("crashed"));
    story.told("gateway", 1, exited("bad_model")).told("coder/health", 1, exited("bad_model"));
    for (server, reason) in [("main", "killed"), ("coder", "crashed")] {
        let exits = story.server(server).exits.iter().filter(|(_, count)| **count > 0);
        assert_eq!(exits.collect::<Vec<_>>(), [(&reason, &1)]);
    }
    for number in 0..1_000 {
        story.sample(&Sample::Tokens { server: &format!("stranger-{number}"), count: 1 });
    }
    assert!(story.totals.servers().count() < 100, "nothing grows without bound");
}

#[test]
fn requests_are_counted_by_how_they_ended() {
    let mut story = Story::of(&["server"]);
    let ended = |server, outcome, code, first_byte| Sample::RequestEnded {
        server,
        request: "r-1",
        outcome,
        code,
        took: Duration::from_secs(3),
        first_byte,
        waited: Duration::from_millis(20),
        attempts: 1,
    };
    story.sample(&ended("server", RequestOutcome::Answered, None, Some(Duration::from_secs(1))));
    story.sample(&ended("server", RequestOutcome::Cut, Some("backend_crashed"), Some(Duration::from_secs(1))));
    story.sample(&ended("server", RequestOutcome::Failed, Some("a code of tomorrow"), None));
    story.sample(&ended("", RequestOutcome::Rejected, Some("invalid_api_key"), None));
    story.sample(&Sample::AttemptEnded { server: "server", epoch: 1, request: "r-1", end: AttemptEnd::Broken });
    let text = story.text();
    let requests = |server, outcome, code| {
        text.value("mlx_tree_requests_total", &[("server", server), ("outcome", outcome), ("code", code)])
    };
    assert_eq!(requests("server", "answered", ""), Some(1.0));
    assert_eq!(requests("server", "cut", "backend_crashed"), Some(1.0));
    assert_eq!(requests("server", "failed", "other"), Some(1.0));
    assert_eq!(requests("", "rejected", "invalid_api_key"), Some(1.0));
    assert_eq!(text.value("mlx_tree_request_first_byte_seconds_count", &[("server", "server")]), Some(2.0));
    assert_eq!(text.value("mlx_tree_attempts_total", &[("server", "server"), ("end", "broken")]), Some(1.0));
}

#[test]
fn what_happens_to_requests_is_counted_for_the_server_that_they_were_for() {
    let mut story = Story::of(&["main", "coder"]);
    let (request, reason) = (|| "r".to_owned(), || "it is down".to_owned());
    let (code, message) = ("backend_crashed".to_owned(), reason());
    story.asked("coder", Kind::RequestHeld { request: request(), reason: reason() });
    story.asked("coder", Kind::RequestHeld { request: request(), reason: reason() });
    story.asked("coder", Kind::RequestReplayed { request: request(), attempt: 2 });
    story.asked("main", Kind::RequestContinued { request: request(), attempt: 2 });
    story.asked("main", Kind::RequestDiverted { request: request(), to: "ollama".to_owned(), reason: reason() });
    story.asked("main", Kind::RequestQuarantined { request: request(), for_s: 600.0 });
    story.asked("main", Kind::RequestFailed { request: request(), code: code.clone(), message: reason(), cut: true });
    story.asked("coder", Kind::RequestFailed { request: request(), code, message, cut: false });
    let text = story.text();
    let both = |name: &str| ["main", "coder"].map(|server| text.value(name, &[("server", server)]));
    assert_eq!(both("mlx_tree_request_holds_total"), [Some(0.0), Some(2.0)], "a 0 before the first");
    assert_eq!(both("mlx_tree_request_replays_total"), [Some(0.0), Some(1.0)]);
    assert_eq!(both("mlx_tree_request_continuations_total"), [Some(1.0), Some(0.0)]);
    assert_eq!(both("mlx_tree_request_quarantines_total"), [Some(1.0), Some(0.0)]);
    assert_eq!(both("mlx_tree_cut_streams_total"), [Some(1.0), Some(0.0)]);
    let diverts = text.value("mlx_tree_request_diverts_total", &[("server", "main"), ("to", "ollama")]);
    assert_eq!(diverts, Some(1.0));
}

#[test]
fn probes_are_told_apart_by_what_was_asked_and_what_came() {
    let mut story = Story::of(&["server"]);
    let took = Duration::from_millis(30);
    for (probe, outcome) in [
        (Probe::Health, ProbeOutcome::Good),
        (Probe::Health, ProbeOutcome::Good),
        (Probe::Health, ProbeOutcome::Missed),
        (Probe::Canary, ProbeOutcome::Good),
    ] {
        story.sample(&Sample::Probed { server: "server", probe, outcome, took });
    }
    let text = story.text();
    let count = |probe, outcome| {
        text.value("mlx_tree_probe_seconds_count", &[("server", "server"), ("probe", probe), ("outcome", outcome)])
    };
    assert_eq!(count("health", "good"), Some(2.0));
    assert_eq!(count("health", "missed"), Some(1.0));
    assert_eq!(count("canary", "good"), Some(1.0));
    assert_eq!(count("canary", "missed"), Some(0.0), "so that the first one is seen to be one more");
}

proptest! {
    #[test]
    fn the_times_in_all_phases_add_up_to_the_time_that_has_passed(
        steps in prop::collection::vec((0..Phase::ALL.len(), 0_u64..100_000), 1..100),
        rest in 0_u64..100_000,
    ) {
        let mut story = Story::of(&["server"]);
        let mut now = Duration::ZERO;
        for (at, (phase, millis)) in steps.iter().enumerate() {
            // The first phase begins at the beginning.
            now += Duration::from_millis(if at == 0 { 0 } else { *millis });
            story.at(now.as_secs_f64()).enters("server", Phase::ALL[*phase]);
        }
        now += Duration::from_millis(rest);
        let sum: Duration = Phase::ALL.iter().map(|phase| story.server("server").time_in(*phase, now)).sum();
        prop_assert_eq!(sum.as_millis(), now.as_millis());
    }
}
