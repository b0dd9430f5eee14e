//! What is said of a tree in which something is not as it should be.

use mlx_tree_api as api;

use super::*;

fn child(id: &str, state: ChildState) -> api::Child {
    api::Child { id: id.to_owned(), state, epoch: 1, restarts: 0, last_exit: None, next_start_in_s: None }
}

/// A server that serves, with the children `children`.
fn status(children: Vec<api::Child>) -> Status {
    let value = serde_json::json!({
        "state": "running", "process_pid": 1, "restart_count": 0, "health_check_failures": 0,
        "circuit_breaker_state": "closed", "phase": "ready", "journal": [], "children": [],
        "server": { "kind": "mlx_lm", "model": "m", "epoch": 1 },
        "breaker": { "state": "closed", "consecutive_failures": 0, "failure_threshold": 5, "restarts_in_window": 0,
                     "max_restarts": 5, "period_s": 300.0 },
        "health": { "failures": 0, "failure_threshold": 3 },
        "supervisor": { "pid": 1, "version": "0", "uptime_s": 1.0 },
    });
    Status { children, ..serde_json::from_value(value).expect("a status") }
}

#[test]
fn a_tree_that_is_well_is_not_degraded() {
    let status = status(vec![child(SERVER, ChildState::Ready), child("health", ChildState::Ready)]);
    assert!(degraded(&status, &Facts::default()).is_empty());
    let once = Facts { ends: [("health".to_owned(), (1, "a panic".to_owned()))].into(), ..Facts::default() };
    assert!(degraded(&status, &once).is_empty(), "that is what supervisors are for");
}

#[test]
fn each_thing_that_is_wrong_has_its_line() {
    let mut status = status(vec![
        child(SERVER, ChildState::Waiting),
        child("health", ChildState::Suspended),
        child("gateway", ChildState::Ready),
    ]);
    status.breaker.state = BreakerState::Open;
    status.breaker.reason = Some("5 failed restarts".to_owned());
    let facts = Facts {
        ends: [("health", 9, "panicked: one\ntwo"), ("gateway", 3, "a panic")]
            .map(|(id, count, why)| (id.to_owned(), (count, why.to_owned())))
            .into(),
        rejected: Some("server.model: expected a string".to_owned()),
        untold: [("ops".to_owned(), "connection refused".to_owned())].into(),
        fallback: Some(("ollama".to_owned(), "nothing listens there".to_owned())),
    };
    let expected = [
        "the breaker is open: 5 failed restarts",
        "health has failed too often and is held back: panicked: one",
        "gateway has failed 3 times in the last 5 minutes: a panic",
        "the changed configuration was rejected, the old one goes on: server.model: expected a string",
        "the fallback ollama cannot be asked: nothing listens there",
        "ops could not be notified: connection refused",
    ];
    assert_eq!(degraded(&status, &facts), expected);
}

#[test]
fn each_line_can_be_said_in_russian() {
    for line in [
        "the breaker is open: x",
        "the breaker of coder is open: x",
        "the server coder is down for good: x",
        "health has failed too often and is held back: x",
        "health has failed 3 times in the last 5 minutes: x",
        "the changed configuration was rejected, the old one goes on: x",
        "the fallback ollama cannot be asked: x",
        "ops could not be notified: x",
    ] {
        assert_ne!(api::Language::Ru.say(line), line);
    }
}

#[test]
fn what_is_over_is_forgotten() {
    let (watch, start) = (Watch::default(), Instant::now());
    let note = |child: &str, kind: Kind| watch.note(child, &kind, start);
    for _ in 0..100 {
        note("health", Kind::ChildExited { reason: "a panic".to_owned() });
    }
    note("tree", Kind::ConfigRejected { reason: "no".to_owned() });
    note("notify", Kind::NotifyUndelivered { to: "ops".to_owned(), reason: "no".to_owned() });
    note("fallback", Kind::FallbackUnavailable { name: "ollama".to_owned(), reason: "no".to_owned() });
    let facts = watch.facts(start);
    assert_eq!(facts.ends["health"], (REMEMBERED, "a panic".to_owned()));
    assert_eq!((facts.rejected.is_some(), facts.untold.len(), facts.fallback.is_some()), (true, 1, true));

    note("tree", Kind::ConfigReloaded { changes: Vec::new() });
    note("fallback", Kind::FallbackReady { name: "ollama".to_owned(), models: 1 });
    assert_eq!(watch.facts(start + LATELY + Duration::from_secs(1)), Facts::default());
}
