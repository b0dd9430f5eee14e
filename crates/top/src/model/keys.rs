//! What each key does.

use mlx_tree_control::Verb;

use super::{Effect, Help, Link, Model, Tab};

/// A key, as far as any means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character, as it was typed.
    Char(char),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
    /// Esc.
    Escape,
    /// Enter.
    Enter,
    /// To the next tab.
    Next,
    /// To the one before.
    Previous,
    /// Up.
    Up,
    /// Down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
}

/// A page.
const PAGE: isize = 10;
/// More than there is.
const ALL: isize = 1 << 20;

/// Whether a yes is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    First,
    No,
}

impl Model {
    pub(super) fn press(&mut self, key: Key) -> Effect {
        if key == Key::Interrupt {
            return Effect::Interrupt;
        }
        if key == Key::Suspend {
            return Effect::Suspend;
        }
        if let Some(verb) = self.asking.take() {
            let yes = matches!(key, Key::Enter | Key::Char('y' | 'Y' | 'д' | 'Д'));
            return if yes { self.perform(verb) } else { Effect::Draw };
        }
        if self.help == Help::Shown {
            self.help = Help::Hidden;
            return Effect::Draw;
        }
        match key {
            Key::Char('q' | 'й') => return Effect::Quit,
            Key::Char('?' | 'h' | ',') => self.help = Help::Shown,
            Key::Char('s' | 'ы') => return self.want(Verb::Start, Ask::No),
            Key::Char('l' | 'д') => return self.want(Verb::Reload, Ask::No),
            Key::Char('S' | 'Ы') => return self.want(Verb::Stop, Ask::First),
            Key::Char('r' | 'к') => return self.want(Verb::Restart, Ask::First),
            Key::Char('d' | 'в') => return self.want(Verb::Drain, Ask::First),
            Key::Char('R' | 'К') => return self.want(Verb::Reset, Ask::First),
            Key::Char('1') => self.tab = Tab::Overview,
            Key::Char('2') => self.tab = Tab::Events,
            Key::Char('3') => self.tab = Tab::Log,
            Key::Char('k') | Key::Up => self.scroll(-1),
            Key::Char('j') | Key::Down => self.scroll(1),
            Key::Next => self.tab = self.tab.step(1),
            Key::Previous => self.tab = self.tab.step(Tab::ALL.len() - 1),
            Key::PageUp => self.scroll(-PAGE),
            Key::PageDown | Key::Char(' ') => self.scroll(PAGE),
            Key::Home | Key::Char('g') => self.scroll(-ALL),
            Key::End | Key::Char('G') => self.scroll(ALL),
            // What was said has been read.
            Key::Escape => self.note = None,
            Key::Char(_) | Key::Enter | Key::Interrupt | Key::Suspend => {}
        }
        Effect::Draw
    }

    fn want(&mut self, verb: Verb, ask: Ask) -> Effect {
        if self.link != Link::Connected || self.performing.is_some() {
            return Effect::Draw;
        }
        match ask {
            Ask::No => self.perform(verb),
            Ask::First => {
                self.asking = Some(verb);
                Effect::Draw
            }
        }
    }

    fn perform(&mut self, verb: Verb) -> Effect {
        self.performing = Some(verb);
        self.note = None;
        Effect::Perform(verb)
    }
}
