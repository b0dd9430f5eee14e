//! The requests that were with a server when it went down, and what became of them.

use mlx_tree_api::Language;

use crate::report::{Fate, Outcome, Report, Way};

/// So many are told one by one.
const TOLD: usize = 8;

/// All of them: how many, and a line each.
pub(super) fn requests(report: &Report, language: Language) -> String {
    let count = report.requests.len() as u64 + report.further_requests;
    if count == 0 {
        return language.pick("no request", "запросов не было").to_owned();
    }
    let mut lines = vec![language.pick(
        if count == 1 { "1 request".to_owned() } else { format!("{count} requests") },
        format!("запросов: {count}"),
    )];
    lines.extend(report.requests.iter().take(TOLD).map(|fate| one(fate, language)));
    let more = count.saturating_sub(TOLD as u64);
    if more > 0 {
        lines.push(language.pick(format!("… and {more} more"), format!("… и ещё {more}")));
    }
    lines.join("\n")
}

fn one(fate: &Fate, language: Language) -> String {
    let (request, since) = (&fate.request, language.span(fate.for_s));
    let became = became(fate, language);
    let code = fate.code.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
    let refused = fate.quarantined_s.map_or_else(String::new, |span_s| {
        let wait = language.span(span_s);
        language.pick(
            format!("; it was with two ends of the server, and its like is refused for {wait}"),
            format!("; он был при двух падениях подряд, и такие же отклоняются в течение {wait}"),
        )
    });
    language.pick(
        format!("{request}, begun {since} before: {became}{code}{refused}"),
        format!("{request}, начат за {since} до падения: {became}{code}{refused}"),
    )
}

fn became(fate: &Fate, language: Language) -> &'static str {
    match (fate.way, fate.outcome) {
        (Way::Not, Outcome::Open) => language.pick("waits", "ждёт"),
        (Way::Not, Outcome::Answered) => language.pick("answered all the same", "всё же получил ответ"),
        (Way::Replayed, Outcome::Open) => {
            language.pick("sent again, not answered yet", "отправлен снова, ответа ещё нет")
        }
        (Way::Replayed, Outcome::Answered) => language.pick(
            "sent again and answered; its client noticed only the wait",
            "отправлен снова и получил ответ; клиент заметил только ожидание",
        ),
        (Way::Continued, Outcome::Open) => language.pick("goes on where it was cut", "продолжается с места обрыва"),
        (Way::Continued, Outcome::Answered) => language
            .pick("continued where it was cut, and answered whole", "продолжен с места обрыва и получил ответ целиком"),
        (Way::Diverted, Outcome::Open) => language.pick("went to the fallback", "передан резерву"),
        (Way::Diverted, Outcome::Answered) => {
            language.pick("answered by the fallback, and labelled so", "ответил резерв, с пометкой")
        }
        (Way::Not, Outcome::Failed) => {
            language.pick("its client was told that it failed", "клиенту сообщено об ошибке")
        }
        (Way::Replayed | Way::Continued | Way::Diverted, Outcome::Failed) => language.pick(
            "sent again, and its client was told that it failed",
            "отправлен снова, и клиенту сообщено об ошибке",
        ),
        (Way::Not | Way::Replayed | Way::Continued | Way::Diverted, Outcome::Cut) => language.pick(
            "cut: its client had a part of the answer, and was told that the rest will not come",
            "оборван: клиент получил часть ответа и узнал, что остального не будет",
        ),
        (Way::Not | Way::Replayed | Way::Continued | Way::Diverted, Outcome::Left) => {
            language.pick("its client left", "клиент ушёл")
        }
    }
}
