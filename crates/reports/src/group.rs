//! Ends that say the same, one after the other, are told once.

use jiff::Timestamp;

use crate::report::{How, Report};

/// Reports of one server that say the same, with no other end of it in between.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// The newest of them.
    pub last: &'a Report,
    /// How many there are.
    pub count: usize,
    /// Seconds from the first to the last.
    pub within_s: f64,
}

/// Groups `reports`, which are oldest first; the answer is newest first.
#[must_use]
pub fn group(reports: &[Report]) -> Vec<Group<'_>> {
    let mut groups: Vec<(Group<'_>, &Report)> = Vec::new();
    for report in reports {
        // Several servers go down in turn; what counts is what the same one did before.
        let before = groups.iter().rposition(|(group, _)| group.last.server == report.server);
        match before {
            Some(at) if same(groups[at].0.last, report) => {
                let (group, first) = groups.remove(at);
                let within_s = seconds(&report.at).unwrap_or(0.0) - seconds(&first.at).unwrap_or(0.0);
                groups.push((Group { last: report, count: group.count + 1, within_s: within_s.max(0.0) }, first));
            }
            Some(_) | None => groups.push((Group { last: report, count: 1, within_s: 0.0 }, report)),
        }
    }
    groups.into_iter().rev().map(|(group, _)| group).collect()
}

/// Seconds since 1970.
pub(crate) fn seconds(stamp: &str) -> Option<f64> {
    let stamp: Timestamp = stamp.parse().ok()?;
    Some(stamp.as_duration().as_secs_f64())
}

fn same(one: &Report, other: &Report) -> bool {
    let kind = |how: &How| std::mem::discriminant(how);
    let code = |how: &How| match how {
        How::Code { code } => Some(*code),
        How::Signal { signal } => Some(*signal),
        How::Canary | How::Stall | How::Health | How::Memory | How::StartTimeout | How::NotStarted | How::Unknown => {
            None
        }
    };
    one.reason == other.reason
        && kind(&one.how) == kind(&other.how)
        && code(&one.how) == code(&other.how)
        && one.killed_for_memory() == other.killed_for_memory()
        && one.cause.as_deref().map(plain) == other.cause.as_deref().map(plain)
}

/// Without numbers: stamps, process ids and addresses differ each time.
fn plain(cause: &str) -> String {
    cause.chars().filter(|it| !it.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::report;

    fn at(minute: u32, server: &str, reason: &str) -> Report {
        let at = format!("2026-01-01T00:{minute:02}:00Z");
        let cause = Some(format!("ValueError: at 0x{minute}"));
        Report { at, server: server.to_owned(), reason: reason.to_owned(), cause, ..report("id") }
    }

    #[test]
    fn ends_that_say_the_same_are_one_group_and_others_begin_another() {
        let reports = [
            at(0, "a", "crashed"),
            at(1, "a", "crashed"),
            at(2, "b", "killed"),
            at(3, "a", "crashed"),
            at(4, "a", "killed"),
            at(5, "a", "crashed"),
        ];
        let told: Vec<_> = group(&reports)
            .iter()
            .map(|it| (it.last.server.clone(), it.last.reason.clone(), it.count, it.within_s))
            .collect();
        let said = |server: &str, reason: &str, count, within| (server.to_owned(), reason.to_owned(), count, within);
        assert_eq!(
            told,
            [
                said("a", "crashed", 1, 0.0),
                said("a", "killed", 1, 0.0),
                said("a", "crashed", 3, 180.0),
                said("b", "killed", 1, 0.0)
            ]
        );
    }
}
