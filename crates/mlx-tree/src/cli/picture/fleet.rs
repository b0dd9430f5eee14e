//! A further server in the picture: its supervisor, and its three children below that.

use std::fmt::Write as _;

use mlx_tree_api::{Child, Phase, ServerStatus};

use super::{breaker_mark, memory, phase_mark, plain_mark, short, span};

pub(super) fn draw_server(out: &mut String, server: &ServerStatus, (branch, trunk): (&str, &str)) {
    let what = match (&server.server.url, server.phase) {
        (Some(url), Phase::Ready | Phase::Busy | Phase::Suspect) => format!("serves at {url}"),
        (_, phase) => {
            server.reason.as_deref().map_or_else(|| phase.as_str().to_owned(), |reason| short(reason).clone())
        }
    };
    let _ = writeln!(out, "{branch} {:<9} {} · {} · {what}", server.name, server.server.kind, server.server.model);
    let last = server.children.len().saturating_sub(1);
    for (at, child) in server.children.iter().enumerate() {
        let branch = if at == last { "└─" } else { "├─" };
        let (mark, state, details) = of(server, child);
        let line = format!("{trunk} {branch} {:<9} {mark} {state:<10} {details}", child.id);
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn of(server: &ServerStatus, child: &Child) -> (&'static str, &'static str, String) {
    match child.id.as_str() {
        "server" => (phase_mark(server.phase), server.phase.as_str(), process(server)),
        "breaker" => {
            let details = match server.breaker.half_open_in_s {
                Some(seconds) => format!("no restarts; one trial in {}", span(seconds)),
                None => String::new(),
            };
            (breaker_mark(server.breaker.state), server.breaker.state.as_str(), details)
        }
        _ => (plain_mark(child), child.state.as_str(), String::new()),
    }
}

fn process(server: &ServerStatus) -> String {
    let mut details = String::new();
    if let Some(pid) = server.process_pid {
        let _ = write!(details, "pid {pid}  ");
    }
    let _ = write!(details, "epoch {}  restarts {}", server.server.epoch, server.restart_count);
    if let Some(bytes) = server.server.memory_bytes {
        let _ = write!(details, "  {}", memory(bytes));
    }
    if server.in_flight > 0 {
        let _ = write!(details, "  {} in flight", server.in_flight);
    }
    details
}
