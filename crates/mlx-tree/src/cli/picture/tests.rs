//! The pictures of one server in the states that an operator meets, drawn from hand-made documents.

use mlx_tree_api::{Breaker, Gate, Gateway, Health, JournalEntry, Server, Supervisor};

use super::*;

/// A server that has been ready for a while.
fn ready() -> Status {
    let child = |id: &str| Child {
        id: id.to_owned(),
        state: ChildState::Ready,
        epoch: 1,
        restarts: 0,
        last_exit: None,
        next_start_in_s: None,
    };
    Status {
        state: Phase::Ready.state(),
        process_pid: Some(4711),
        restart_count: 0,
        health_check_failures: 0,
        circuit_breaker_state: BreakerState::Closed,
        phase: Phase::Ready,
        reason: None,
        next_attempt_in_s: None,
        server: Server {
            kind: "mlx_lm".to_owned(),
            model: "mlx-community/Qwen3-4B-4bit".to_owned(),
            note: None,
            url: Some("http://127.0.0.1:40123".to_owned()),
            epoch: 1,
            ready_for_s: Some(7500.0),
            memory_bytes: Some(2_700_000_000),
            memory_soft_limit_bytes: None,
            memory_hard_limit_bytes: None,
        },
        breaker: Breaker {
            state: BreakerState::Closed,
            reason: None,
            half_open_in_s: None,
            consecutive_failures: 0,
            failure_threshold: 5,
            restarts_in_window: 0,
            max_restarts: 5,
            period_s: 300.0,
        },
        health: Health { failures: 0, failure_threshold: 3, last_ok_s_ago: Some(4.2), last_error: None },
        children: vec![child("server"), child("health"), child("breaker"), child("gateway")],
        last_exit: None,
        journal: Vec::new(),
        servers: Vec::new(),
        degraded: Vec::new(),
        config: None,
        gateway: Some(Gateway {
            url: "http://127.0.0.1:8080".to_owned(),
            in_flight: 2,
            queued: 0,
            gates: vec![Gate { server: "server".to_owned(), in_flight: 2, queued: 0, limit: 4, limited_by: None }],
        }),
        supervisor: Supervisor {
            pid: 4700,
            version: "1.2.3".to_owned(),
            uptime_s: 7512.0,
            control: Some("http://127.0.0.1:8081".to_owned()),
            state_dir: Some("/home/me/.local/state/mlx-tree".to_owned()),
        },
    }
}

const LAST_WORDS: &str = "SIGABRT: [METAL] Command buffer execution failed: Insufficient Memory";

/// The same, down and in `phase`, after Metal had run out of memory `failures` times.
fn down(phase: Phase, failures: u32) -> Status {
    let up = ready();
    let entry = |ago_s, epoch, delay| JournalEntry {
        ago_s,
        epoch,
        reason: LAST_WORDS.to_owned(),
        decision: format!("restart after {delay} s"),
    };
    Status {
        state: phase.state(),
        process_pid: None,
        restart_count: u64::from(failures) - 1,
        phase,
        reason: Some(LAST_WORDS.to_owned()),
        server: Server { url: None, ready_for_s: None, memory_bytes: None, epoch: failures.into(), ..up.server },
        breaker: Breaker { consecutive_failures: failures, restarts_in_window: failures, ..up.breaker },
        last_exit: Some(Exit {
            epoch: failures.into(),
            at: "2026-01-01T00:00:00Z".to_owned(),
            reason: "metal_out_of_memory".to_owned(),
            code: None,
            signal: Some(6),
            message: LAST_WORDS.to_owned(),
            cause: None,
        }),
        journal: vec![entry(20.0, 1, 2), entry(1.6, 2, 4)],
        ..up
    }
}

fn opened(state: BreakerState, phase: Phase) -> Status {
    let mut status = down(phase, 6);
    for entry in &mut status.journal {
        entry.ago_s += 100.0;
    }
    status.circuit_breaker_state = state;
    status.breaker.state = state;
    status.breaker.restarts_in_window = 5;
    status.breaker.reason = Some(format!("too many failed restarts in a row: {LAST_WORDS}"));
    status.journal.push(JournalEntry {
        ago_s: 19.0,
        epoch: 6,
        reason: LAST_WORDS.to_owned(),
        decision: "breaker opened (consecutive failures)".to_owned(),
    });
    status
}

#[test]
fn the_same_pictures_in_russian() {
    insta::assert_snapshot!("a_ready_server_in_russian", picture(&ready(), Language::Ru));
    let status = opened(BreakerState::Open, Phase::Suspended);
    insta::assert_snapshot!("a_suspended_server_in_russian", picture(&status, Language::Ru));
}

#[test]
fn a_ready_server() {
    insta::assert_snapshot!(picture(&ready(), Language::En));
}

#[test]
fn a_server_that_came_back() {
    let last = down(Phase::Backoff, 2);
    let mut status = Status { last_exit: last.last_exit, journal: last.journal, restart_count: 2, ..ready() };
    status.server.epoch = 3;
    status.server.ready_for_s = Some(3.1);
    insta::assert_snapshot!(picture(&status, Language::En));
}

#[test]
fn a_server_in_backoff() {
    let status = Status { next_attempt_in_s: Some(2.4), ..down(Phase::Backoff, 2) };
    insta::assert_snapshot!(picture(&status, Language::En));
}

#[test]
fn a_suspended_server() {
    let mut status = opened(BreakerState::Open, Phase::Suspended);
    status.reason = status.breaker.reason.clone();
    status.breaker.half_open_in_s = Some(41.0);
    status.next_attempt_in_s = Some(41.0);
    insta::assert_snapshot!(picture(&status, Language::En));
}

#[test]
fn a_server_on_trial() {
    let mut status = opened(BreakerState::HalfOpen, Phase::Loading);
    status.process_pid = Some(4790);
    status.server.url = Some("http://127.0.0.1:8080".to_owned());
    status.reason = Some(format!("restarting after: {LAST_WORDS}"));
    insta::assert_snapshot!(picture(&status, Language::En));
}

#[test]
fn a_stopped_server() {
    let mut status = Status { reason: Some("stopped on request".to_owned()), ..down(Phase::Stopped, 1) };
    status.breaker.consecutive_failures = 0;
    if let Some(exit) = &mut status.last_exit {
        "shutdown".clone_into(&mut exit.reason);
        "shutdown".clone_into(&mut exit.message);
    }
    status.journal.clear();
    insta::assert_snapshot!(picture(&status, Language::En));
}

#[test]
fn a_suspect_server() {
    let mut status = Status {
        phase: Phase::Suspect,
        health_check_failures: 2,
        reason: Some("no answer within 5 s".to_owned()),
        ..ready()
    };
    status.health.failures = 2;
    insta::assert_snapshot!(picture(&status, Language::En));
}

#[test]
fn a_demo_with_a_child_of_ones_own_that_fails() {
    let mut status = ready();
    status.server.kind = "demo (not MLX)".to_owned();
    status.server.model = "stand-in".to_owned();
    status.server.note = Some("demo, not MLX: a built-in stand-in answers".to_owned());
    status.children.push(Child {
        id: "ollama".to_owned(),
        state: ChildState::Waiting,
        epoch: 3,
        restarts: 2,
        last_exit: Some(format!("error: {}", "connection refused ".repeat(20))),
        next_start_in_s: Some(8.0),
    });
    insta::assert_snapshot!(picture(&status, Language::En));
}

#[test]
fn spans_read_as_people_say_them() {
    let said = [0.0, 3.24, 12.4, 60.0, 200.0, 7500.0].map(|seconds| Language::En.span(seconds));
    assert_eq!(said, ["0.0 s", "3.2 s", "12 s", "1 min", "3 min 20 s", "2 h 5 min"]);
}

#[test]
fn a_large_server_is_measured_in_gibibytes() {
    assert_eq!([104_857_600, 21_474_836_480].map(|bytes| Language::En.size(bytes)), ["100 MiB", "20.0 GiB"]);
}

#[test]
fn a_gate_that_lets_less_through_says_why() {
    let mut status = ready();
    let gateway = status.gateway.as_mut().expect("it has one");
    (gateway.in_flight, gateway.queued) = (1, 7);
    gateway.gates[0] = Gate { limit: 1, limited_by: Some(LimitedBy::Clamped), ..gateway.gates[0].clone() };
    let picture = picture(&status, Language::En);
    let line = picture.lines().find(|line| line.contains("gateway")).expect("its line");
    assert_eq!(
        line,
        "└─ gateway   ✅ ready      http://127.0.0.1:8080  1 in flight  7 waiting  at most 1 at a time for a while, since it went \
         down under several"
    );
}

#[test]
fn what_is_degraded_stands_above_the_tree() {
    let mut status = ready();
    status.degraded = vec!["the fallback ollama cannot be asked: nothing listens there".to_owned()];
    let lines = |language| picture(&status, language).lines().nth(2).map(str::to_owned);
    let english = "⚠️ degraded: the fallback ollama cannot be asked: nothing listens there";
    assert_eq!(lines(Language::En).as_deref(), Some(english));
    assert_eq!(lines(Language::Ru).as_deref(), Some("⚠️ не в порядке: резерв ollama недоступен: там никто не слушает"));
}
