//! What is sent: one notice, and what else there was to tell by then.

use mlx_tree_api::{Event, Kind, Language, Level, narrate};
use serde_json::{Value, json};

use crate::words;

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The machine.
    pub host: String,
    /// mlx-tree's process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The language of titles and texts.
    pub language: Language,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Different for every two notices of one mlx-tree; the same for each attempt to deliver it.
    pub id: String,
    /// When it happened, as an RFC 3339 stamp.
    pub at: String,
    /// The name of the event, such as `breaker.opened`.
    pub event: String,
    /// Who should care.
    pub level: Level,
    /// Whether it begins or ends.
    pub standing: Standing,
    /// The child that it is about.
    pub child: String,
    /// That child's incarnation; 0 where none is meant.
    pub epoch: u64,
    /// A few words.
    pub title: String,
    /// A sentence or two.
    pub text: String,
    /// What one can do about it.
    pub help: Option<String>,
    /// How often it has happened since it was last told; 1 for the first time.
    pub count: u32,
}

/// Whether something begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has happened.
    Raised,
    /// What was told before is over.
    Recovered,
    /// Nothing has happened: somebody tries whether notices arrive.
    Test,
}

/// A notice with what waited behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The oldest.
    pub notice: Notice,
    /// The ones after it, in their order, as far as there is room.
    pub others: Vec<Notice>,
    /// How many more there were.
    pub more: u32,
}

/// Longer texts are cut.
const LONGEST: usize = 600;

// === impl Source ===

impl Source {
    /// This machine and this process.
    #[must_use]
    pub fn here(version: &str, language: Language) -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let host = host.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned());
        Self { host: clean(&host), pid: std::process::id(), version: version.to_owned(), language }
    }
}

// === impl Notice ===

impl Notice {
    /// What `event` is to be told as.
    pub(crate) fn of(event: &Event, standing: Standing, source: &Source) -> Self {
        let language = source.language;
        // What follows on further lines was written by the server: that may be anything.
        let told = narrate(event, language).and_then(|told| told.lines().next().map(str::to_owned));
        // Without its picture: whoever shows a notice has one for how bad it is.
        let told = told.and_then(|told| told.split_once(' ').map(|(_, text)| text.to_owned()));
        Self {
            id: format!("{}-{}", source.pid, event.seq),
            at: event.at.clone(),
            event: event.kind.name().to_owned(),
            level: event.kind.level(),
            standing,
            child: clean(&event.child),
            epoch: event.epoch,
            title: words::title(&event.kind, language).to_owned(),
            text: clean(&told.unwrap_or_else(|| event.kind.name().to_owned())),
            help: words::help(&event.kind, standing, language).map(str::to_owned),
            count: 1,
        }
    }

    /// The server goes down again and again: `exits` times within some minutes, `event` being the last.
    pub(crate) fn of_repeated_exits(event: &Event, exits: usize, minutes: u64, source: &Source) -> Self {
        let language = source.language;
        Self {
            level: Level::Error,
            title: words::repeated(language).to_owned(),
            text: clean(&words::repeated_text(exits, minutes, language)),
            help: Some(words::why(language).to_owned()),
            ..Self::of(event, Standing::Raised, source)
        }
    }

    /// One to try whether notices arrive.
    pub(crate) fn sample(source: &Source, at: String) -> Self {
        let (title, text) = words::sample(source.language);
        Self {
            id: format!("{}-test", source.pid),
            at,
            event: "notify.test".to_owned(),
            level: Level::Info,
            standing: Standing::Test,
            child: "notify".to_owned(),
            epoch: 0,
            title: title.to_owned(),
            text: text.to_owned(),
            help: None,
            count: 1,
        }
    }
}

// === impl Standing ===

impl Standing {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Recovered => "recovered",
            Self::Test => "test",
        }
    }
}

// === impl Message ===

impl Message {
    /// One notice and nothing behind it.
    #[must_use]
    pub const fn single(notice: Notice) -> Self {
        Self { notice, others: Vec::new(), more: 0 }
    }

    /// How many notices it stands for.
    #[must_use]
    pub fn notices(&self) -> usize {
        1 + self.others.len() + self.more as usize
    }

    /// The JSON object of webhooks and commands.
    #[must_use]
    pub fn json(&self, source: &Source) -> Value {
        let mut object = one(&self.notice);
        let others: Vec<Value> = self.others.iter().map(one).collect();
        if let Value::Object(fields) = &mut object {
            fields.insert("others".to_owned(), json!(others));
            fields.insert("more".to_owned(), json!(self.more));
            fields.insert(
                "source".to_owned(),
                json!({ "host": source.host, "pid": source.pid, "version": source.version }),
            );
        }
        object
    }

    /// The title, with the machine that it comes from.
    #[must_use]
    pub fn title(&self, source: &Source) -> String {
        format!("mlx-tree · {}: {}", source.host, self.notice.title)
    }

    /// All but the title, a line each.
    #[must_use]
    pub fn lines(&self, language: Language) -> Vec<String> {
        let mut lines = vec![counted(&self.notice, language)];
        lines.extend(self.notice.help.clone());
        lines.extend(self.others.iter().map(|other| counted(other, language)));
        lines.extend((self.more > 0).then(|| words::and_more(self.more, language)));
        lines
    }
}

fn counted(notice: &Notice, language: Language) -> String {
    match notice.count {
        0 | 1 => notice.text.clone(),
        count => format!("{} ({})", notice.text, words::times(count, language)),
    }
}

fn one(notice: &Notice) -> Value {
    json!({
        "id": notice.id,
        "at": notice.at,
        "event": notice.event,
        "level": notice.level,
        "status": notice.standing.as_str(),
        "child": notice.child,
        "epoch": notice.epoch,
        "title": notice.title,
        "text": notice.text,
        "help": notice.help,
        "count": notice.count,
    })
}

/// Text that can be shown anywhere: one line, no control characters, nothing that turns the direction of writing, not too long.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if clean.len() >= LONGEST {
            clean.push('…');
            break;
        }
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
        if c.is_control() || turns {
            clean.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Whether this event is one of those that are counted, since a few of them are nothing.
pub(crate) const fn is_exit(kind: &Kind) -> bool {
    matches!(kind, Kind::ServerExited { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_paint_on_a_screen() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\u{202e}d"), "a\\u{1b}[31mb\\u{d}\\u{a}c\\u{202e}d");
        assert!(clean(&"ж".repeat(10_000)).len() < LONGEST + 10);
    }
}
