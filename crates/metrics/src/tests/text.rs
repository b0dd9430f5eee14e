//! The text as a whole: what is in it, and that nothing can break it.

use std::time::Duration;

use mlx_tree_api::{AttemptEnd, Kind, Phase, Probe, ProbeOutcome, RequestOutcome, Sample};
use proptest::prelude::*;

use super::parser::{self, Line};
use super::{Story, exited, granted, operator, ready, spawned, status};
use crate::catalogue::families;
use crate::shell::Own;

/// One of everything.
fn eventful() -> Story {
    let (server, text) = ("server", |text: &str| text.to_owned());
    let mut story = Story::of(&[server]);
    story.enters(server, Phase::Starting).event(1, spawned());
    story.at(0.5).enters(server, Phase::Loading).sample(&Sample::Probed {
        server,
        probe: Probe::FirstCanary,
        outcome: ProbeOutcome::Good,
        took: Duration::from_millis(900),
    });
    story.at(1.5).event(1, ready(1.5)).enters(server, Phase::Ready);
    let used = |epoch, cpu| Sample::Used { server, epoch, memory_bytes: 1, cpu: Duration::from_millis(cpu) };
    story.sample(&used(1, 250)).sample(&Sample::AttemptBegan { server, epoch: 1, request: "r" });
    story.sample(&Sample::Tokens { server, count: 12 });
    story.at(4.0).event(1, exited("killed")).enters(server, Phase::Backoff).event(1, granted());
    story.sample(&Sample::AttemptEnded { server, epoch: 1, request: "r", end: AttemptEnd::Broken });
    story.at(6.0).enters(server, Phase::Starting).event(2, spawned()).at(7.0).event(2, ready(1.0));
    story.enters(server, Phase::Ready).sample(&used(2, 500));
    let request = text("r");
    story.event(2, Kind::HealthFailed { streak: 1, threshold: 3, reason: text("late") });
    story.event(2, Kind::BreakerOpened { reason: text("too many"), open_for_s: None });
    story.event(2, Kind::ServerRecycling { reason: text("planned") });
    story.event(2, Kind::ServerMemoryHigh { memory_bytes: 2, limit_bytes: 1, limit: text("soft") });
    for kind in [
        Kind::RequestHeld { request: request.clone(), reason: text("down") },
        Kind::RequestReplayed { request: request.clone(), attempt: 2 },
        Kind::RequestContinued { request: request.clone(), attempt: 2 },
        Kind::RequestDiverted { request: request.clone(), to: text("ollama"), reason: text("down") },
        Kind::RequestQuarantined { request: request.clone(), for_s: 1.0 },
        Kind::RequestFailed { request, code: text("backend_crashed"), message: text("gone"), cut: true },
    ] {
        story.asked(server, kind);
    }
    for kind in [
        Kind::ChildExited { reason: text("a bug") },
        Kind::ConfigReloaded { changes: Vec::new() },
        Kind::ConfigRejected { reason: text("a typo") },
        Kind::NotifyUndelivered { to: text("me"), reason: text("gone") },
        Kind::FallbackReady { name: text("ollama"), models: 1 },
    ] {
        story.told("gateway", 1, kind);
    }
    story.event(0, operator("drain"));
    story.at(10.0).sample(&Sample::RequestEnded {
        server,
        request: "r",
        outcome: RequestOutcome::Answered,
        code: None,
        took: Duration::from_secs(4),
        first_byte: Some(Duration::from_millis(80)),
        waited: Duration::from_millis(2),
        attempts: 2,
    });
    story
}

#[test]
fn the_whole_text() {
    let page = eventful().page();
    parser::parse(&page).expect("it keeps to its format");
    // One histogram shows how all of them look.
    let left_out = |line: &str| line.contains("_bucket{") && !line.starts_with("mlx_tree_server_start_seconds");
    let shown: Vec<_> = page.lines().filter(|line| !left_out(line)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn every_family_stands_there_from_the_beginning_and_after_a_full_life_each_has_a_line() {
    let (fresh, full) = (Story::of(&["server"]).text(), eventful().text());
    for text in [&fresh, &full] {
        let told = text.families.iter().map(|(name, kind, help)| (name.as_str(), kind.clone(), help.as_str()));
        let told: Vec<_> = told.collect();
        let known =
            families().iter().map(|family| (family.name, family.kind.to_string(), family.help)).collect::<Vec<_>>();
        assert_eq!(told, known);
    }
    for family in families() {
        let of_it = |line: &&Line| {
            line.name.strip_prefix(family.name).is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        };
        let lines: Vec<_> = full.lines.iter().filter(of_it).collect();
        assert!(!lines.is_empty(), "{} has no line", family.name);
        for line in lines {
            let labels = line.labels.keys().filter(|label| *label != "le");
            let mut known = family.labels.to_vec();
            known.sort_unstable();
            assert_eq!(labels.collect::<Vec<_>>(), known, "{}", line.name);
        }
    }
}

#[test]
fn no_text_of_anybody_else_becomes_a_label() {
    const SECRET: &str = "s3cret-canary";
    let mut story = Story::of(&["server"]);
    let text = || SECRET.to_owned();
    story.event(1, exited(SECRET)).event(1, granted()).event(2, spawned()).event(0, operator(SECRET));
    story.event(1, Kind::ServerMemoryHigh { memory_bytes: 2, limit_bytes: 1, limit: text() });
    for kind in [
        Kind::RequestHeld { request: text(), reason: text() },
        Kind::RequestDiverted { request: text(), to: text(), reason: text() },
        Kind::RequestFailed { request: text(), code: text(), message: text(), cut: false },
    ] {
        story.asked("server", kind);
    }
    for kind in [
        Kind::FallbackUnavailable { name: text(), reason: text() },
        Kind::NotifyUndelivered { to: text(), reason: text() },
        Kind::ChildExited { reason: text() },
    ] {
        story.told(SECRET, 1, kind);
    }
    story.sample(&Sample::RequestEnded {
        server: "server",
        request: SECRET,
        outcome: RequestOutcome::Failed,
        code: Some(SECRET),
        took: Duration::ZERO,
        first_byte: None,
        waited: Duration::ZERO,
        attempts: 0,
    });
    let page = story.page();
    assert!(!page.contains(SECRET), "{page}");
    let restarts = story.text().value("mlx_tree_server_exits_total", &[("server", "server"), ("reason", "other")]);
    assert_eq!(restarts, Some(1.0));
}

#[test]
fn of_several_servers_each_is_told_of_by_its_name() {
    let mut several = status();
    let one = serde_json::to_value(&several).expect("JSON");
    for (name, phase) in [("main", "ready"), ("coder", "stopped")] {
        let mut server = one.clone();
        server["name"] = name.into();
        server["start"] = "on_demand".into();
        server["in_flight"] = 0.into();
        server["phase"] = phase.into();
        several.servers.push(serde_json::from_value(server).expect("a server"));
    }
    let story = Story::of(&["main", "coder"]);
    let page = crate::render::page(&story.totals, &several, &Own::default(), Duration::ZERO);
    let text = parser::parse(&page).expect("it keeps to its format");
    assert_eq!(text.value("mlx_tree_server_up", &[("server", "main")]), Some(1.0));
    assert_eq!(text.value("mlx_tree_server_up", &[("server", "coder")]), Some(0.0));
    assert_eq!(text.value("mlx_tree_server_phase", &[("server", "coder"), ("phase", "stopped")]), Some(1.0));
    assert!(!page.contains("mlx_tree_server_up{server=\"server\"}"), "{page}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The names of servers and models are an operator's, and may be anything.
    #[test]
    fn whatever_names_hold_the_text_is_read_back_as_it_was_meant(names in prop::collection::hash_set("(?s).{1,12}", 1..4)) {
        let names: Vec<String> = names.into_iter().collect();
        let mut story = Story { totals: crate::totals::Totals::new(names.clone()), now: Duration::ZERO };
        let mut status = status();
        status.server.model.clone_from(&names[0]);
        for name in &names {
            story.sample(&Sample::Tokens { server: name, count: 1 });
        }
        let text = crate::render::page(&story.totals, &status, &Own::default(), Duration::ZERO);
        let read = parser::parse(&text).map_err(TestCaseError::fail)?;
        let plain = |name: &String| name.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect::<String>();
        let told = read.lines.iter().filter(|line| line.name == "mlx_tree_tokens_total").map(|line| line.labels["server"].clone());
        let told: Vec<_> = told.collect();
        prop_assert_eq!(told, names.iter().map(plain).collect::<Vec<_>>());
    }
}
