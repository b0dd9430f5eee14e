//! What a changed configuration means for a running mlx-tree: which key does what, and what holds in the end.
//!
//! Each section compares itself, beside the place where it is read, and takes itself apart to do so: a key that nobody has
//! thought about does not compile.

mod together;
mod words;

pub use together::Contradiction;

use crate::value::Shown;
use crate::{ServerSettings, Settings};

/// What a changed configuration means.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    changes: Vec<Change>,
    settings: Settings,
}

/// One key that says something else than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `gateway.max_inflight`.
    pub key: String,
    /// Its value until now, as it would be written in the configuration; `***` in place of a secret, `-` for none.
    pub from: String,
    /// Its value from now on, in the same form.
    pub to: String,
    /// What that takes.
    pub effect: Effect,
}

/// What a change takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: it holds at once.
    Live,
    /// The next start of this server, whatever that is for; it is not started for this.
    NextStart(String),
    /// A restart of this server, which is planned and drained.
    Restart(String),
    /// A restart of mlx-tree. Until then the old value holds.
    Program,
}

/// What reading the two configurations side by side has brought to light.
#[derive(Debug, Default)]
pub(crate) struct Diff {
    section: String,
    changes: Vec<Change>,
}

/// What `new` means for an mlx-tree that runs with `old`.
#[must_use]
pub fn plan(old: &Settings, new: &Settings) -> Plan {
    let mut diff = Diff::default();
    old.compare(new, &mut diff);
    Plan { changes: diff.changes, settings: old.followed_by(new) }
}

// === impl Plan ===

impl Plan {
    /// Every key that says something else, in the order of the configuration.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether nothing has changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What holds once it has been carried out: the new configuration, but for what takes a restart of mlx-tree.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The servers that have to be restarted, by name, each once.
    #[must_use]
    pub fn restarts(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for change in &self.changes {
            match &change.effect {
                Effect::Restart(server) if !names.contains(&server.as_str()) => names.push(server.as_str()),
                Effect::Restart(_) | Effect::Live | Effect::NextStart(_) | Effect::Program => {}
            }
        }
        names
    }

    /// The keys whose new values wait for a restart of mlx-tree.
    pub fn pending(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(|change| change.effect == Effect::Program).map(|change| change.key.as_str())
    }
}

// === impl Diff ===

impl Diff {
    /// The keys that follow are those of this section.
    pub(crate) fn section(&mut self, name: &str) -> &mut Self {
        name.clone_into(&mut self.section);
        self
    }

    /// A key that holds at once.
    pub(crate) fn live<T: PartialEq + Shown>(&mut self, key: &str, old: &T, new: &T) {
        self.key(key, &Effect::Live, old, new);
    }

    /// A key.
    pub(crate) fn key<T: PartialEq + Shown>(&mut self, key: &str, effect: &Effect, old: &T, new: &T) {
        if old != new {
            self.say(key, effect, Some(old), Some(new));
        }
    }

    /// A key that says something else, or is there only before or only afterwards.
    pub(crate) fn say(&mut self, key: &str, effect: &Effect, old: Option<&dyn Shown>, new: Option<&dyn Shown>) {
        let shown = |value: Option<&dyn Shown>| value.map_or_else(|| "-".to_owned(), Shown::shown);
        let key = if self.section.is_empty() { key.to_owned() } else { format!("{}.{key}", self.section) };
        self.changes.push(Change { key, from: shown(old), to: shown(new), effect: effect.clone() });
    }
}

// === impl Settings ===

impl Settings {
    fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self {
            state_dir,
            data_dir,
            notify,
            server: _,
            further_servers: _,
            memory,
            restart,
            breaker,
            health,
            shutdown,
            gateway,
            fallback,
            control,
            reports,
            log,
        } = self;
        let top = diff.section("");
        top.key("state_dir", &Effect::Program, state_dir, &new.state_dir);
        top.key("data_dir", &Effect::Program, data_dir, &new.data_dir);
        top.live("notify", notify, &new.notify);
        self.compare_servers(new, diff);
        memory.compare(&new.memory, diff.section("memory"));
        restart.compare(&new.restart, diff.section("restart"));
        breaker.compare(&new.breaker, diff.section("breaker"));
        health.compare(&new.health, diff.section("health"));
        shutdown.compare(&new.shutdown, diff.section("shutdown"));
        gateway.compare(&new.gateway, diff.section("gateway"));
        fallback.compare(&new.fallback, diff.section("fallback"));
        control.compare(&new.control, diff.section("control"));
        reports.compare(&new.reports, diff.section("reports"));
        log.compare(&new.log, diff.section("log"));
    }

    /// Servers are the same if they are called the same, or if there was one and is one.
    fn compare_servers(&self, new: &Self, diff: &mut Diff) {
        let names = |settings: &Self| settings.servers().map(|it| it.name().to_owned()).collect::<Vec<_>>();
        let (before, after) = (names(self), names(new));
        if (before.len(), after.len()) != (1, 1) {
            diff.section("").key("server", &Effect::Program, &before, &after);
        }
        for (index, server) in new.servers().enumerate() {
            let section = if index == 0 { "server".to_owned() } else { format!("server[{index}]") };
            if let Some(old) = self.counterpart(server, new) {
                old.compare(&self.at_home(server, new), diff.section(&section));
            }
        }
    }

    /// The server of these settings that `server` of `other` is.
    fn counterpart(&self, server: &ServerSettings, other: &Self) -> Option<&ServerSettings> {
        let alone = self.further_servers.is_empty() && other.further_servers.is_empty();
        self.servers().find(|it| alone || it.name() == server.name())
    }

    /// A directory of `other` that is the state directory by default stays here until that moves.
    fn at_home(&self, server: &ServerSettings, other: &Self) -> ServerSettings {
        let mut server = server.clone();
        if server.cwd == other.state_dir {
            server.cwd.clone_from(&self.state_dir);
        }
        server
    }

    /// What holds when `new` has come after these settings, without a restart of mlx-tree.
    fn followed_by(&self, new: &Self) -> Self {
        let server = |old: &ServerSettings| match new.servers().find(|it| self.is_counterpart(old, it, new)) {
            Some(server) => old.followed_by(self.at_home(server, new)),
            None => old.clone(),
        };
        Self {
            state_dir: self.state_dir.clone(),
            data_dir: self.data_dir.clone(),
            notify: new.notify.clone(),
            server: server(&self.server),
            further_servers: self.further_servers.iter().map(server).collect(),
            memory: new.memory,
            restart: new.restart,
            breaker: new.breaker,
            health: new.health.clone(),
            shutdown: new.shutdown,
            gateway: self.gateway.followed_by(&new.gateway),
            fallback: new.fallback.clone(),
            control: self.control,
            reports: self.reports,
            log: self.log.followed_by(new.log),
        }
    }

    fn is_counterpart(&self, old: &ServerSettings, server: &ServerSettings, other: &Self) -> bool {
        self.counterpart(server, other).is_some_and(|it| it.name() == old.name())
    }
}
