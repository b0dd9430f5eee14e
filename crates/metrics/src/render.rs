//! The whole text: totals, and what is true now.

use std::collections::BTreeMap;
use std::time::Duration;

use mlx_tree_api::{BreakerState, Gate, Phase, Server, Status};

use crate::catalogue as of;
use crate::page::Page;
use crate::shell::Own;
use crate::totals::{ServerTotals, Totals, Words};

/// What the status says of one server.
struct Now<'a> {
    name: &'a str,
    phase: Phase,
    breaker: BreakerState,
    failures: u32,
    server: &'a Server,
}

/// Everything, at time `now`.
pub(crate) fn page(totals: &Totals, status: &Status, own: &Own, now: Duration) -> String {
    let mut page = Page::default();
    let present = present(totals, status);
    servers(&mut page, totals, &present, now);
    watching(&mut page, totals, &present);
    gateway(&mut page, totals, status.gateway.as_ref().map_or(&[], |gateway| &gateway.gates));
    requests(&mut page, totals);
    tree(&mut page, totals, status, own);
    page.into_text()
}

fn present<'a>(totals: &'a Totals, status: &'a Status) -> Vec<Now<'a>> {
    if status.servers.is_empty() {
        return vec![Now {
            name: totals.first(),
            phase: status.phase,
            breaker: status.circuit_breaker_state,
            failures: status.health_check_failures,
            server: &status.server,
        }];
    }
    let now = status.servers.iter().map(|one| Now {
        name: &one.name,
        phase: one.phase,
        breaker: one.circuit_breaker_state,
        failures: one.health_check_failures,
        server: &one.server,
    });
    now.collect()
}

fn servers(page: &mut Page, totals: &Totals, present: &[Now<'_>], now: Duration) {
    let mut lines = page.family(&of::SERVER_INFO);
    for Now { name, server, .. } in present {
        lines.put([name, &server.kind, &server.model], 1.0);
    }
    let mut lines = page.family(&of::SERVER_UP);
    for Now { name, phase, .. } in present {
        lines.count([name], u64::from(phase.state() == mlx_tree_api::ServerState::Running));
    }
    let mut lines = page.family(&of::SERVER_PHASE);
    for one in present {
        for phase in Phase::ALL {
            lines.count([one.name, phase.as_str()], u64::from(one.phase == *phase));
        }
    }
    let mut lines = page.family(&of::SERVER_PHASE_SECONDS);
    for (name, server) in totals.servers() {
        for phase in Phase::ALL {
            lines.put([name, phase.as_str()], server.time_in(*phase, now).as_secs_f64());
        }
    }
    each(page, &of::SERVER_STARTS, totals, |server| server.starts);
    by_word(page, &of::SERVER_EXITS, totals, |server| &server.exits);
    by_word(page, &of::SERVER_RESTARTS, totals, |server| &server.restarts);
    each(page, &of::SERVER_RECYCLES, totals, |server| server.recycles);
    let mut lines = page.family(&of::SERVER_START);
    for (name, server) in totals.servers() {
        lines.histogram([name], &server.start);
    }
    let mut lines = page.family(&of::SERVER_RECOVERY);
    for (name, server) in totals.servers() {
        lines.histogram([name], &server.recovery);
    }
    let mut lines = page.family(&of::SERVER_MEMORY);
    for Now { name, server, .. } in present {
        if let Some(bytes) = server.memory_bytes {
            lines.count([name], bytes);
        }
    }
    let mut lines = page.family(&of::SERVER_MEMORY_LIMIT);
    for Now { name, server, .. } in present {
        for (limit, bytes) in [("soft", server.memory_soft_limit_bytes), ("hard", server.memory_hard_limit_bytes)] {
            if let Some(bytes) = bytes {
                lines.count([name, limit], bytes);
            }
        }
    }
    by_word(page, &of::SERVER_MEMORY_HIGH, totals, |server| &server.memory_high);
    let mut lines = page.family(&of::SERVER_CPU);
    for (name, server) in totals.servers() {
        lines.put([name], server.cpu().as_secs_f64());
    }
}

fn watching(page: &mut Page, totals: &Totals, present: &[Now<'_>]) {
    let mut lines = page.family(&of::PROBE);
    for (name, server) in totals.servers() {
        for ((probe, outcome), histogram) in &server.probes {
            lines.histogram([name, probe, outcome], histogram);
        }
    }
    each(page, &of::HEALTH_FAILURES, totals, |server| server.health_failures);
    let mut lines = page.family(&of::HEALTH_STREAK);
    for Now { name, failures, .. } in present {
        lines.count([name], u64::from(*failures));
    }
    let mut lines = page.family(&of::BREAKER_STATE);
    for one in present {
        for state in BreakerState::ALL {
            lines.count([one.name, state.as_str()], u64::from(one.breaker == *state));
        }
    }
    each(page, &of::BREAKER_OPENINGS, totals, |server| server.breaker_openings);
}

fn gateway(page: &mut Page, totals: &Totals, gates: &[Gate]) {
    of_gates(page, &of::IN_FLIGHT, gates, |gate| gate.in_flight);
    of_gates(page, &of::QUEUED, gates, |gate| gate.queued);
    of_gates(page, &of::LIMIT, gates, |gate| gate.limit);
    by_word(page, &of::ATTEMPTS, totals, |server| &server.attempts);
}

fn requests(page: &mut Page, totals: &Totals) {
    let all = || totals.servers().map(|(name, server)| (name, &server.requests)).chain([("", &totals.strays)]);
    let mut lines = page.family(&of::REQUESTS);
    for (name, requests) in all() {
        for ((outcome, code), count) in &requests.ended {
            lines.count([name, outcome, code], *count);
        }
    }
    let mut lines = page.family(&of::REQUEST_SECONDS);
    for (name, requests) in all() {
        for (outcome, histogram) in &requests.took {
            lines.histogram([name, outcome], histogram);
        }
    }
    let mut lines = page.family(&of::FIRST_BYTE);
    for (name, server) in totals.servers() {
        lines.histogram([name], &server.requests.first_byte);
    }
    let mut lines = page.family(&of::WAIT);
    for (name, server) in totals.servers() {
        lines.histogram([name], &server.requests.wait);
    }
    each(page, &of::HOLDS, totals, |server| server.requests.holds);
    each(page, &of::REPLAYS, totals, |server| server.requests.replays);
    each(page, &of::CONTINUATIONS, totals, |server| server.requests.continuations);
    by_word(page, &of::DIVERTS, totals, |server| &server.requests.diverts);
    each(page, &of::QUARANTINES, totals, |server| server.requests.quarantines);
    each(page, &of::CUT_STREAMS, totals, |server| server.requests.cut_streams);
    each(page, &of::TOKENS, totals, |server| server.tokens);
    words(page, &of::FALLBACK_UP, &totals.fallbacks);
}

fn tree(page: &mut Page, totals: &Totals, status: &Status, own: &Own) {
    page.family(&of::READY).count([], u64::from(status.readiness().is_ok()));
    page.family(&of::DEGRADED).count([], status.degraded.len() as u64);
    words(page, &of::EVENTS, &totals.events);
    words(page, &of::CHILD_EXITS, &totals.child_exits);
    words(page, &of::OPERATOR, &totals.operator);
    page.family(&of::RELOADS).count(["applied"], totals.reloads).count(["rejected"], totals.rejections);
    page.family(&of::UNDELIVERED).count([], totals.undelivered);
    page.family(&of::BUILD).put([&status.supervisor.version], 1.0);
    page.family(&of::UPTIME).put([], status.supervisor.uptime_s);
    let mut lines = page.family(&of::PROCESS_MEMORY);
    if let Some(bytes) = own.memory_bytes {
        lines.count([], bytes);
    }
    let mut lines = page.family(&of::PROCESS_CPU);
    if let Some(cpu) = own.cpu {
        lines.put([], cpu.as_secs_f64());
    }
}

fn of_gates(page: &mut Page, family: &'static of::Family, gates: &[Gate], value: impl Fn(&Gate) -> u64) {
    let mut lines = page.family(family);
    for gate in gates {
        lines.count([&gate.server], value(gate));
    }
}

fn each(page: &mut Page, family: &'static of::Family, totals: &Totals, value: impl Fn(&ServerTotals) -> u64) {
    let mut lines = page.family(family);
    for (name, server) in totals.servers() {
        lines.count([name], value(server));
    }
}

fn by_word(page: &mut Page, family: &'static of::Family, totals: &Totals, words: impl Fn(&ServerTotals) -> &Words) {
    let mut lines = page.family(family);
    for (name, server) in totals.servers() {
        for (word, count) in words(server) {
            lines.count([name, word], *count);
        }
    }
}

fn words(page: &mut Page, family: &'static of::Family, words: &BTreeMap<&'static str, u64>) {
    let mut lines = page.family(family);
    for (word, count) in words {
        lines.count([word], *count);
    }
}
