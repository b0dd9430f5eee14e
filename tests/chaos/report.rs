//! The tables.

use std::time::Duration;

use super::faults;
use super::invariants::Finding;
use super::outcome::{KINDS, Seen, Way, count, failed, percentile, share, to_f64, words};
use super::{Load, Record};
use crate::support::say;

const WAYS: [(Way, &str); 3] =
    [(Way::Plain, "plain"), (Way::Greedy, "greedy stream"), (Way::Sampled, "sampled stream")];

/// What clients saw of one front.
pub fn outcomes(name: &str, record: &Record) {
    say(&format!("\n{name}: what clients saw\n{:<28}{:>16}{:>16}{:>16}", "", WAYS[0].1, WAYS[1].1, WAYS[2].1));
    let of = |way| record.seen.iter().filter(|seen| seen.way == way).collect::<Vec<_>>();
    let ways = WAYS.map(|(way, _)| of(way));
    let row =
        |label: &str, cells: [String; 3]| say(&format!("{label:<28}{:>16}{:>16}{:>16}", cells[0], cells[1], cells[2]));
    row("asked", ways.each_ref().map(|seen| seen.len().to_string()));
    for kind in KINDS {
        row(kind, ways.each_ref().map(|seen| count(seen, kind).to_string()));
    }
    row("failed", ways.each_ref().map(|seen| format!("{:.1} %", failed(seen))));
    row("replayed, as they say", ways.each_ref().map(|seen| seen.iter().filter(|it| it.replayed).count().to_string()));
    row(
        "continued, as they say",
        ways.each_ref().map(|seen| seen.iter().filter(|it| it.continued).count().to_string()),
    );
    for (label, percent) in [("whole answer, p50", 50), ("whole answer, p99", 99)] {
        row(label, ways.each_ref().map(|seen| shown(percentile(&mut spans(seen, |it| it.ended), percent))));
    }
    row(
        "first token, p50",
        ways.each_ref().map(|seen| {
            let mut spans: Vec<_> = seen.iter().filter_map(|it| Some(it.first? - it.begun)).collect();
            shown(percentile(&mut spans, 50))
        }),
    );
    for (word, times) in words(&record.seen) {
        say(&format!("  {times} × {word}"));
    }
}

/// How long the clients had nothing after each kind of fault.
pub fn silences(record: &Record) {
    say(&format!(
        "\nafter a fault{:>13}{:>16}{:>16}{:>16}",
        "times", "ready, median", "token, median", "token, longest"
    ));
    for fault in faults::ALL {
        let numbers: Vec<_> = (0..record.strikes.len()).filter(|at| record.strikes[*at].fault == fault).collect();
        if numbers.is_empty() {
            continue;
        }
        let mut silences: Vec<_> = numbers.iter().map(|at| record.silence_after(*at)).collect();
        let mut ready: Vec<_> = numbers.iter().filter_map(|at| record.strikes[*at].ready_after).collect();
        say(&format!(
            "  {:<12}{:>12}{:>16}{:>16}{:>16}",
            fault.name(),
            numbers.len(),
            shown(percentile(&mut ready, 50)),
            shown(percentile(&mut silences, 50)),
            shown(percentile(&mut silences, 100))
        ));
    }
}

/// The fronts beside each other; the ratios are to the first one.
pub fn beside(records: &[(String, Record)], load: &Load) {
    say(&format!(
        "\n{:<12}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}{:>10}",
        "", "faults", "plain", "streams", "of cut", "silently", "whole", "× first", "p99", "token"
    ));
    say(&format!(
        "{:<12}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}{:>10}",
        "", "", "failed", "failed", "disguised", "cut", "a second", "", "", "after"
    ));
    let rate = |record: &Record| {
        let all: Vec<_> = record.seen.iter().collect();
        to_f64(count(&all, KINDS[0])) / (record.end - record.start).as_secs_f64()
    };
    let first = records.first().map_or(1.0, |(_, record)| rate(record));
    for (name, record) in records {
        let plain: Vec<_> = record.seen.iter().filter(|it| it.way == Way::Plain).collect();
        let streams: Vec<_> = record.seen.iter().filter(|it| it.way != Way::Plain).collect();
        let all: Vec<_> = record.seen.iter().collect();
        let cut = all.iter().filter(|it| it.outcome.is_cut()).count();
        let mut silences: Vec<_> = (0..record.strikes.len()).map(|at| record.silence_after(at)).collect();
        say(&format!(
            "{name:<12}{:>8}{:>8.1} %{:>8.1} %{:>10}{:>10}{:>10.1}{:>10.2}{:>9}{:>10}",
            record.strikes.len(),
            failed(&plain),
            failed(&streams),
            format!("{} of {cut}", count(&all, KINDS[6])),
            count(&all, KINDS[5]),
            rate(record),
            rate(record) / first,
            shown(percentile(&mut spans(&all, |it| it.ended), 99)),
            shown(percentile(&mut silences, 50)),
        ));
    }
    let share = share(1, load.clients);
    say(&format!(
        "  ({} clients, each {share:.1} % of the load; token after: median of the silences after a fault)",
        load.clients
    ));
}

/// What holds and what does not. Answers whether all of it does.
pub fn findings(found: &[Finding]) -> bool {
    say("");
    for it in found {
        say(&format!("{:<8} {:<4} {}", it.name, if it.holds { "ok" } else { "NOT" }, it.seen));
    }
    found.iter().all(|it| it.holds)
}

fn spans(seen: &[&Seen], to: impl Fn(&Seen) -> std::time::Instant) -> Vec<Duration> {
    seen.iter().filter(|it| it.outcome.kind() == KINDS[0]).map(|it| to(it) - it.begun).collect()
}

fn shown(span: Option<Duration>) -> String {
    match span {
        None => "–".to_owned(),
        Some(span) if span < Duration::from_secs(1) => format!("{} ms", span.as_millis()),
        Some(span) => format!("{:.2} s", span.as_secs_f64()),
    }
}
