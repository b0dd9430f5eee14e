//! The parts of the overview, each some lines.

use mlx_tree_api::{BreakerState, Child, ChildState, Language, LimitedBy, Phase, ServerStatus, Status};
use ratatui::text::{Line, Span};

use crate::model::{Link, Model};
use crate::text::{clean, cut, folded, spark};
use crate::view::style::{Style, Tone};

/// What is looked at, and how old it is.
pub(super) struct Seen<'a> {
    pub(super) status: &'a Status,
    /// Seconds since mlx-tree said so.
    pub(super) age: f64,
    pub(super) model: &'a Model,
    pub(super) style: Style,
}

/// So many exits are shown here.
const EXITS: usize = 3;

// === impl Seen ===

impl Seen<'_> {
    fn pick<'t>(&self, en: &'t str, ru: &'t str) -> &'t str {
        self.model.options.language.pick(en, ru)
    }

    fn span(&self, seconds: f64) -> String {
        self.model.options.language.span(seconds)
    }

    fn faint<'t>(&self, text: impl Into<std::borrow::Cow<'t, str>>) -> Span<'t> {
        self.style.span(text, Tone::Faint)
    }

    /// What it is, how it is, why, and what comes next.
    pub(super) fn head(&self, width: usize) -> Vec<Line<'static>> {
        let (status, language) = (self.status, self.model.options.language);
        let supervisor = &status.supervisor;
        let up = self.span(supervisor.uptime_s + self.age);
        let mut lines = vec![Line::from(self.faint(format!(
            "mlx-tree {} · pid {} · {} {up}",
            supervisor.version,
            supervisor.pid,
            self.pick("up", "работает"),
        )))];
        if let Link::Lost(why) = &self.model.link {
            let ago = self.span(self.age);
            let text = language.pick(
                format!("NOT CONNECTED · this is from {ago} ago · {why}"),
                format!("НЕТ СВЯЗИ · это данные {ago} назад · {}", language.say(why)),
            );
            lines.push(Line::from(self.style.span(clean(&text), Tone::Bad)));
        }
        let mut state = vec![self.style.span(format!(" {} ", status.phase.word(language)), Tone::Chosen)];
        state.push(self.style.span(" ● ", phase_tone(status.phase)));
        if let Some(seconds) = status.next_attempt_in_s {
            let seconds = self.span(seconds - self.age);
            let text = language.pick(format!("next attempt in {seconds} · "), format!("попытка через {seconds} · "));
            state.push(self.style.span(text, Tone::Doubt));
        }
        state.push(self.style.span(format!("{} · {}", status.server.kind, clean(&status.server.model)), Tone::Strong));
        lines.push(Line::from(state));
        if let Some(url) = status.gateway.as_ref().map(|gateway| &gateway.url).or(status.server.url.as_ref()) {
            lines.push(Line::from(self.faint(format!("   {} {url}", self.pick("clients:", "клиенты:")))));
        }
        if let Some(reason) = &status.reason {
            let reason = clean(&language.say(reason));
            lines.extend(
                folded(&reason, width.saturating_sub(3), 2)
                    .into_iter()
                    .map(|line| Line::from(self.style.span(format!("   {line}"), phase_tone(status.phase)))),
            );
        }
        for note in &status.degraded {
            // The reason above has told why.
            let why = status.reason.as_ref().and_then(|reason| note.strip_suffix(reason.as_str())?.strip_suffix(": "));
            let note = clean(&language.say(why.unwrap_or(note)));
            lines.push(Line::from(self.style.span(cut(&format!(" ! {note}"), width), Tone::Doubt)));
        }
        lines.push(Line::raw(""));
        lines
    }

    /// The supervisor and its children.
    pub(super) fn tree(&self) -> Vec<Line<'static>> {
        let language = self.model.options.language;
        let breaker = &self.status.breaker;
        let intensity = format!(
            "root supervisor · {} {}/{} {} {}",
            self.pick("restarts", "перезапусков"),
            breaker.restarts_in_window,
            breaker.max_restarts,
            self.pick("in", "за"),
            self.span(breaker.period_s),
        );
        let mut lines = vec![Line::from(self.style.span(intensity, Tone::Strong))];
        let last = self.status.children.len().saturating_sub(1);
        for (at, child) in self.status.children.iter().enumerate() {
            let branch = if at == last { "└─ " } else { "├─ " };
            let further = self.status.servers.iter().skip(1).find(|server| server.name == child.id);
            let (state, tone) = match (child.id.as_str(), further) {
                ("server", _) => (self.status.phase.word(language).to_owned(), phase_tone(self.status.phase)),
                ("breaker", _) => breaker_state(self.status.breaker.state, language),
                (_, Some(server)) => (server.phase.word(language).to_owned(), phase_tone(server.phase)),
                (_, None) => child_state(child.state, language),
            };
            lines.push(Line::from(vec![
                self.faint(branch),
                self.style.span("● ", tone),
                self.style.span(format!("{:<9} ", clean(&child.id)), Tone::Plain),
                self.style.span(format!("{state:<10} "), tone),
                self.faint(self.details(child)),
            ]));
        }
        lines.push(Line::raw(""));
        lines
    }

    fn details(&self, child: &Child) -> String {
        let language = self.model.options.language;
        let restarts = match child.id.as_str() {
            "server" => self.status.restart_count,
            _ => child.restarts,
        };
        let mut words = vec![format!("{} {}", self.pick("epoch", "эпоха"), child.epoch)];
        if restarts > 0 {
            words.push(format!("{} {restarts}", self.pick("restarts", "перезапусков")));
        }
        match child.id.as_str() {
            "server" => {
                words.extend(self.status.process_pid.map(|pid| format!("pid {pid}")));
                words.extend(self.status.server.memory_bytes.map(|used| language.size(used)));
            }
            "health" => {
                let health = &self.status.health;
                // As long as nothing serves, nothing can be missed.
                words.push(match self.status.phase {
                    Phase::Ready | Phase::Busy | Phase::Suspect | Phase::Draining => {
                        let missed = self.pick("missed", "пропущено");
                        format!("{missed} {}/{}", health.failures, health.failure_threshold)
                    }
                    Phase::Starting
                    | Phase::Loading
                    | Phase::Stopping
                    | Phase::Backoff
                    | Phase::Suspended
                    | Phase::Stopped
                    | Phase::Failed => self.pick("waits for the server", "ждёт сервер").to_owned(),
                });
            }
            "breaker" => {
                let breaker = &self.status.breaker;
                let (failures, limit) = (breaker.consecutive_failures, breaker.failure_threshold);
                // Trials that fail count on, past the limit.
                let of = if failures > limit { String::new() } else { format!("/{limit}") };
                words.push(format!("{} {failures}{of}", self.pick("failures", "сбоев")));
                words.extend(breaker.half_open_in_s.map(|seconds| {
                    format!("{} {}", self.pick("a trial in", "проба через"), self.span(seconds - self.age))
                }));
            }
            _ => {}
        }
        if let Some(seconds) = child.next_start_in_s {
            words.push(format!("{} {}", self.pick("starts in", "запуск через"), self.span(seconds - self.age)));
        }
        words.join("  ")
    }

    /// Each of several servers; of the chosen one, more.
    pub(super) fn servers(&self) -> Vec<Line<'static>> {
        if self.status.servers.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![Line::from(self.style.span(self.pick("servers", "серверы"), Tone::Strong))];
        for (at, server) in self.status.servers.iter().enumerate() {
            let chosen = at == self.model.server;
            let mark = if chosen { "▸ " } else { "  " };
            lines.push(Line::from(vec![
                self.style.span(mark, Tone::Plain),
                self.style.span("● ", phase_tone(server.phase)),
                self.style
                    .span(format!("{:<12} ", clean(&server.name)), if chosen { Tone::Strong } else { Tone::Plain }),
                self.style
                    .span(format!("{:<10} ", server.phase.word(self.model.options.language)), phase_tone(server.phase)),
                self.faint(self.server_details(server)),
            ]));
            if chosen && let Some(reason) = &server.reason {
                let reason = clean(&self.model.options.language.say(reason));
                lines.push(Line::from(self.style.span(format!("    {reason}"), phase_tone(server.phase))));
            }
        }
        lines.push(Line::raw(""));
        lines
    }

    fn server_details(&self, server: &ServerStatus) -> String {
        let language = self.model.options.language;
        let mut words = vec![clean(&server.server.model)];
        words.extend(server.server.memory_bytes.map(|used| language.size(used)));
        if server.restart_count > 0 {
            words.push(format!("{} {}", self.pick("restarts", "перезапусков"), server.restart_count));
        }
        if server.circuit_breaker_state != BreakerState::Closed {
            words.push(format!("breaker {}", server.circuit_breaker_state.word(language)));
        }
        words.extend(
            server
                .next_attempt_in_s
                .map(|seconds| format!("{} {}", self.pick("starts in", "запуск через"), self.span(seconds - self.age))),
        );
        words.join("  ")
    }

    /// What the gateway gives each server, and what waits.
    pub(super) fn gates(&self) -> Vec<Line<'static>> {
        let Some(gateway) = &self.status.gateway else { return Vec::new() };
        let (in_flight, waiting) = (self.pick("in flight", "в работе"), self.pick("waiting", "в очереди"));
        let mut lines = Vec::new();
        for gate in &gateway.gates {
            let mut spans = vec![
                self.style.span(format!("{} {:<9} ", self.pick("gate", "вход"), clean(&gate.server)), Tone::Strong),
                self.style.span(format!("{in_flight} {}/{}  ", gate.in_flight, gate.limit), Tone::Plain),
                self.style.span(
                    format!("{waiting} {}", gate.queued),
                    if gate.queued > 0 { Tone::Doubt } else { Tone::Plain },
                ),
            ];
            spans.extend(gate.limited_by.map(|why| self.faint(format!("  {}", limited(why, self)))));
            lines.push(Line::from(spans));
        }
        lines.push(Line::raw(""));
        lines
    }

    /// The last minutes of the chosen server.
    pub(super) fn plots(&self, width: usize) -> Vec<Line<'static>> {
        let language = self.model.options.language;
        let name = self.status.servers.get(self.model.server).map(|server| server.name.as_str());
        let trend = self.model.trend.servers.iter().find(|it| name.is_none_or(|name| it.server == name));
        let Some(trend) = trend.filter(|trend| !trend.points.is_empty()) else { return Vec::new() };
        let last = trend.points.last();
        #[expect(clippy::cast_precision_loss, reason = "the height of a bar")]
        let column = |value: fn(&mlx_tree_api::Point) -> u64| -> Vec<f64> {
            trend.points.iter().map(|point| value(point) as f64).collect()
        };
        let rows = [
            (
                self.pick("memory", "память"),
                last.and_then(|point| point.memory_bytes).map_or_else(|| "–".to_owned(), |used| language.size(used)),
                column(|point| point.memory_bytes.unwrap_or(0)),
            ),
            (
                self.pick("tokens/s", "токенов/с"),
                last.map_or_else(String::new, |point| format!("{:.0}", point.tokens_per_s)),
                trend.points.iter().map(|point| point.tokens_per_s).collect(),
            ),
            (
                self.pick("in flight", "в работе"),
                last.map_or_else(String::new, |point| point.in_flight.to_string()),
                column(|point| point.in_flight),
            ),
        ];
        let room = width.saturating_sub(22);
        let mut lines: Vec<Line<'static>> = rows
            .into_iter()
            .map(|(label, now, values)| {
                Line::from(vec![
                    self.faint(format!("{label:<10}")),
                    self.style.span(format!("{now:>9} "), Tone::Plain),
                    self.style.span(spark(&values, room), Tone::Good),
                ])
            })
            .collect();
        lines.push(Line::raw(""));
        lines
    }

    /// How it went down lately.
    pub(super) fn exits(&self, width: usize) -> Vec<Line<'static>> {
        let told = &self.model.exits;
        if told.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![Line::from(self.style.span(self.pick("last exits", "последние падения"), Tone::Strong))];
        lines.extend(told.iter().rev().take(EXITS).map(|exit| {
            Line::from(vec![
                self.faint(format!("{:8} ", exit.at)),
                self.style.span(cut(&exit.text, width.saturating_sub(9)), Tone::Doubt),
            ])
        }));
        lines.push(Line::raw(""));
        lines
    }

    pub(super) fn title_of_events(&self) -> Line<'static> {
        Line::from(self.style.span(self.pick("events (UTC)", "события (UTC)").to_owned(), Tone::Strong))
    }
}

fn limited(why: LimitedBy, seen: &Seen<'_>) -> String {
    match why {
        LimitedBy::SlowStart => seen.pick("until the first answer", "до первого ответа"),
        LimitedBy::Clamped => seen.pick("it went down under several", "падал под нагрузкой"),
        LimitedBy::Suspect => seen.pick("a suspect is alone with it", "подозрительный запрос один"),
    }
    .to_owned()
}

const fn phase_tone(phase: Phase) -> Tone {
    match phase {
        Phase::Ready | Phase::Busy => Tone::Good,
        Phase::Starting | Phase::Loading | Phase::Suspect | Phase::Draining | Phase::Stopping | Phase::Backoff => {
            Tone::Doubt
        }
        Phase::Suspended | Phase::Failed => Tone::Bad,
        Phase::Stopped => Tone::Faint,
    }
}

fn breaker_state(state: BreakerState, language: Language) -> (String, Tone) {
    let tone = match state {
        BreakerState::Closed => Tone::Good,
        BreakerState::HalfOpen => Tone::Doubt,
        BreakerState::Open => Tone::Bad,
    };
    (state.word(language).to_owned(), tone)
}

fn child_state(state: ChildState, language: Language) -> (String, Tone) {
    let tone = match state {
        ChildState::Ready | ChildState::Up => Tone::Good,
        ChildState::Starting | ChildState::Stopping | ChildState::Waiting => Tone::Doubt,
        ChildState::Suspended => Tone::Bad,
        ChildState::Down => Tone::Faint,
    };
    (state.word(language).to_owned(), tone)
}
