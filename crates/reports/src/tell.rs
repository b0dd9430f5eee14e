//! Reports in plain words, in English or Russian.

mod requests;

use std::fmt::Write as _;

use mlx_tree_api::{BreakerState, Language, Phase, Status, narrate};

use self::requests::requests;
use crate::advice::{advice, killed_for_memory};
use crate::group::{Group, seconds};
use crate::report::{Decision, How, Report, Usage};
use crate::shelf::Unreadable;

/// How wide the labels are.
const LABEL: usize = 11;

/// The moment at which it is told, and what mlx-tree is doing then.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// Seconds since 1970.
    pub seconds: f64,
    /// The running mlx-tree, if one runs.
    pub status: Option<&'a Status>,
}

/// Tells `groups`, newest first, beginning with how it stands now.
#[must_use]
pub fn tell_all(groups: &[Group<'_>], unreadable: &[Unreadable], now: Now<'_>, language: Language) -> String {
    let mut text = standing(now, language);
    for group in groups {
        text.push('\n');
        text.push_str(&head(group.last, group.count, group.within_s, now, language));
        text.push_str(&body(group.last, language));
        line(&mut text, language.pick("more", "подробнее"), &format!("mlx-tree why {}", group.last.id));
    }
    if groups.is_empty() {
        text.push_str(
            language.pick("\nNo report of a server that went down.\n", "\nНи одного отчёта о падении сервера.\n"),
        );
    }
    if !unreadable.is_empty() {
        text.push('\n');
    }
    for Unreadable { file, why } in unreadable {
        let _ = writeln!(
            text,
            "{}",
            language.pick(format!("unreadable: {file}: {why}"), format!("не читается: {file}: {why}"))
        );
    }
    text
}

/// Tells one report whole, with the last lines and the events.
#[must_use]
pub fn tell_one(report: &Report, now: Now<'_>, language: Language) -> String {
    let mut text = head(report, 1, 0.0, now, language);
    text.push_str(&body(report, language));
    line(&mut text, "mlx-tree", &format!("{}, {}", report.mlx_tree, report.machine.system));
    text.push_str(language.pick("\nIts last lines:\n", "\nЕго последние строки:\n"));
    if report.last_lines.is_empty() {
        text.push_str(language.pick("  (it wrote nothing)\n", "  (он ничего не написал)\n"));
    }
    for last in &report.last_lines {
        let _ = writeln!(text, "  {last}");
    }
    text.push_str(language.pick("\nWhat happened before, and just after:\n", "\nЧто было до этого и сразу после:\n"));
    for event in &report.events {
        let told = narrate(event, language).unwrap_or_else(|| event.kind.name().to_owned());
        let time = event.at.get(11..19).unwrap_or(&event.at);
        let _ = writeln!(text, "  {time}  {}", told.replace('\n', "\n            "));
    }
    text
}

fn line(text: &mut String, label: &str, words: &str) {
    let pad = LABEL.saturating_sub(label.chars().count());
    let mut lines = words.lines();
    let _ = writeln!(text, "  {label}{:pad$} {}", "", lines.next().unwrap_or_default());
    for more in lines {
        let _ = writeln!(text, "  {:LABEL$} {more}", "");
    }
}

/// How each server stands now, a line each.
fn standing(now: Now<'_>, language: Language) -> String {
    let Some(status) = now.status else {
        return language.pick("Now: no mlx-tree is running here.\n", "Сейчас: mlx-tree здесь не запущен.\n").to_owned();
    };
    let mut text = String::new();
    if status.servers.is_empty() {
        let said = stands(status.phase, status.reason.as_deref(), status.next_attempt_in_s, language);
        let _ = writeln!(text, "{} {said}", language.pick("Now: the server", "Сейчас: сервер"));
    }
    for server in &status.servers {
        let said = stands(server.phase, server.reason.as_deref(), server.next_attempt_in_s, language);
        let _ = writeln!(text, "{} {} {said}", language.pick("Now:", "Сейчас:"), server.name);
    }
    text
}

fn stands(phase: Phase, reason: Option<&str>, next: Option<f64>, language: Language) -> String {
    let words = match phase {
        Phase::Starting => language.pick("is being started", "запускается"),
        Phase::Loading => language.pick("is loading its model", "загружает модель"),
        Phase::Ready => language.pick("is ready", "работает"),
        Phase::Busy => language.pick("is busy", "занят"),
        Phase::Suspect => language.pick("is under suspicion", "под сомнением"),
        Phase::Draining => language.pick("finishes what it has", "заканчивает начатое"),
        Phase::Stopping => language.pick("is being ended", "завершается"),
        Phase::Backoff => language.pick("is down and waits for its restart", "не работает и ждёт перезапуска"),
        Phase::Suspended => language.pick("is down, and its breaker is open", "не работает, breaker разомкнут"),
        Phase::Stopped => language.pick("is stopped", "остановлен"),
        Phase::Failed => language.pick("is down for good", "больше не будет запущен"),
    };
    let next = next.map(|next| {
        let wait = language.span(next);
        language.pick(format!(", next start in {wait}"), format!(", следующий запуск через {wait}"))
    });
    // Of a server that was stopped on request, the phase has said it.
    let reason = reason.filter(|reason| *reason != "stopped on request");
    let reason = reason.map(|reason| format!(" ({})", language.say(reason)));
    format!("{words}{}{}.", next.unwrap_or_default(), reason.unwrap_or_default())
}

/// What went down, how, how often and when.
fn head(report: &Report, count: usize, within_s: f64, now: Now<'_>, language: Language) -> String {
    let ago = seconds(&report.at).map_or_else(String::new, |at| {
        let ago = language.span(now.seconds - at);
        language.pick(format!("{ago} ago"), format!("{ago} назад"))
    });
    let stamp = report.at.get(..19).unwrap_or(&report.at).replace('T', " ");
    let (name, how) = (&report.server, how(report, language));
    let times = if count > 1 {
        let within = language.span(within_s);
        language.pick(
            format!("{count} times in {within}, last "),
            format!("{count} {} за {within}, последний раз ", russian_times(count)),
        )
    } else {
        String::new()
    };
    language.pick(
        format!("{name} went down {times}{ago} ({stamp} UTC): {how}\n"),
        format!("{name} упал {times}{ago} ({stamp} UTC): {how}\n"),
    )
}

/// The counted form of "раз".
const fn russian_times(count: usize) -> &'static str {
    match (count % 10, count % 100) {
        (2..=4, 0..=10 | 20..=99) => "раза",
        (_, _) => "раз",
    }
}

/// How it ended, in a few words.
fn how(report: &Report, language: Language) -> String {
    match report.how {
        How::Code { code } => language.pick(format!("exit code {code}"), format!("код выхода {code}")),
        How::Signal { signal } => {
            let name = signal_name(signal).map_or_else(|| signal.to_string(), |name| format!("{name} ({signal})"));
            // Of a crash everybody knows that; of a kill it is the first question.
            let sent = matches!(signal, 1 | 2 | 9 | 15);
            let whose = if sent { language.pick(", not sent by mlx-tree", ", не от mlx-tree") } else { "" };
            language.pick(format!("signal {name}{whose}"), format!("сигнал {name}{whose}"))
        }
        How::Canary => language
            .pick("a completion of one token failed (canary)", "пробный запрос на один токен не удался (canary)")
            .to_owned(),
        How::Stall => language.pick("it hung: no progress at all", "он завис: никакого движения").to_owned(),
        How::Health => language
            .pick("it hung: health checks were missed in a row", "он завис: проверки здоровья пропущены подряд")
            .to_owned(),
        How::Memory => language.pick("it used too much memory", "он занял слишком много памяти").to_owned(),
        How::StartTimeout => language.pick("it was not ready in time", "он не успел подняться").to_owned(),
        How::NotStarted => language.pick("it could not be started", "его не удалось запустить").to_owned(),
        How::Unknown => language.pick("nobody can tell how", "как именно, неизвестно").to_owned(),
    }
}

const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

fn body(report: &Report, language: Language) -> String {
    let mut text = String::new();
    let killed = report.killed_for_memory();
    let advice = if killed { Some(killed_for_memory(language)) } else { advice(&report.reason, language) };
    if let Some(advice) = advice {
        line(&mut text, language.pick("what", "что"), advice.meaning);
    }
    match (&report.cause, report.how) {
        (Some(cause), _) => line(&mut text, language.pick("cause", "причина"), cause),
        // The first line has said it.
        (None, How::Code { .. } | How::Signal { .. }) => {}
        (
            None,
            How::Canary | How::Stall | How::Health | How::Memory | How::StartTimeout | How::NotStarted | How::Unknown,
        ) => line(&mut text, language.pick("message", "сообщение"), &language.say(&report.message)),
    }
    if let Some(why) = report.given_up_for.as_ref().filter(|why| **why != report.message) {
        line(&mut text, language.pick("given up", "вердикт"), &language.say(why));
    }
    line(&mut text, language.pick("life", "работал"), &life(report, language));
    line(&mut text, language.pick("memory", "память"), &memory(report, language));
    line(&mut text, language.pick("in flight", "в работе"), &requests(report, language));
    line(&mut text, "mlx-tree", &decision(report, language));
    if let Some(advice) = advice.filter(|advice| !advice.steps.is_empty()) {
        let steps: Vec<_> = advice.steps.iter().map(|step| format!("· {step}")).collect();
        line(&mut text, language.pick("you can", "что можно"), &steps.join("\n"));
    }
    text
}

fn life(report: &Report, language: Language) -> String {
    let (epoch, kind, model) = (report.epoch, &report.kind, &report.model);
    let (Some(pid), Some(uptime)) = (report.pid, report.uptime_s) else {
        return language.pick(
            format!("epoch {epoch} had no process; {kind}, {model}"),
            format!("у эпохи {epoch} не было процесса; {kind}, {model}"),
        );
    };
    let uptime = language.span(uptime);
    let ready = match report.ready_after_s.map(|after| language.span(after)) {
        Some(after) => language.pick(format!("ready after {after}"), format!("готов через {after}")),
        None => language.pick("never ready", "готов не был").to_owned(),
    };
    language.pick(
        format!("{uptime}, {ready}; pid {pid}, epoch {epoch}; {kind}, {model}"),
        format!("{uptime}, {ready}; pid {pid}, эпоха {epoch}; {kind}, {model}"),
    )
}

fn memory(report: &Report, language: Language) -> String {
    let mut parts = Vec::new();
    match &report.usage {
        Some(Usage { memory_bytes, peak_bytes, looked_s_before, processors, .. }) => {
            let (now, peak) = (language.size(*memory_bytes), language.size(*peak_bytes));
            let before = language.span(*looked_s_before);
            parts.push(language.pick(
                format!("{now} when last looked at, {before} before; at most {peak}"),
                format!("{now} при последнем замере, за {before} до падения; не больше {peak}"),
            ));
            if let Some(busy) = processors {
                let busy = format!("{busy:.1}");
                parts.push(language.pick(format!("{busy} processors busy"), format!("занято процессоров: {busy}")));
            }
        }
        None => parts.push(language.pick("not looked at yet", "замерить не успели").to_owned()),
    }
    if let Some(total) = report.machine.memory_total {
        let total = language.size(total);
        parts.push(match report.machine.memory_available.map(|left| language.size(left)) {
            Some(left) => language.pick(
                format!("a moment later the machine had {left} of {total} free"),
                format!("сразу после на машине было свободно {left} из {total}"),
            ),
            None => language.pick(format!("the machine has {total}"), format!("у машины всего {total}")),
        });
    }
    if let Some(limit) = report.machine.memory_limit.map(|limit| language.size(limit)) {
        parts.push(language.pick(format!("the limit for all of it is {limit}"), format!("общий предел — {limit}")));
    }
    if let Some(kills) = report.machine.oom_kills.filter(|kills| *kills > 0) {
        parts.push(language.pick(
            format!("kills by the kernel for want of memory: {kills}"),
            format!("завершено ядром из-за нехватки памяти: {kills}"),
        ));
    }
    parts.join("; ")
}

/// What mlx-tree did.
fn decision(report: &Report, language: Language) -> String {
    let mut parts = Vec::new();
    if report.breaker.before == BreakerState::HalfOpen {
        parts.push(language.pick("this start was the breaker's trial", "этот запуск был пробным").to_owned());
    }
    parts.push(match &report.decision {
        Some(Decision::Restart { delay_s, consecutive }) => {
            let delay = language.span(*delay_s);
            language.pick(
                format!("restart after {delay} (failures in a row: {consecutive})"),
                format!("перезапуск через {delay} (сбоев подряд: {consecutive})"),
            )
        }
        Some(Decision::Suspend { reason, open_for_s: Some(wait) }) => {
            let (wait, reason) = (language.span(*wait), language.say(reason));
            language.pick(
                format!("opened the breaker for {wait}, then tries one start: {reason}"),
                format!("breaker разомкнут на {wait}, потом один пробный запуск: {reason}"),
            )
        }
        Some(Decision::Suspend { reason, open_for_s: None }) => {
            let reason = language.say(reason);
            language.pick(
                format!("opened the breaker until `mlx-tree reset`: {reason}"),
                format!("breaker разомкнут до `mlx-tree reset`: {reason}"),
            )
        }
        None => language.pick("did not restart it", "не стал его перезапускать").to_owned(),
    });
    parts.push(match &report.recovery {
        Some(recovery) => {
            let after = language.span(recovery.after_s);
            language.pick(format!("ready again after {after}"), format!("снова готов через {after}"))
        }
        None => language.pick("it was not ready again yet", "ещё не вернулся").to_owned(),
    });
    parts.join("; ")
}

#[cfg(test)]
mod tests;
