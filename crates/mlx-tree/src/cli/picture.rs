//! `mlx-tree status`: the tree as a picture.

mod fleet;

use std::fmt::Write as _;

use mlx_tree_api::{BreakerState, Child, ChildState, Exit, LimitedBy, Phase, Status};

/// So many of the latest decisions are shown.
const DECISIONS: usize = 3;

/// So much of a message is shown. A line of Python's stderr can be very long.
const LONGEST: usize = 160;

/// Draws the status document for a terminal.
#[must_use]
pub(crate) fn picture(status: &Status) -> String {
    let mut out = String::new();
    let supervisor = &status.supervisor;
    let _ =
        writeln!(out, "mlx-tree {} · pid {} · up {}", supervisor.version, supervisor.pid, span(supervisor.uptime_s));
    let _ = writeln!(out, "{} · {} · {}", status.server.kind, status.server.model, headline(status));
    if let Some(seconds) = status.next_attempt_in_s {
        let _ = writeln!(out, "next attempt in {}", span(seconds));
    }
    if let Some(note) = &status.server.note {
        let _ = writeln!(out, "note: {note}");
    }
    out.push('\n');
    let breaker = &status.breaker;
    let _ = writeln!(
        out,
        "root supervisor · one for one · {}/{} restarts in the last {}",
        breaker.restarts_in_window,
        breaker.max_restarts,
        span(breaker.period_s)
    );
    let last = status.children.len().saturating_sub(1);
    for (at, child) in status.children.iter().enumerate() {
        draw_child(&mut out, status, child, if at == last { ("└─", "  ") } else { ("├─", "│ ") });
    }
    draw_decisions(&mut out, status);
    out
}

fn headline(status: &Status) -> String {
    let url = status.gateway.as_ref().map(|gateway| &gateway.url).or(status.server.url.as_ref());
    let what = match (url, status.phase) {
        (Some(url), Phase::Ready | Phase::Busy | Phase::Suspect) => format!("serves at {url}"),
        (_, phase) => said(phase).to_owned(),
    };
    let Some(reason) = status.reason.as_deref().map(short) else { return what };
    match status.phase {
        Phase::Ready => what,
        Phase::Busy => format!("{what}, busy: {reason}"),
        Phase::Suspect => format!("{what}, in doubt: {reason}"),
        Phase::Starting | Phase::Loading => format!("{what}, {reason}"),
        Phase::Backoff | Phase::Suspended | Phase::Stopping | Phase::Stopped | Phase::Failed => {
            format!("{what}: {reason}")
        }
    }
}

/// The phase as the end of a sentence.
const fn said(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "is being started",
        Phase::Loading => "is loading",
        Phase::Ready | Phase::Busy | Phase::Suspect => "serves",
        Phase::Backoff => "is down",
        Phase::Suspended => "is down and held back",
        Phase::Stopping => "is being stopped",
        Phase::Stopped => "is down",
        Phase::Failed => "is down for good",
    }
}

fn draw_child(out: &mut String, status: &Status, child: &Child, (branch, trunk): (&str, &str)) {
    if let Some(server) = status.servers.iter().skip(1).find(|server| server.name == child.id) {
        return fleet::draw_server(out, server, (branch, trunk));
    }
    let (mark, state, details) = match child.id.as_str() {
        "server" => (phase_mark(status.phase), status.phase.as_str(), server_details(status)),
        "breaker" => (breaker_mark(status.breaker.state), status.breaker.state.as_str(), breaker_details(status)),
        "health" => (plain_mark(child), child.state.as_str(), health_details(status)),
        "gateway" => (plain_mark(child), child.state.as_str(), gateway_details(status)),
        _ => (plain_mark(child), child.state.as_str(), format!("restarts {}", child.restarts)),
    };
    let line = format!("{branch} {:<9} {mark} {state:<10} {details}", child.id);
    let _ = writeln!(out, "{}", line.trim_end());
    if child.id == "server" {
        // An end that was asked for explains nothing.
        let news = |exit: &&Exit| exit.reason != "shutdown" && !is_in_headline(status, &exit.message);
        if let Some(exit) = status.last_exit.as_ref().filter(news) {
            let _ = writeln!(out, "{trunk}           last exit: {}: {}", exit.reason, short(&exit.message));
        }
    } else if let Some(exit) = &child.last_exit {
        let _ = writeln!(out, "{trunk}           last exit: {}", short(exit));
    }
}

fn server_details(status: &Status) -> String {
    let mut details = String::new();
    if let Some(pid) = status.process_pid {
        let _ = write!(details, "pid {pid}  ");
    }
    let _ = write!(details, "epoch {}  restarts {}", status.server.epoch, status.restart_count);
    if let Some(ready) = status.server.ready_for_s {
        let _ = write!(details, "  ready for {}", span(ready));
    }
    if let Some(bytes) = status.server.memory_bytes {
        let _ = write!(details, "  {}", memory(bytes));
    }
    details
}

fn gateway_details(status: &Status) -> String {
    let Some(gateway) = &status.gateway else { return String::new() };
    let mut details = format!("{}  {} in flight  {} waiting", gateway.url, gateway.in_flight, gateway.queued);
    if let Some(gate) = gateway.gates.iter().find(|gate| gate.limited_by.is_some()) {
        let why = match gate.limited_by {
            Some(LimitedBy::SlowStart) => "until the first answer after a restart",
            Some(LimitedBy::Clamped) => "for a while, since it went down under several",
            Some(LimitedBy::Suspect) => "while it answers one that it went down under",
            None => "",
        };
        let _ = write!(details, "  at most {} at a time {why}", gate.limit);
    }
    details
}

fn health_details(status: &Status) -> String {
    match status.phase {
        Phase::Ready | Phase::Busy | Phase::Suspect => {}
        Phase::Starting | Phase::Loading | Phase::Stopping | Phase::Backoff | Phase::Suspended => {
            return "waits until the server is ready".to_owned();
        }
        Phase::Stopped | Phase::Failed => return "has nothing to watch".to_owned(),
    }
    let health = &status.health;
    let mut details = format!("{}/{} checks missed", health.failures, health.failure_threshold);
    if let Some(ago) = health.last_ok_s_ago {
        let _ = write!(details, "  last answer {} ago", span(ago));
    }
    details
}

fn breaker_details(status: &Status) -> String {
    let breaker = &status.breaker;
    match (breaker.state, breaker.half_open_in_s) {
        (BreakerState::Closed, _) => match breaker.consecutive_failures {
            0 => "no failures".to_owned(),
            1 => "1 failure".to_owned(),
            more => format!("{more} failures in a row"),
        },
        (BreakerState::Open, Some(seconds)) => format!("no restarts; one trial in {}", span(seconds)),
        (BreakerState::Open, None) => "no restarts until `mlx-tree reset`".to_owned(),
        (BreakerState::HalfOpen, _) => "one restart as a trial".to_owned(),
    }
}

fn draw_decisions(out: &mut String, status: &Status) {
    let first = status.journal.len().saturating_sub(DECISIONS);
    for (at, entry) in status.journal[first..].iter().rev().enumerate() {
        out.push_str(if at == 0 { "\nlast decisions, newest first\n" } else { "" });
        let _ = write!(out, "  {:>12} ago  {}", span(entry.ago_s), entry.decision);
        let told = status.last_exit.as_ref().is_some_and(|exit| exit.message == entry.reason);
        let news = entry.reason != entry.decision && !told && !is_in_headline(status, &entry.reason);
        let _ = if news { writeln!(out, ": {}", short(&entry.reason)) } else { writeln!(out) };
    }
}

/// Whether the headline gives this as the reason: once is enough.
fn is_in_headline(status: &Status, message: &str) -> bool {
    status.phase != Phase::Ready && status.reason.as_deref().is_some_and(|reason| reason.contains(message))
}

fn short(message: &str) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &message[..end]),
        None => message.to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn memory(bytes: u64) -> String {
    let mebibytes = bytes as f64 / (1024.0 * 1024.0);
    if mebibytes < 10_000.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}

const fn phase_mark(phase: Phase) -> &'static str {
    match phase {
        Phase::Ready => "✅",
        Phase::Busy => "🔥",
        Phase::Starting | Phase::Loading => "🚀",
        Phase::Suspect => "🤔",
        Phase::Backoff => "⏳",
        Phase::Suspended => "🔴",
        Phase::Stopping | Phase::Stopped => "🛑",
        Phase::Failed => "❌",
    }
}

const fn breaker_mark(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "🟢",
        BreakerState::HalfOpen => "🟡",
        BreakerState::Open => "🔴",
    }
}

const fn plain_mark(child: &Child) -> &'static str {
    match child.state {
        ChildState::Ready | ChildState::Up => "✅",
        ChildState::Starting => "🚀",
        ChildState::Waiting => "⏳",
        ChildState::Suspended => "🔴",
        ChildState::Stopping | ChildState::Down => "🛑",
    }
}

/// A span as people say it: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and no span is that long"
    )]
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests;
