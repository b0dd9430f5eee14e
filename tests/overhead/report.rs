//! The table.

use super::contestants::{Contestant, Memory};
use super::measure::{Line, Numbers, Round, median};
use crate::support::say;

/// Medians of the rounds; what is added is added to asking directly.
pub fn table(contestants: &[Contestant], numbers: &mut [Numbers], round: &Round) {
    let lines: [(&str, Pick); 3] = [
        ("plain, 1 connection", |it| &mut it.alone),
        ("plain, many connections", |it| &mut it.together),
        ("stream at once, 1 connection", |it| &mut it.at_once),
    ];
    for (title, line) in lines {
        let title = title.replace("many", &round.connections.to_string());
        say(&format!(
            "\n{title:<32}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}{:>9}",
            "p50 ms", "p99 ms", "+ p50", "+ p99", "× nginx", "a second", "work µs", "× nginx"
        ));
        let seen: Vec<_> = numbers.iter_mut().map(|it| Shown::of(line(it))).collect();
        let nginx = contestants.iter().position(|it| it.name == "nginx");
        for (contestant, shown) in contestants.iter().zip(&seen) {
            let (p50, p99) = (shown.p50 - seen[0].p50, shown.p99 - seen[0].p99);
            let ratio = nginx.map(|at| p50 / (seen[at].p50 - seen[0].p50));
            say(&format!(
                "  {:<30}{:>9.3}{:>9.3}{p50:>9.3}{p99:>9.3}{:>9}{:>10.0}{:>9.1}{:>9}",
                contestant.name,
                shown.p50,
                shown.p99,
                times(ratio.filter(|_| contestant.name != "direct")),
                shown.per_second,
                shown.work,
                times(nginx.filter(|_| contestant.name != "direct").map(|at| shown.work / seen[at].work))
            ));
        }
    }
    say(&format!(
        "\n{:<32}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}",
        "paced stream, 4 at a time", "first ms", "first99", "token ms", "token99", "+ token", "× nginx"
    ));
    let seen: Vec<_> = numbers
        .iter_mut()
        .map(|it| [&mut it.first.0, &mut it.first.1, &mut it.delays.0, &mut it.delays.1].map(|list| median(list)))
        .collect();
    let nginx = contestants.iter().position(|it| it.name == "nginx");
    for (contestant, shown) in contestants.iter().zip(&seen) {
        let added = shown[2] - seen[0][2];
        let ratio = nginx.map(|at| added / (seen[at][2] - seen[0][2]));
        say(&format!(
            "  {:<30}{:>9.3}{:>9.3}{:>9.3}{:>9.3}{added:>10.3}{:>9}",
            contestant.name,
            shown[0],
            shown[1],
            shown[2],
            shown[3],
            times(ratio.filter(|_| contestant.name != "direct"))
        ));
    }
    for (contestant, numbers) in contestants.iter().zip(&*numbers).filter(|(_, numbers)| numbers.errors > 0) {
        say(&format!("{}: {} requests or streams went wrong", contestant.name, numbers.errors));
    }
}

/// Resident memory, all processes together.
pub fn memory(contestants: &[Contestant], memory: &[Option<Memory>], streams: usize) {
    say(&format!(
        "\n{:<32}{:>9}{:>14}{:>14}",
        "resident memory, MB",
        "idle",
        format!("{streams} streams"),
        "kB a stream"
    ));
    let megabytes = |bytes: u64| f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0;
    for (contestant, memory) in contestants.iter().zip(memory) {
        let Some(memory) = memory else { continue };
        let each = megabytes(memory.open.saturating_sub(memory.idle)) * 1024.0
            / f64::from(u32::try_from(streams.max(1)).unwrap_or(u32::MAX));
        say(&format!(
            "  {:<30}{:>9.1}{:>14.1}{each:>14.1}",
            contestant.name,
            megabytes(memory.idle),
            megabytes(memory.open)
        ));
    }
}

/// A line out of all numbers.
type Pick = fn(&mut Numbers) -> &mut Line;

/// Medians over the rounds.
struct Shown {
    p50: f64,
    p99: f64,
    per_second: f64,
    work: f64,
}

// === impl Shown ===

impl Shown {
    fn of(line: &mut Line) -> Self {
        let [p50, p99, per_second, work] =
            [&mut line.p50, &mut line.p99, &mut line.per_second, &mut line.work].map(|list| median(list));
        Self { p50, p99, per_second, work }
    }
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
}
