//! `[[notify]]`: who is told when something needs a human.

mod events;
mod url;

pub use url::SecretUrl;

use std::time::Duration;

use figment::value::{Dict, Value};

use crate::Environment;
use crate::layers::Found;
use crate::reader::Section;
use crate::secret::MASK;
use crate::value::{Choice, Reject, Shown, choice, duration, nearest, text, texts};

/// One who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    /// What it is called, in events and messages.
    pub name: String,
    /// How it is told.
    pub sink: NotifySink,
    /// What it is told.
    pub level: NotifyLevel,
    /// What it is told beside that: names of events, or of groups of them (`breaker.*`).
    pub events: Vec<String>,
    /// At most one message in so much time.
    pub min_interval: Duration,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifySink {
    /// A POST with a JSON object.
    Webhook(SecretUrl),
    /// A POST as Slack, Mattermost and Discord's `/slack` take it.
    Slack(SecretUrl),
    /// A program, which reads the JSON object. The words are given to it as they are, without a shell.
    Command(Vec<String>),
    /// A notification on the desktop of whoever is logged in.
    Desktop,
}

/// What somebody is told; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotifyLevel {
    /// What needs a human.
    Error,
    /// What has healed itself.
    Warn,
    /// What happens to the server.
    Info,
}

/// The kinds, for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Webhook,
    Slack,
    Command,
    Desktop,
}

/// Nobody needs more, and each is a task.
const MOST: usize = 16;

const KEYS: [&str; 7] = ["kind", "name", "url", "command", "level", "events", "min_interval"];

const HELP: &str = r#"a table for each, such as [[notify]] with kind = "slack" and url = "https://…" below it"#;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);

pub(super) fn read(section: &mut Section<'_, '_>, environment: &Environment) -> Vec<NotifySettings> {
    section.read_found("notify", |found| all(found, environment))
}

fn all(found: &Found, environment: &Environment) -> Result<Vec<NotifySettings>, Reject> {
    let no_list = || Reject::malformed("this is no list", "write [[notify]], with two brackets on each side");
    let items = found.value.as_array().ok_or_else(no_list)?;
    if items.len() > MOST {
        return Err(Reject::invalid("these are too many", format!("at most {MOST}")));
    }
    let mut all: Vec<NotifySettings> = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let table = item.as_dict().ok_or_else(|| Reject::malformed("this is no table", HELP).in_item(at + 1))?;
        let one = one(table, found, environment).map_err(|reject| reject.in_item(at + 1))?;
        if all.iter().any(|other| other.name == one.name) {
            let reject =
                Reject::invalid(format!("there is one called {} already", one.name), "a `name` of its own for each");
            return Err(reject.in_item(at + 1));
        }
        all.push(one);
    }
    Ok(all)
}

fn one(table: &Dict, found: &Found, environment: &Environment) -> Result<NotifySettings, Reject> {
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let known = format!("there are {}", KEYS.join(", "));
        let help = nearest(unknown, KEYS.into_iter()).map_or(known, |key| format!("did you mean `{key}`?"));
        return Err(Reject::malformed(format!("there is no key `{unknown}`"), help));
    }
    let missing = |key: &str| Reject::malformed(format!("`{key}` is missing"), HELP);
    let needed = |key: &str| table.get(key).ok_or_else(|| missing(key));
    let of = |key: &'static str| move |reject: Reject| about(key, reject);
    let kind: Kind = choice(needed("kind")?).map_err(of("kind"))?;
    let url = || SecretUrl::read(needed("url")?, found, environment).map_err(of("url"));
    let (sink, used) = match kind {
        Kind::Webhook => (NotifySink::Webhook(url()?), Some("url")),
        Kind::Slack => (NotifySink::Slack(url()?), Some("url")),
        Kind::Command => (NotifySink::Command(command(needed("command")?)?), Some("command")),
        Kind::Desktop => (NotifySink::Desktop, None),
    };
    if let Some(useless) = ["url", "command"].into_iter().find(|key| table.contains_key(*key) && Some(*key) != used) {
        return Err(Reject::invalid(format!("kind = {} has no `{useless}`", kind.shown()), "take it out"));
    }
    Ok(NotifySettings {
        name: table.get("name").map_or_else(|| Ok(kind.name().to_owned()), name)?,
        sink,
        level: table.get("level").map_or(Ok(NotifyLevel::Error), choice).map_err(of("level"))?,
        events: table.get("events").map_or(Ok(Vec::new()), events::read).map_err(of("events"))?,
        min_interval: table.get("min_interval").map_or(Ok(DEFAULT_INTERVAL), duration).map_err(of("min_interval"))?,
    })
}

/// Says which key of the table it is about.
fn about(key: &str, reject: Reject) -> Reject {
    let help = reject.help.map(|help| format!("{key} = {help}"));
    Reject { help, ..reject }
}

fn name(value: &Value) -> Result<String, Reject> {
    let name = text(value)?;
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(Reject::invalid("this is no name", "name = a few words"));
    }
    Ok(name)
}

fn command(value: &Value) -> Result<Vec<String>, Reject> {
    let words = texts(value).map_err(|reject| about("command", reject))?;
    match words.first().map(String::as_str) {
        None | Some("") => Err(Reject::invalid("the command is empty", r#"command = ["/usr/local/bin/tell-me"]"#)),
        Some(_) => Ok(words),
    }
}

// === impl Kind, NotifyLevel ===

impl Choice for Kind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("webhook", Self::Webhook), ("slack", Self::Slack), ("command", Self::Command), ("desktop", Self::Desktop)];
}

impl Choice for NotifyLevel {
    const WORDS: &'static [(&'static str, Self)] =
        &[("error", Self::Error), ("warn", Self::Warn), ("info", Self::Info)];
}

// === impl Vec<NotifySettings> ===

impl Shown for Vec<NotifySettings> {
    fn shown(&self) -> String {
        let items = self.iter().map(NotifySettings::shown);
        format!("[{}]", items.collect::<Vec<_>>().join(", "))
    }
}

// === impl NotifySettings ===

impl Shown for NotifySettings {
    fn shown(&self) -> String {
        let (kind, more) = match &self.sink {
            NotifySink::Webhook(_) => (Kind::Webhook, format!(", url = \"{MASK}\"")),
            NotifySink::Slack(_) => (Kind::Slack, format!(", url = \"{MASK}\"")),
            NotifySink::Command(words) => (Kind::Command, format!(", command = {}", words.shown())),
            NotifySink::Desktop => (Kind::Desktop, String::new()),
        };
        let events = if self.events.is_empty() { String::new() } else { format!(", events = {}", self.events.shown()) };
        format!(
            "{{ kind = {}, name = {}{more}, level = {}{events}, min_interval = {} }}",
            kind.shown(),
            self.name.shown(),
            self.level.shown(),
            self.min_interval.shown(),
        )
    }
}
