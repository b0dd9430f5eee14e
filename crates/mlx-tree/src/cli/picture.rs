//! `mlx-tree status`: the tree as a picture.

mod fleet;

use std::fmt::Write as _;

use mlx_tree_api::{BreakerState, Child, ChildState, Exit, Language, LimitedBy, Phase, Status};

/// So many of the latest decisions are shown.
const DECISIONS: usize = 3;

/// The reason of a server that somebody has stopped: it says the same as its phase.
const STOPPED: &str = "stopped on request";

/// So much of a message is shown. A line of Python's stderr can be very long.
const LONGEST: usize = 160;

/// Draws the status document for a terminal.
#[must_use]
pub(crate) fn picture(status: &Status, language: Language) -> String {
    let mut out = String::new();
    let supervisor = &status.supervisor;
    let span = |seconds| language.span(seconds);
    let up = language.pick("up", "работает");
    let _ =
        writeln!(out, "mlx-tree {} · pid {} · {up} {}", supervisor.version, supervisor.pid, span(supervisor.uptime_s));
    let _ = writeln!(out, "{} · {} · {}", status.server.kind, status.server.model, headline(status, language));
    if let Some(seconds) = status.next_attempt_in_s {
        let _ = writeln!(out, "{} {}", language.pick("next attempt in", "следующая попытка через"), span(seconds));
    }
    if let Some(note) = &status.server.note {
        let _ = writeln!(out, "{}: {}", language.pick("note", "примечание"), language.say(note));
    }
    for line in &status.degraded {
        // The headline has told why.
        let why = status.reason.as_ref().and_then(|reason| line.strip_suffix(reason.as_str())?.strip_suffix(": "));
        let line = language.say(why.unwrap_or(line));
        let _ = writeln!(out, "⚠️ {}: {}", language.pick("degraded", "не в порядке"), short(&line));
    }
    out.push('\n');
    let breaker = &status.breaker;
    let (restarts, of, period) = (breaker.restarts_in_window, breaker.max_restarts, span(breaker.period_s));
    let intensity = language.pick(
        format!("{restarts}/{of} restarts in the last {period}"),
        format!("перезапусков {restarts}/{of} за последние {period}"),
    );
    let _ = writeln!(out, "root supervisor · one for one · {intensity}");
    let last = status.children.len().saturating_sub(1);
    for (at, child) in status.children.iter().enumerate() {
        draw_child(&mut out, (status, language), child, if at == last { ("└─", "  ") } else { ("├─", "│ ") });
    }
    draw_decisions(&mut out, status, language);
    out
}

fn headline(status: &Status, language: Language) -> String {
    let url = status.gateway.as_ref().map(|gateway| &gateway.url).or(status.server.url.as_ref());
    let what = match (url, status.phase) {
        (Some(url), Phase::Ready | Phase::Busy | Phase::Suspect | Phase::Draining) => {
            format!("{} {url}", language.pick("serves at", "отвечает по адресу"))
        }
        (_, phase) => said(phase, language).to_owned(),
    };
    let reason = status.reason.as_deref().map(|reason| short(&language.say(reason)));
    let Some(reason) = reason else { return what };
    match status.phase {
        Phase::Ready => what,
        Phase::Busy => format!("{what}, {}: {reason}", language.pick("busy", "занят")),
        Phase::Suspect => format!("{what}, {}: {reason}", language.pick("in doubt", "под сомнением")),
        Phase::Draining => {
            format!("{what}, {}: {reason}", language.pick("but nothing new", "но новых запросов не получает"))
        }
        Phase::Starting | Phase::Loading => format!("{what}, {reason}"),
        Phase::Stopped if status.reason.as_deref() == Some(STOPPED) => reason,
        Phase::Backoff | Phase::Suspended | Phase::Stopping | Phase::Stopped | Phase::Failed => {
            format!("{what}: {reason}")
        }
    }
}

/// The phase as the end of a sentence.
fn said(phase: Phase, language: Language) -> &'static str {
    match phase {
        Phase::Starting => language.pick("is being started", "запускается"),
        Phase::Loading => language.pick("is loading", "загружается"),
        Phase::Ready | Phase::Busy | Phase::Suspect | Phase::Draining => language.pick("serves", "отвечает"),
        Phase::Backoff => language.pick("is down", "не работает"),
        Phase::Suspended => language.pick("is down and held back", "не работает, запуски приостановлены"),
        Phase::Stopping => language.pick("is being stopped", "останавливается"),
        Phase::Stopped => language.pick("is stopped", "остановлен"),
        Phase::Failed => language.pick("is down for good", "не работает и не будет запущен"),
    }
}

fn draw_child(out: &mut String, (status, language): (&Status, Language), child: &Child, (branch, trunk): (&str, &str)) {
    if let Some(server) = status.servers.iter().skip(1).find(|server| server.name == child.id) {
        return fleet::draw_server(out, (server, language), (branch, trunk));
    }
    let (mark, state, details) = match child.id.as_str() {
        "server" => (phase_mark(status.phase), status.phase.word(language), server_details(status, language)),
        "breaker" => {
            (breaker_mark(status.breaker.state), status.breaker.state.word(language), breaker_details(status, language))
        }
        "health" => (plain_mark(child), child.state.word(language), health_details(status, language)),
        "gateway" => (plain_mark(child), child.state.word(language), gateway_details(status, language)),
        _ => (
            plain_mark(child),
            child.state.word(language),
            format!("{} {}", language.pick("restarts", "перезапусков"), child.restarts),
        ),
    };
    let line = format!("{branch} {:<9} {mark} {state:<10} {details}", child.id);
    let _ = writeln!(out, "{}", line.trim_end());
    let last_exit = language.pick("last exit", "последнее падение");
    if child.id == "server" {
        // An end that was asked for explains nothing.
        let news = |exit: &&Exit| exit.reason != "shutdown" && !is_in_headline(status, &exit.message);
        if let Some(exit) = status.last_exit.as_ref().filter(news) {
            let message = short(&language.say(&exit.message));
            let _ = writeln!(out, "{trunk}           {last_exit}: {}: {message}", exit.reason);
        }
    } else if let Some(exit) = &child.last_exit {
        let _ = writeln!(out, "{trunk}           {last_exit}: {}", short(&language.say(exit)));
    }
}

fn server_details(status: &Status, language: Language) -> String {
    let mut details = String::new();
    if let Some(pid) = status.process_pid {
        let _ = write!(details, "pid {pid}  ");
    }
    let (epoch, restarts) = language.pick(("epoch", "restarts"), ("эпоха", "перезапусков"));
    let _ = write!(details, "{epoch} {}  {restarts} {}", status.server.epoch, status.restart_count);
    if let Some(ready) = status.server.ready_for_s {
        let _ = write!(details, "  {} {}", language.pick("ready for", "без перерыва"), language.span(ready));
    }
    if let Some(bytes) = status.server.memory_bytes {
        let _ = write!(details, "  {}", language.size(bytes));
    }
    details
}

fn gateway_details(status: &Status, language: Language) -> String {
    let Some(gateway) = &status.gateway else { return String::new() };
    let (url, in_flight, waiting) = (&gateway.url, gateway.in_flight, gateway.queued);
    let mut details = language.pick(
        format!("{url}  {in_flight} in flight  {waiting} waiting"),
        format!("{url}  в работе {in_flight}  в очереди {waiting}"),
    );
    if let Some(gate) = gateway.gates.iter().find(|gate| gate.limited_by.is_some()) {
        let why = match gate.limited_by {
            Some(LimitedBy::SlowStart) => {
                language.pick("until the first answer after a restart", "до первого ответа после перезапуска")
            }
            Some(LimitedBy::Clamped) => language
                .pick("for a while, since it went down under several", "на время: под несколькими сразу он упал"),
            Some(LimitedBy::Suspect) => language
                .pick("while it answers one that it went down under", "пока отвечает на запрос, под которым упал"),
            None => "",
        };
        let _ = match language {
            Language::En => write!(details, "  at most {} at a time {why}", gate.limit),
            Language::Ru => write!(details, "  одновременно не больше {} {why}", gate.limit),
        };
    }
    details
}

fn health_details(status: &Status, language: Language) -> String {
    match status.phase {
        Phase::Ready | Phase::Busy | Phase::Suspect | Phase::Draining => {}
        Phase::Starting | Phase::Loading | Phase::Stopping | Phase::Backoff | Phase::Suspended => {
            return language.pick("waits until the server is ready", "ждёт готовности сервера").to_owned();
        }
        Phase::Stopped | Phase::Failed => return language.pick("has nothing to watch", "наблюдать нечего").to_owned(),
    }
    let health = &status.health;
    let (missed, of) = (health.failures, health.failure_threshold);
    let mut details =
        language.pick(format!("{missed}/{of} checks missed"), format!("пропущено проверок {missed}/{of}"));
    if let Some(ago) = health.last_ok_s_ago {
        let ago = language.span(ago);
        let _ = match language {
            Language::En => write!(details, "  last answer {ago} ago"),
            Language::Ru => write!(details, "  последний ответ {ago} назад"),
        };
    }
    details
}

fn breaker_details(status: &Status, language: Language) -> String {
    let breaker = &status.breaker;
    match (breaker.state, breaker.half_open_in_s) {
        (BreakerState::Closed, _) => match breaker.consecutive_failures {
            0 => language.pick("no failures", "сбоев нет").to_owned(),
            1 => language.pick("1 failure", "1 сбой").to_owned(),
            more => language.pick(format!("{more} failures in a row"), format!("сбоев подряд: {more}")),
        },
        (BreakerState::Open, Some(seconds)) => held_back(seconds, language),
        (BreakerState::Open, None) => {
            language.pick("no restarts until `mlx-tree reset`", "запусков нет до `mlx-tree reset`").to_owned()
        }
        (BreakerState::HalfOpen, _) => language.pick("one restart as a trial", "один пробный перезапуск").to_owned(),
    }
}

fn held_back(seconds: f64, language: Language) -> String {
    let then = language.pick("no restarts; one trial in", "запусков нет; пробный через");
    format!("{then} {}", language.span(seconds))
}

fn draw_decisions(out: &mut String, status: &Status, language: Language) {
    let first = status.journal.len().saturating_sub(DECISIONS);
    for (at, entry) in status.journal[first..].iter().rev().enumerate() {
        if at == 0 {
            out.push_str(language.pick("\nlast decisions, newest first\n", "\nпоследние решения, новые сверху\n"));
        }
        let (ago, decision) = (language.span(entry.ago_s), language.say(&entry.decision));
        let _ = write!(out, "  {ago:>12} {}  {decision}", language.pick("ago", "назад"));
        let told = status.last_exit.as_ref().is_some_and(|exit| exit.message == entry.reason);
        let news = entry.reason != entry.decision && !told && !is_in_headline(status, &entry.reason);
        let _ = if news { writeln!(out, ": {}", short(&language.say(&entry.reason))) } else { writeln!(out) };
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

const fn phase_mark(phase: Phase) -> &'static str {
    match phase {
        Phase::Ready => "✅",
        Phase::Busy => "🔥",
        Phase::Starting | Phase::Loading => "🚀",
        Phase::Suspect => "🤔",
        Phase::Draining => "🚰",
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

#[cfg(test)]
mod tests;
