//! What is known and what is shown of it, as a pure machine: a message and the time in, an effect out.
//!
//! ```text
//!                  status heard
//!   Searching ───────────────────▶ Connected
//!       │                           │     ▲
//!       └──────── Lost ◀── gone ────┘     │ status heard
//!                   └─────────────────────┘     (the last picture stays, and says so)
//! ```

mod keys;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mlx_tree_api::{Event, Kind, Language, Level, Status, Trend, narrate};
use mlx_tree_control::Verb;

pub use self::keys::Key;
use crate::text::clean;

/// So many events and lines of the log are kept.
const KEPT: usize = 1000;
/// So many ends of servers are kept.
const EXITS: usize = 20;
/// An outcome is shown for so long.
const NOTE_FOR: Duration = Duration::from_secs(8);

/// What the user has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The language of everything.
    pub language: Language,
    /// Whether there are colours.
    pub colors: Colors,
    /// Whether the mouse is listened to.
    pub pointer: Pointer,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// The sixteen that every terminal has.
    Sixteen,
    /// None; words and letters in bold say it all.
    None,
}

/// Whether the mouse is listened to. While it is, the terminal's own selection of text needs the shift key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointer {
    /// The wheel scrolls, a click chooses a tab.
    On,
    /// It stays the terminal's.
    Off,
}

/// Whether mlx-tree answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It has not answered yet.
    Searching,
    /// It answers.
    Connected,
    /// It does not, and why.
    Lost(String),
}

/// What is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Everything at a glance.
    Overview,
    /// What has happened.
    Events,
    /// What the server wrote.
    Log,
}

/// What happens to the model.
#[derive(Debug)]
pub enum Message {
    /// mlx-tree has answered.
    Status(Box<Status>),
    /// It has told what was measured lately.
    Trend(Trend),
    /// Something has happened there.
    Event(Box<Event>),
    /// So many events were missed.
    Missed(u64),
    /// Another mlx-tree answers.
    Restarted,
    /// The server has written these lines.
    Lines(Vec<String>),
    /// The lines of the server are told from their beginning: those that are here are among them.
    LinesAnew,
    /// mlx-tree does not answer.
    Unreachable(String),
    /// A verb has been carried out, or has not.
    Performed(Verb, Result<String, String>),
    /// A key.
    Key(Key),
    /// The wheel: so many lines down.
    Scrolled(i16),
    /// A click on this column of the line with the tabs.
    Clicked(u16),
    /// The size of the terminal has changed.
    Resized,
    /// A second has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing more than to draw.
    Draw,
    /// End.
    Quit,
    /// End as by Ctrl-C.
    Interrupt,
    /// Go to the background until somebody brings it back.
    Suspend,
    /// Have this carried out.
    Perform(Verb),
}

/// What is known, and what is shown of it.
#[derive(Debug)]
pub struct Model {
    pub(crate) options: Options,
    pub(crate) link: Link,
    pub(crate) status: Option<(Status, Instant)>,
    pub(crate) trend: Trend,
    pub(crate) events: VecDeque<Told>,
    pub(crate) exits: VecDeque<Told>,
    pub(crate) lines: VecDeque<String>,
    pub(crate) tab: Tab,
    /// So many lines above the end, of events and of the log.
    pub(crate) above: [usize; 2],
    /// Which of several servers is looked at.
    pub(crate) server: usize,
    pub(crate) help: Help,
    /// This verb waits for a yes.
    pub(crate) asking: Option<Verb>,
    /// This verb is being carried out.
    pub(crate) performing: Option<Verb>,
    pub(crate) note: Option<(Note, Instant)>,
}

/// Whether the keys are explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Help {
    Hidden,
    Shown,
}

/// What came of a verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    Good(String),
    Bad(String),
}

/// An event in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The time of day, in UTC.
    pub(crate) at: String,
    pub(crate) level: Level,
    pub(crate) text: String,
}

// === impl Tab ===

impl Tab {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Overview, Self::Events, Self::Log];

    pub(crate) fn name(self, language: Language) -> &'static str {
        match self {
            Self::Overview => language.pick("Overview", "Обзор"),
            Self::Events => language.pick("Events", "События"),
            Self::Log => language.pick("Log", "Журнал"),
        }
    }

    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or_default();
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

// === impl Model ===

impl Model {
    /// One that knows nothing yet.
    #[must_use]
    pub const fn new(options: Options) -> Self {
        Self {
            options,
            link: Link::Searching,
            status: None,
            trend: Trend { step_s: 0.0, servers: Vec::new() },
            events: VecDeque::new(),
            exits: VecDeque::new(),
            lines: VecDeque::new(),
            tab: Tab::Overview,
            above: [0; 2],
            server: 0,
            help: Help::Hidden,
            asking: None,
            performing: None,
            note: None,
        }
    }

    /// Takes in what has happened, and says what is to be done.
    #[must_use]
    pub fn update(&mut self, message: Message, now: Instant) -> Effect {
        match message {
            Message::Status(status) => {
                self.link = Link::Connected;
                self.server = self.server.min(status.servers.len().saturating_sub(1));
                self.status = Some((*status, now));
            }
            Message::Trend(trend) => self.trend = trend,
            Message::Event(event) => self.hear(&event),
            Message::Missed(count) => {
                let language = self.options.language;
                self.mark(language.pick(format!("… {count} events lost …"), format!("… событий пропущено: {count} …")));
            }
            Message::Restarted => {
                let text = self.options.language.pick("— another mlx-tree —", "— другой mlx-tree —");
                self.mark(text.to_owned());
            }
            Message::Lines(lines) => {
                for line in lines {
                    keep(&mut self.lines, clean(&line), KEPT);
                    self.hold(Tab::Log);
                }
            }
            Message::LinesAnew => self.lines.clear(),
            Message::Unreachable(why) => self.link = Link::Lost(why),
            Message::Performed(verb, outcome) => {
                self.performing = None;
                let note = match outcome {
                    Ok(said) => Note::Good(format!("{verb}: {}", clean(&said))),
                    Err(why) => Note::Bad(format!("{verb}: {}", clean(&why))),
                };
                self.note = Some((note, now));
            }
            Message::Key(key) => return self.press(key),
            Message::Scrolled(lines) => self.scroll(isize::from(lines)),
            Message::Clicked(column) => {
                if let Some(tab) = crate::view::tab_at(column, self.options.language) {
                    self.tab = tab;
                }
            }
            Message::Resized => {}
            Message::Tick => {
                if self.note.as_ref().is_some_and(|(_, since)| now.saturating_duration_since(*since) >= NOTE_FOR) {
                    self.note = None;
                }
            }
        }
        Effect::Draw
    }

    fn hear(&mut self, event: &Event) {
        let Some(text) = narrate(event, self.options.language) else { return };
        // Without its picture, of which terminals do not agree how wide it is. Its colour says the same.
        let text = text.split_once(' ').map_or(text.as_str(), |(_, rest)| rest);
        let at = event.at.get(11..19).unwrap_or_default().to_owned();
        let text = text.replace("\n   ↳", " ↳");
        let told = Told { at, level: event.kind.level(), text: clean(&text) };
        if let Kind::ServerExited { message, cause, .. } = &event.kind {
            let cause = cause.as_ref().map_or_else(String::new, |cause| format!(" ↳ {cause}"));
            let message = self.options.language.say(message);
            let text = clean(&format!("{} #{}: {message}{cause}", event.child, event.epoch));
            keep(&mut self.exits, Told { text, ..told.clone() }, EXITS);
        }
        keep(&mut self.events, told, KEPT);
        self.hold(Tab::Events);
    }

    fn mark(&mut self, text: String) {
        keep(&mut self.events, Told { at: String::new(), level: Level::Debug, text }, KEPT);
        self.hold(Tab::Events);
    }

    /// What is read stays where it is while more comes below it.
    fn hold(&mut self, tab: Tab) {
        let length = self.length(tab);
        if let Some(above) = self.above_mut(tab)
            && *above > 0
        {
            *above = (*above + 1).min(length);
        }
    }

    fn scroll(&mut self, down: isize) {
        let (tab, length) = (self.tab, self.length(self.tab));
        match self.above_mut(tab) {
            Some(above) => *above = above.saturating_add_signed(-down).min(length.saturating_sub(1)),
            None => {
                let servers = self.status.as_ref().map_or(0, |(status, _)| status.servers.len());
                self.server = self.server.saturating_add_signed(down.signum()).min(servers.saturating_sub(1));
            }
        }
    }

    fn length(&self, tab: Tab) -> usize {
        match tab {
            Tab::Overview => 0,
            Tab::Events => self.events.len(),
            Tab::Log => self.lines.len(),
        }
    }

    const fn above_mut(&mut self, tab: Tab) -> Option<&mut usize> {
        match tab {
            Tab::Overview => None,
            Tab::Events => Some(&mut self.above[0]),
            Tab::Log => Some(&mut self.above[1]),
        }
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests;
