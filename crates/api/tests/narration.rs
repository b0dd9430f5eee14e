//! Every string of the narration, in both languages, for a person to read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mlx_tree_api::{Event, Kind, Language, narrate};

/// Every kind of event, with what it carries in real life.
fn every_kind() -> Vec<Kind> {
    let url = "http://127.0.0.1:8080".to_owned();
    let exited = |code, signal, message: &str, cause: Option<&str>| Kind::ServerExited {
        reason: "exit_code".to_owned(),
        code,
        signal,
        message: message.to_owned(),
        cause: cause.map(str::to_owned),
    };
    let reason = |text: &str| text.to_owned();
    let request = || "3f9c1e6a".to_owned();
    vec![
        Kind::TreeStarted { pid: 12000 },
        Kind::ChildStarted,
        Kind::OrphanSettled { outcome: "ended pid 11987 (python3.12)".to_owned() },
        Kind::ServerSpawned { pid: 12345, url: url.clone() },
        Kind::ServerLoading,
        Kind::ServerReady { pid: 12345, url, took_s: 4.2 },
        Kind::HealthMonitoring,
        Kind::HealthFailed { streak: 1, threshold: 3, reason: reason("no answer within 5 s") },
        Kind::HealthBusy { reason: reason("no answer within 5 s") },
        Kind::HealthSuspected { reason: reason("its generation thread died") },
        Kind::HealthRecovered { after: 2 },
        Kind::ServerUnhealthy { reason: reason("3 health checks in a row were missed") },
        exited(Some(1), None, "exited with code 1", None),
        exited(None, Some(6), "SIGABRT", Some("[METAL] Command buffer execution failed: Insufficient Memory")),
        exited(None, None, "port 8080 is held by pid 4711 (python3)", None),
        Kind::RestartGranted { consecutive: 1 },
        Kind::RestartDelayed { delay_s: 2.0 },
        Kind::BreakerOpened { reason: reason("5 restarts in a row failed"), open_for_s: Some(60.0) },
        Kind::BreakerOpened { reason: reason("opened by the operator"), open_for_s: None },
        Kind::BreakerHalfOpened,
        Kind::BreakerClosed { reason: reason("recovered") },
        Kind::BreakerClosed { reason: reason("reset") },
        Kind::ChildExited { reason: reason("panic: index out of bounds") },
        Kind::FallbackReady { name: reason("ollama"), models: 3 },
        Kind::FallbackUnavailable {
            name: reason("ollama"),
            reason: reason("nothing listens at http://127.0.0.1:11434/api/version"),
        },
        Kind::FallbackUnloaded { model: reason("qwen3:8b") },
        Kind::GatewayListening { url: "http://127.0.0.1:8080".to_owned() },
        Kind::RequestHeld { request: request(), reason: reason("restarting after: ended by SIGKILL") },
        Kind::RequestReplayed { request: request(), attempt: 2 },
        Kind::RequestContinued { request: request(), attempt: 2 },
        Kind::RequestDiverted { request: request(), to: reason("ollama"), reason: reason("the breaker is open") },
        Kind::RequestQuarantined { request: request(), for_s: 600.0 },
        Kind::RequestFailed {
            request: request(),
            code: reason("backend_crashed"),
            message: reason("the server went down while it answered"),
            cut: true,
        },
        Kind::GatewayDraining { in_flight: 2 },
        Kind::ServerDraining { reason: reason("restart by an operator"), in_flight: 0 },
        Kind::ServerDraining { reason: reason("restart by an operator"), in_flight: 2 },
        Kind::ServerRecycling { reason: reason("restart by an operator") },
        Kind::ServerMemoryHigh { memory_bytes: 9 << 30, limit_bytes: 8 << 30, limit: "soft".to_owned() },
        Kind::ServerMemoryHigh { memory_bytes: 9 << 30, limit_bytes: 8 << 30, limit: "hard".to_owned() },
        Kind::ConfigReloaded { changes: Vec::new() },
        Kind::ConfigReloaded {
            changes: vec![reason("gateway.max_queue: 64 → 32"), reason("log.level: info → debug")]
        },
        Kind::ConfigRejected { reason: reason("config.toml, line 3: this is no TOML") },
        Kind::NotifyUndelivered { to: "ops".to_owned(), reason: reason("it does not answer") },
        Kind::OperatorRequested { verb: "restart".to_owned() },
        Kind::ServerWoken,
        Kind::ServerPutToSleep { reason: reason("it makes room for coder") },
        Kind::ServerStopping { grace_s: 10.0 },
        Kind::ServerStopped { how: "SIGTERM".to_owned() },
        Kind::TreeStopping,
        Kind::TreeStopped { reason: reason("stopped on request") },
    ]
}

/// The narration of every kind; what is routine is shown as such.
fn told(language: Language) -> String {
    let mut text = String::new();
    for kind in every_kind() {
        let child = if matches!(kind, Kind::ChildExited { .. }) { "health" } else { "server" };
        let event = Event {
            seq: 1,
            at: "2026-01-01T00:00:00Z".to_owned(),
            child: child.to_owned(),
            epoch: 1,
            server: None,
            kind,
        };
        let line = narrate(&event, language).unwrap_or_else(|| "(routine, not told)".to_owned());
        let _ = writeln!(text, "{:<20} {line}", event.kind.name());
    }
    text
}

#[test]
fn the_narration_in_english() {
    insta::assert_snapshot!(told(Language::En));
}

#[test]
fn the_narration_in_russian() {
    insta::assert_snapshot!(told(Language::Ru));
}

#[test]
fn of_several_servers_each_is_told_of_by_its_name() {
    let event = Event {
        seq: 1,
        at: "2026-01-01T00:00:00Z".to_owned(),
        child: "coder/server".to_owned(),
        epoch: 1,
        server: None,
        kind: Kind::ServerPutToSleep { reason: "nobody has asked for it for a while".to_owned() },
    };
    assert_eq!(
        narrate(&event, Language::En).as_deref(),
        Some("😴 [SUPERVISOR/coder] Server is put to sleep: nobody has asked for it for a while")
    );
    assert_eq!(
        narrate(&event, Language::Ru).as_deref(),
        Some("😴 [SUPERVISOR/coder] Сервер остановлен до следующего запроса: давно не было запросов")
    );
}

#[test]
fn no_kind_of_event_is_left_out_here_and_each_has_one_name_on_the_wire() {
    let names = |event: &Kind| {
        let json = serde_json::to_value(event).expect("an event is plain data");
        assert_eq!(json["event"], event.name());
        event.name()
    };
    let shown: BTreeSet<_> = every_kind().iter().map(names).collect();
    let source = include_str!("../src/event.rs");
    let declared: BTreeSet<_> =
        source.split("#[serde(rename = \"").skip(1).filter_map(|at| at.split('"').next()).collect();
    assert_eq!(shown, declared);
}
