//! The shape of the status document, which other people's programs read.

use mlx_tree_api::{
    Breaker, BreakerState, Child, ChildState, Exit, Gate, Gateway, Health, JournalEntry, LimitedBy, Phase, Server,
    Status, Supervisor,
};

/// A document in which nothing is absent.
fn full() -> Status {
    Status {
        state: Phase::Suspended.state(),
        process_pid: None,
        restart_count: 5,
        health_check_failures: 0,
        circuit_breaker_state: BreakerState::Open,
        phase: Phase::Suspended,
        reason: Some("5 restarts in a row failed".to_owned()),
        next_attempt_in_s: Some(41.5),
        server: Server {
            kind: "mlx_lm".to_owned(),
            model: "builtin:tiny".to_owned(),
            note: Some("builtin:tiny has random weights".to_owned()),
            url: Some("http://127.0.0.1:8080".to_owned()),
            epoch: 6,
            ready_for_s: Some(1.5),
            memory_bytes: Some(1_048_576),
            memory_soft_limit_bytes: None,
            memory_hard_limit_bytes: None,
        },
        breaker: Breaker {
            state: BreakerState::Open,
            reason: Some("5 restarts in a row failed".to_owned()),
            half_open_in_s: Some(41.5),
            consecutive_failures: 6,
            failure_threshold: 5,
            restarts_in_window: 5,
            max_restarts: 5,
            period_s: 300.0,
        },
        health: Health {
            failures: 0,
            failure_threshold: 3,
            last_ok_s_ago: Some(70.0),
            last_error: Some("no answer within 5 s".to_owned()),
        },
        children: vec![Child {
            id: "server".to_owned(),
            state: ChildState::Suspended,
            epoch: 6,
            restarts: 5,
            last_exit: Some("exited with code 1".to_owned()),
            next_start_in_s: Some(41.5),
        }],
        last_exit: Some(Exit {
            epoch: 6,
            at: "2026-01-01T00:00:00Z".to_owned(),
            reason: "exit_code".to_owned(),
            code: Some(1),
            signal: Some(6),
            message: "exited with code 1".to_owned(),
            cause: Some("ValueError: …".to_owned()),
        }),
        journal: vec![JournalEntry {
            ago_s: 18.5,
            epoch: 6,
            reason: "exited with code 1".to_owned(),
            decision: "breaker opened (5 restarts in a row failed)".to_owned(),
        }],
        servers: Vec::new(),
        gateway: Some(Gateway {
            url: "http://127.0.0.1:8080".to_owned(),
            in_flight: 1,
            queued: 20,
            gates: vec![Gate {
                server: "server".to_owned(),
                in_flight: 1,
                queued: 20,
                limit: 1,
                limited_by: Some(LimitedBy::SlowStart),
            }],
        }),
        degraded: Vec::new(),
        config: None,
        supervisor: Supervisor {
            pid: 4700,
            version: "1.2.3".to_owned(),
            uptime_s: 512.0,
            control: Some("http://127.0.0.1:8081".to_owned()),
            state_dir: Some("/var/lib/mlx-tree".to_owned()),
        },
    }
}

#[test]
fn the_status_document_has_this_shape() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&full()).expect("plain data"));
}

/// A promise to every consumer: always there, in this order, at the top level, even when there is nothing to say.
#[test]
fn the_five_promised_keys_come_first_and_are_never_absent() {
    let mut bare = full();
    bare.process_pid = None;
    bare.reason = None;
    bare.next_attempt_in_s = None;
    let text = serde_json::to_string(&bare).expect("plain data");
    assert!(
        text.starts_with(
            r#"{"state":"suspended","process_pid":null,"restart_count":5,"health_check_failures":0,"circuit_breaker_state":"open","#
        ),
        "{text}"
    );
}

#[test]
fn what_is_written_can_be_read_again_also_by_one_who_knows_fewer_keys() {
    let text = serde_json::to_string(&full()).expect("plain data");
    assert_eq!(serde_json::from_str::<Status>(&text).expect("read"), full());
    let mut later: serde_json::Value = serde_json::from_str(&text).expect("read");
    later["a_key_of_a_later_version"] = true.into();
    assert_eq!(serde_json::from_value::<Status>(later).expect("read"), full());
}
