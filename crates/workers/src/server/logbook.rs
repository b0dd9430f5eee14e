//! The last lines that the server wrote, over all its lives, for those who ask and those who watch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

/// How many lines are remembered.
const LINES: usize = 2000;
/// How many bytes they may hold together.
const BYTES: usize = 256 * 1024;
/// How far a live watcher may lag behind.
const LIVE: usize = 256;

/// Remembers and distributes lines. Cheap to clone; all clones are one book.
#[derive(Debug, Clone)]
pub struct LogBook {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lines: Mutex<Lines>,
    live: broadcast::Sender<String>,
    /// The book of the whole tree, and what its lines from here begin with.
    above: Option<(LogBook, String)>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Each with the incarnation that wrote it.
    kept: VecDeque<(u64, String)>,
    bytes: usize,
}

// === impl LogBook ===

impl LogBook {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None)
    }

    /// An empty book whose lines are also written into `above`, each with the name of its server before it.
    #[must_use]
    pub fn within(above: &Self, name: &str) -> Self {
        Self::with(Some((above.clone(), format!("[{name}] "))))
    }

    fn with(above: Option<(Self, String)>) -> Self {
        let (live, _) = broadcast::channel(LIVE);
        Self { shared: Arc::new(Shared { lines: Mutex::default(), live, above }) }
    }

    /// Adds a line of incarnation `epoch`; the oldest ones go when there are too many.
    pub fn push(&self, epoch: u64, line: String) {
        if let Some((above, name)) = &self.shared.above {
            above.push(epoch, format!("{name}{line}"));
        }
        let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.bytes += line.len();
        lines.kept.push_back((epoch, line.clone()));
        while lines.kept.len() > LINES || lines.bytes > BYTES {
            let Some((_, oldest)) = lines.kept.pop_front() else { break };
            lines.bytes -= oldest.len();
        }
        let _ = self.shared.live.send(line);
    }

    /// The remembered lines, oldest first, and those to come.
    #[must_use]
    pub fn read(&self) -> (Vec<String>, broadcast::Receiver<String>) {
        let lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (lines.kept.iter().map(|(_, line)| line.clone()).collect(), self.shared.live.subscribe())
    }

    /// The last lines of incarnation `epoch`, at most so many, oldest first.
    #[must_use]
    pub fn last_lines(&self, epoch: u64, most: usize) -> Vec<String> {
        let lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = lines.kept.iter().rev().filter(|(of, _)| *of == epoch).take(most);
        let mut last: Vec<_> = of_it.map(|(_, line)| line.clone()).collect();
        last.reverse();
        last
    }
}

impl Default for LogBook {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_of_the_tree_has_the_lines_of_all_servers_with_their_names() {
        let all = LogBook::new();
        let (one, two) = (LogBook::within(&all, "one"), LogBook::within(&all, "two"));
        one.push(1, "hello".to_owned());
        two.push(1, "hi".to_owned());
        assert_eq!((one.read().0, two.read().0), (vec!["hello".to_owned()], vec!["hi".to_owned()]));
        assert_eq!(all.read().0, ["[one] hello", "[two] hi"]);
    }

    #[test]
    fn the_lines_of_one_life_are_told_from_those_of_another() {
        let book = LogBook::new();
        for (epoch, line) in [(1, "one"), (1, "two"), (2, "other"), (1, "late")] {
            book.push(epoch, line.to_owned());
        }
        assert_eq!(book.last_lines(1, 2), ["two", "late"]);
        assert_eq!(book.last_lines(2, 9), ["other"]);
        assert!(book.last_lines(3, 9).is_empty());
    }

    #[test]
    fn a_flood_is_remembered_by_its_end_only() {
        let book = LogBook::new();
        for n in 0..10_000 {
            book.push(1, format!("{n} {}", "x".repeat(100)));
        }
        let (lines, _) = book.read();
        let bytes: usize = lines.iter().map(String::len).sum();
        assert!(lines.len() <= LINES && bytes <= BYTES, "{} lines, {bytes} bytes", lines.len());
        assert!(lines.last().is_some_and(|line| line.starts_with("9999 ")));
    }
}
