//! A further server in the picture: its supervisor, and its three children below that.

use std::fmt::Write as _;

use mlx_tree_api::{Child, Language, Phase, ServerStatus};

use super::{breaker_mark, held_back, phase_mark, plain_mark, short};

pub(super) fn draw_server(
    out: &mut String,
    (server, language): (&ServerStatus, Language),
    (branch, trunk): (&str, &str),
) {
    let what = match (&server.server.url, server.phase) {
        (Some(url), Phase::Ready | Phase::Busy | Phase::Suspect | Phase::Draining) => {
            format!("{} {url}", language.pick("serves at", "отвечает по адресу"))
        }
        (_, phase) => match server.reason.as_deref() {
            Some(reason) => short(&language.say(reason)),
            None => phase.word(language).to_owned(),
        },
    };
    let _ = writeln!(out, "{branch} {:<9} {} · {} · {what}", server.name, server.server.kind, server.server.model);
    let last = server.children.len().saturating_sub(1);
    for (at, child) in server.children.iter().enumerate() {
        let branch = if at == last { "└─" } else { "├─" };
        let (mark, state, details) = of((server, language), child);
        let line = format!("{trunk} {branch} {:<9} {mark} {state:<10} {details}", child.id);
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn of((server, language): (&ServerStatus, Language), child: &Child) -> (&'static str, &'static str, String) {
    match child.id.as_str() {
        "server" => (phase_mark(server.phase), server.phase.word(language), process(server, language)),
        "breaker" => {
            let details = match server.breaker.half_open_in_s {
                Some(seconds) => held_back(seconds, language),
                None => String::new(),
            };
            (breaker_mark(server.breaker.state), server.breaker.state.word(language), details)
        }
        _ => (plain_mark(child), child.state.word(language), String::new()),
    }
}

fn process(server: &ServerStatus, language: Language) -> String {
    let mut details = String::new();
    if let Some(pid) = server.process_pid {
        let _ = write!(details, "pid {pid}  ");
    }
    let (epoch, restarts) = language.pick(("epoch", "restarts"), ("эпоха", "перезапусков"));
    let _ = write!(details, "{epoch} {}  {restarts} {}", server.server.epoch, server.restart_count);
    if let Some(bytes) = server.server.memory_bytes {
        let _ = write!(details, "  {}", language.size(bytes));
    }
    if server.in_flight > 0 {
        let count = server.in_flight;
        let _ = write!(details, "  {}", language.pick(format!("{count} in flight"), format!("в работе {count}")));
    }
    details
}
