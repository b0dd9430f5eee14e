//! Colours: the sixteen that every terminal has, or none. What they say, the words beside them say too.

use ratatui::style::{Color, Modifier, Style as Painted};
use ratatui::text::Span;

use crate::model::Colors;

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Faint,
    Strong,
    Good,
    Doubt,
    Bad,
    Chosen,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style(Colors);

// === impl Style ===

impl Style {
    pub(super) const fn of(colors: Colors) -> Self {
        Self(colors)
    }

    pub(super) fn span<'a>(self, text: impl Into<std::borrow::Cow<'a, str>>, tone: Tone) -> Span<'a> {
        Span::styled(text, self.painted(tone))
    }

    fn painted(self, tone: Tone) -> Painted {
        let plain = Painted::new();
        let colored = |color| match self.0 {
            Colors::Sixteen => plain.fg(color),
            Colors::None => plain,
        };
        match tone {
            Tone::Plain => plain,
            Tone::Faint => match self.0 {
                Colors::Sixteen => plain.fg(Color::DarkGray),
                Colors::None => plain.add_modifier(Modifier::DIM),
            },
            Tone::Strong => plain.add_modifier(Modifier::BOLD),
            Tone::Good => colored(Color::Green),
            Tone::Doubt => colored(Color::Yellow),
            Tone::Bad => colored(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Chosen => plain.add_modifier(Modifier::REVERSED),
        }
    }
}
