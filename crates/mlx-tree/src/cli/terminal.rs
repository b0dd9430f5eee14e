//! Text for people, folded at the width of their terminal. Where no terminal reads, every line stays whole, for `grep`.

use std::io::{self, IsTerminal as _};

use super::print;

/// With less room than this on a line, it is left to the terminal.
const NARROWEST: usize = 24;
/// What stands behind a gap no further right than this, stands in a column.
const LAST_COLUMN: usize = 32;

/// Prints `text`, folded if a terminal shows it.
pub(crate) fn show(text: &str) {
    let size = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    match size {
        // The last column is left free: some signs are wider than they say.
        Some((terminal_size::Width(columns), _)) => print(&fold(text, usize::from(columns).saturating_sub(1))),
        None => print(text),
    }
}

/// `text` with no line longer than `width`, as far as its words allow. What is folded goes on in the column in which it began.
fn fold(text: &str, width: usize) -> String {
    text.split('\n').map(|line| folded(line, width)).collect::<Vec<_>>().join("\n")
}

fn folded(line: &str, width: usize) -> String {
    let column = column(line);
    if line.chars().count() <= width || width < column + NARROWEST {
        return line.to_owned();
    }
    // Below a child, its trunk goes on.
    let trunk = if line.starts_with(['├', '│']) { "│" } else { "" };
    let hanging = format!("{trunk:column$}");
    let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let (mut lines, mut current) = (Vec::new(), line[..at].to_owned());
    let mut taken = column;
    let mut empty = true;
    for word in line[at..].split(' ') {
        let length = word.chars().count();
        if !empty && taken + 1 + length > width {
            lines.push(current.trim_end().to_owned());
            (current, taken, empty) = (hanging.clone(), column, true);
            // What stood between columns is no indentation.
            if word.is_empty() {
                continue;
            }
        }
        if !empty {
            current.push(' ');
            taken += 1;
        }
        current.push_str(word);
        taken += length;
        empty = taken == column;
    }
    lines.push(current.trim_end().to_owned());
    lines.join("\n")
}

/// Where the text of a line begins, behind its label if it has one.
fn column(line: &str) -> usize {
    let chars: Vec<char> = line.chars().collect();
    let is_space = |at: usize| chars.get(at).is_none_or(|c| *c == ' ');
    let begin = (0..chars.len()).find(|at| !is_space(*at)).unwrap_or(0);
    // A sign in front of a sentence hangs out of it.
    let sign = |at: usize| if chars.get(at).is_some_and(|c| matches!(c, '·' | '→' | '↳')) { 2 } else { 0 };
    if sign(begin) > 0 {
        return begin + sign(begin);
    }
    let gap = (begin + 1..chars.len().min(LAST_COLUMN)).find(|at| is_space(*at) && is_space(at + 1));
    let behind = gap.and_then(|gap| (gap..chars.len().min(LAST_COLUMN)).find(|at| !is_space(*at)));
    behind.map_or(begin + 2, |behind| behind + sign(behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_in_the_column_of_its_text() {
        let text = "\
server went down 28 s ago (2026-01-02 03:04:05 UTC): signal SIGKILL (9)
  what        Somebody sent it SIGKILL, and it was not mlx-tree: a person, or the system.
  you can     · was memory short? Compare its peak with what the machine has.
              · if it was by hand, there is nothing to do: `mlx-tree stop` stops it
✗ model          server: /models/one lacks tokenizer.json and five others
                 → download it again: hf download, or git lfs pull in it
├─ server    ✅ ready      pid 11190  epoch 2  restarts 1  ready for 55 s
│            last exit: killed: ended by SIGKILL, not sent by mlx-tree
    1 min 2 s ago  restart after 2 s: ended by SIGKILL, not sent by mlx-tree
";
        insta::assert_snapshot!(fold(text, 58), @"
        server went down 28 s ago (2026-01-02 03:04:05 UTC):
          signal SIGKILL (9)
          what        Somebody sent it SIGKILL, and it was not
                      mlx-tree: a person, or the system.
          you can     · was memory short? Compare its peak with
                        what the machine has.
                      · if it was by hand, there is nothing to do:
                        `mlx-tree stop` stops it
        ✗ model          server: /models/one lacks tokenizer.json
                         and five others
                         → download it again: hf download, or git
                           lfs pull in it
        ├─ server    ✅ ready      pid 11190  epoch 2  restarts 1
        │            ready for 55 s
        │            last exit: killed: ended by SIGKILL, not sent
        │            by mlx-tree
            1 min 2 s ago  restart after 2 s: ended by SIGKILL,
                           not sent by mlx-tree
        ");
    }

    #[test]
    fn what_fits_is_left_alone_and_no_word_is_lost() {
        let text = "short\n\n  what        a-word-that-is-longer-than-any-terminal-and-cannot-be-folded-at-all then\n";
        assert_eq!(fold(text, 200), text);
        assert_eq!(fold(text, 10), text, "too narrow for columns");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&fold(text, 50)), words(text));
        assert!(fold(text, 50).lines().all(|line| line == line.trim_end()));
    }
}
