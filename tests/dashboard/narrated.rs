//! One event of every kind, with what mlx-tree itself says of it: what the page says is held against that.

use mlx_tree_api::{Event, Kind, Language, narrate};
use mlx_tree_control::Verb;
use serde_json::{Value, json};

/// An example of each kind; of some, one for each of its sentences.
fn kinds() -> Vec<Kind> {
    let text = |text: &str| text.to_owned();
    let exited = |code, signal| Kind::ServerExited {
        reason: text("crashed"),
        code,
        signal,
        message: text("it could not be started"),
        cause: None,
    };
    vec![
        Kind::TreeStarted { pid: 1 },
        Kind::TreeStopping,
        Kind::TreeStopped { reason: text("stopped on request") },
        Kind::TreeStopped { reason: text("escalated") },
        Kind::ServerSpawned { pid: 2, url: text("http://127.0.0.1:9") },
        Kind::ServerLoading,
        Kind::ServerReady { pid: 2, url: text("http://127.0.0.1:9"), took_s: 1.5 },
        exited(Some(1), None),
        exited(None, Some(9)),
        exited(None, None),
        Kind::ServerUnhealthy { reason: text("3 health checks in a row were missed: no answer within 5 s") },
        Kind::ServerStopping { grace_s: 10.0 },
        Kind::ServerStopped { how: text("exit code 0") },
        Kind::ServerWoken,
        Kind::ServerPutToSleep { reason: text("it makes room for coder") },
        Kind::ServerPutToSleep { reason: text("idle for 15 m") },
        Kind::OrphanSettled { outcome: text("ended pid 4711") },
        Kind::HealthMonitoring,
        Kind::HealthFailed { streak: 1, threshold: 3, reason: text("timed out") },
        Kind::HealthBusy { reason: text("timed out") },
        Kind::HealthSuspected { reason: text("no progress") },
        Kind::HealthRecovered { after: 2 },
        Kind::RestartGranted { consecutive: 1 },
        Kind::RestartDelayed { delay_s: 2.0 },
        Kind::BreakerOpened { reason: text("five failures"), open_for_s: Some(60.0) },
        Kind::BreakerOpened { reason: text("five failures"), open_for_s: None },
        Kind::BreakerHalfOpened,
        Kind::BreakerClosed { reason: text("recovered") },
        Kind::BreakerClosed { reason: text("reset") },
        Kind::ChildStarted,
        Kind::ChildExited { reason: text("panicked") },
        Kind::FallbackReady { name: text("ollama"), models: 3 },
        Kind::FallbackUnavailable { name: text("ollama"), reason: text("refused") },
        Kind::FallbackUnloaded { model: text("small") },
        Kind::GatewayListening { url: text("http://127.0.0.1:8080") },
        Kind::GatewayDraining { in_flight: 2 },
        Kind::RequestHeld { request: text("r1"), reason: text("loading") },
        Kind::RequestReplayed { request: text("r1"), attempt: 2 },
        Kind::RequestContinued { request: text("r1"), attempt: 2 },
        Kind::RequestDiverted { request: text("r1"), to: text("ollama"), reason: text("backend_down") },
        Kind::RequestQuarantined { request: text("r1"), for_s: 600.0 },
        Kind::RequestFailed { request: text("r1"), code: text("c"), message: text("m"), cut: true },
        Kind::ServerDraining { reason: text("asked"), in_flight: 0 },
        Kind::ServerDraining { reason: text("asked"), in_flight: 2 },
        Kind::ServerRecycling { reason: text("memory") },
        Kind::ServerMemoryHigh { memory_bytes: 3 << 20, limit_bytes: 2 << 20, limit: text("soft") },
        Kind::ServerMemoryHigh { memory_bytes: 3 << 20, limit_bytes: 2 << 20, limit: text("hard") },
        Kind::ConfigReloaded { changes: Vec::new() },
        Kind::ConfigReloaded { changes: vec![text("a"), text("b")] },
        Kind::ConfigRejected { reason: text("no such key") },
        Kind::NotifyUndelivered { to: text("ops"), reason: text("refused") },
        Kind::OperatorRequested { verb: text("restart") },
    ]
}

/// The keys of the page's texts for every state that there can be, so that none is shown as a bare word.
pub(crate) fn keys() -> Value {
    let source = include_str!("../../crates/api/src/states.rs");
    let kinds = [("Phase {", "word", "next"), ("BreakerState {", "breaker", ""), ("ChildState {", "child", "")];
    let mut keys = Vec::new();
    for (name, one, other) in kinds {
        let block = source.split_once(name).expect("it is there").1;
        let block = block.split_once("\n}").expect("it ends").0;
        let words: Vec<_> = block.lines().filter_map(|line| line.split_once("= \"")?.1.strip_suffix("\",")).collect();
        assert!(words.len() > 2, "{name}: {words:?}");
        keys.extend(words.iter().map(|word| format!("{one}_{word}")));
        keys.extend(words.iter().filter(|_| !other.is_empty()).map(|word| format!("{other}_{word}")));
    }
    keys.extend(Verb::ALL.iter().flat_map(|verb| [format!("verb_{verb}"), format!("about_{verb}")]));
    json!(keys)
}

/// Each with its level, and with its line in both languages, where it has one.
pub(crate) fn samples() -> Value {
    let sample = |kind: Kind| {
        let level = kind.level();
        let event = Event {
            seq: 1,
            at: "2026-01-01T00:00:00Z".to_owned(),
            child: "server".to_owned(),
            epoch: 1,
            server: None,
            kind,
        };
        let line = |language| narrate(&event, language).map(|line| words_of(&line));
        json!({"en": line(Language::En), "ru": line(Language::Ru), "level": level, "event": event})
    };
    kinds().into_iter().map(sample).collect()
}

/// A line without its mark and without the one whom it is about.
fn words_of(line: &str) -> String {
    line.split_once("] ").map_or(line, |(_, words)| words).to_owned()
}

#[test]
fn there_is_an_example_of_every_kind() {
    let named = include_str!("../../crates/api/src/event/facts.rs");
    let names = named.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","));
    let missing: Vec<_> = names.filter(|name| !kinds().iter().any(|kind| kind.name() == *name)).collect();
    assert!(named.contains("tree.started") && missing.is_empty(), "{missing:?}");
}
