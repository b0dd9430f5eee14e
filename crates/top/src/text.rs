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
    fn nothing_that_a_server_wrote_moves_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\r\tc\u{202e}"), "a [2Jb  c");
    }
}
