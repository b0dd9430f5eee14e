//! Texts and numbers as they stand on a screen.

/// The bars of a plot, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Longer lines are cut: nobody reads them here.
const LONGEST: usize = 1000;

/// One line without anything that would move the cursor or turn the direction of writing.
pub(crate) fn clean(text: &str) -> String {
    let turns =
        |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let shown = text.chars().filter(|c| !turns(*c)).map(|c| if c.is_control() { ' ' } else { c });
    shown.take(LONGEST).collect()
}

/// `text`, with a sign that there is more if it is longer than `width`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `text` in at most so many lines of so many columns, folded between words; a word that is longer than a line, within.
pub(crate) fn folded(text: &str, width: usize, most: usize) -> Vec<String> {
    let width = width.max(10);
    let mut lines = vec![String::new()];
    let mut taken = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut rest: Vec<char> = word.chars().collect();
        if taken > 0 && taken + 1 + rest.len() > width {
            lines.push(String::new());
            taken = 0;
        }
        while taken == 0 && rest.len() > width {
            let more = rest.split_off(width);
            lines.push(String::new());
            let last = lines.len() - 2;
            lines[last].extend(rest);
            rest = more;
        }
        let line = lines.last_mut().expect("there is always one");
        if taken > 0 {
            line.push(' ');
            taken += 1;
        }
        taken += rest.len();
        line.extend(rest);
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} …"), width);
        }
    }
    lines
}

/// The last values as bars, as many as `width`; the highest of them fills its cell.
pub(crate) fn spark(values: &[f64], width: usize) -> String {
    let shown = &values[values.len().saturating_sub(width)..];
    let highest = shown.iter().copied().fold(0.0_f64, f64::max);
    let bar = |value: &f64| {
        if highest <= 0.0 || *value <= 0.0 {
            return BARS[0];
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        let at = (value / highest * 7.0).round() as usize;
        BARS[at.min(7)]
    };
    shown.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_as_wide_as_there_is_room_and_the_highest_is_full() {
        assert_eq!(spark(&[0.0, 1.0, 2.0, 4.0], 10), "▁▃▅█");
        assert_eq!(spark(&[9.0, 1.0, 2.0], 2), "▅█");
        assert_eq!(spark(&[0.0, 0.0], 5), "▁▁");
        assert_eq!(spark(&[], 5), "");
    }

    #[test]
    fn a_long_text_is_folded_between_words_and_says_that_there_is_more() {
        assert_eq!(folded("one two three four", 10, 9), ["one two", "three four"]);
        assert_eq!(folded("abcdefghijklmnopqrstuvw x", 10, 9), ["abcdefghij", "klmnopqrst", "uvw x"]);
        assert_eq!(folded("one two three four five six", 10, 2), ["one two", "three fou…"]);
        assert_eq!(folded("", 10, 2), [""]);
        assert_eq!((cut("four", 4), cut("fives", 4)), ("four".to_owned(), "fiv…".to_owned()));
    }

    #[test]
    fn nothing_that_a_server_wrote_moves_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\r\tc\u{202e}"), "a [2Jb  c");
    }
}
