//! `mlx-tree status`: the tree as a picture.

use std::fmt::Write as _;

use mlx_tree_api::{BreakerState, Child, Phase, Status};

/// Draws the status document for a terminal.
#[must_use]
pub(crate) fn picture(status: &Status) -> String {
    let mut out = String::new();
    let supervisor = &status.supervisor;
    let _ =
        writeln!(out, "mlx-tree {} · pid {} · up {}", supervisor.version, supervisor.pid, span(supervisor.uptime_s));
    let _ = writeln!(out, "{}", headline(status));
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
    if let Some(entry) = status.journal.last() {
        let _ = write!(out, "\nlast decision, {} ago: {}", span(entry.ago_s), entry.decision);
        let _ = writeln!(out, " — {}", entry.reason);
    }
    out
}

fn headline(status: &Status) -> String {
    let what = format!("{} {}", status.server.kind, status.server.model);
    let mut line = match (&status.server.url, status.phase) {
        (Some(url), Phase::Ready | Phase::Busy | Phase::Suspect) => format!("{what} serves at {url}"),
        (_, phase) => format!("{what} {}", said(phase)),
    };
    if let Some(reason) = status.reason.as_deref().filter(|_| status.phase != Phase::Ready) {
        let _ = write!(line, ": {reason}");
    }
    if let Some(seconds) = status.next_attempt_in_s {
        let _ = write!(line, "\nnext attempt in {}", span(seconds));
    }
    line
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
        Phase::Stopped => "is stopped",
        Phase::Failed => "is down for good",
    }
}

fn draw_child(out: &mut String, status: &Status, child: &Child, (branch, trunk): (&str, &str)) {
    let (mark, state, details) = match child.id.as_str() {
        "server" => (phase_mark(status.phase), status.phase.as_str(), server_details(status, child)),
        "breaker" => {
            let state = status.breaker.state;
            (breaker_mark(state), state.as_str(), breaker_details(status))
        }
        "health" => (plain_mark(child), child.state.as_str(), health_details(status)),
        _ => (plain_mark(child), child.state.as_str(), format!("restarts {}", child.restarts)),
    };
    let line = format!("{branch} {:<9} {mark} {state:<10} epoch {:<4} {details}", child.id, child.epoch);
    let _ = writeln!(out, "{}", line.trim_end());
    let own_exit = status.last_exit.as_ref().filter(|_| child.id == "server");
    if let Some(exit) = own_exit {
        let _ = writeln!(out, "{trunk}           last exit: {} — {}", exit.reason, exit.message);
    } else if let Some(exit) = &child.last_exit {
        let _ = writeln!(out, "{trunk}           last exit: {exit}");
    }
}

fn server_details(status: &Status, child: &Child) -> String {
    let mut details = String::new();
    if let Some(pid) = status.process_pid {
        let _ = write!(details, "pid {pid}  ");
    }
    let _ = write!(details, "restarts {}", child.restarts);
    if let Some(ready) = status.server.ready_for_s {
        let _ = write!(details, "  ready for {}", span(ready));
    }
    if let Some(bytes) = status.server.memory_bytes {
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let megabytes = bytes as f64 / (1024.0 * 1024.0);
        let _ = write!(details, "  {megabytes:.0} MiB");
    }
    details
}

fn health_details(status: &Status) -> String {
    let health = &status.health;
    let mut details = format!("{}/{} missed", health.failures, health.failure_threshold);
    if let Some(ago) = health.last_ok_s_ago {
        let _ = write!(details, "  last answer {} ago", span(ago));
    }
    details
}

fn breaker_details(status: &Status) -> String {
    let breaker = &status.breaker;
    let mut details = format!("{} failures in a row", breaker.consecutive_failures);
    if let Some(seconds) = breaker.half_open_in_s {
        let _ = write!(details, "  half-open in {}", span(seconds));
    }
    details
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
        mlx_tree_api::ChildState::Ready | mlx_tree_api::ChildState::Up => "✅",
        mlx_tree_api::ChildState::Starting => "🚀",
        mlx_tree_api::ChildState::Waiting => "⏳",
        mlx_tree_api::ChildState::Suspended => "🔴",
        mlx_tree_api::ChildState::Stopping | mlx_tree_api::ChildState::Down => "🛑",
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
mod tests {
    use super::span;

    #[test]
    fn spans_read_as_people_say_them() {
        let said = [0.0, 3.24, 12.4, 60.0, 200.0, 7500.0].map(span);
        assert_eq!(said, ["0.0 s", "3.2 s", "12 s", "1 min", "3 min 20 s", "2 h 5 min"]);
    }
}
