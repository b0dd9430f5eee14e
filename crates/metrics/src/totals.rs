//! Adds up events and samples: a pure fold that is given the time.

mod requests;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use mlx_tree_api::{Event, Kind, Sample};

pub(crate) use requests::RequestTotals;
pub(crate) use server::ServerTotals;

use crate::words::{self, known};

/// How many servers are told apart. No configuration has as many; nothing may grow without bound all the same.
const SERVERS_MAX: usize = 64;

/// The child that is the default server, and the last part of the name of each further one.
const SERVER: &str = "server";

/// Counts by a word of a closed set.
pub(crate) type Words = BTreeMap<&'static str, u64>;

/// All that has happened since the beginning, which is time zero.
#[derive(Debug)]
pub(crate) struct Totals {
    /// In the order of the configuration, the default one first.
    servers: Vec<(Box<str>, ServerTotals)>,
    /// Requests that were refused before it was known for which server they are.
    pub(crate) strays: RequestTotals,
    pub(crate) events: Words,
    /// 1 for one that can be asked, else 0.
    pub(crate) fallbacks: Words,
    pub(crate) child_exits: Words,
    pub(crate) operator: Words,
    pub(crate) reloads: u64,
    pub(crate) rejections: u64,
    pub(crate) undelivered: u64,
}

// === impl Totals ===

impl Totals {
    /// Nothing yet. The first of `names` is the default server.
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let servers = names.into_iter().map(|name| (name.into_boxed_str(), ServerTotals::new())).collect();
        Self {
            servers,
            strays: RequestTotals::empty(),
            events: Words::new(),
            fallbacks: Words::new(),
            child_exits: zeros(words::CHILDREN),
            operator: zeros(words::VERBS),
            reloads: 0,
            rejections: 0,
            undelivered: 0,
        }
    }

    /// The servers by name, the default one first.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (&str, &ServerTotals)> {
        self.servers.iter().map(|(name, totals)| (&**name, totals))
    }

    /// As [`Totals::servers`], to be brought up to date.
    pub(crate) fn servers_mut(&mut self) -> impl Iterator<Item = (&str, &mut ServerTotals)> {
        self.servers.iter_mut().map(|(name, totals)| (&**name, totals))
    }

    /// The name of the default server.
    pub(crate) fn first(&self) -> &str {
        self.servers.first().map_or(SERVER, |(name, _)| name)
    }

    /// Something has happened, now.
    pub(crate) fn on_event(&mut self, event: &Event, now: Duration) {
        *self.events.entry(event.kind.name()).or_default() += 1;
        match &event.kind {
            Kind::RequestHeld { .. }
            | Kind::RequestReplayed { .. }
            | Kind::RequestContinued { .. }
            | Kind::RequestDiverted { .. }
            | Kind::RequestQuarantined { .. }
            | Kind::RequestFailed { .. } => {
                if let Some(totals) = event.server.as_deref().and_then(|name| self.server(name)) {
                    totals.requests.on_event(&event.kind);
                }
            }
            Kind::FallbackReady { name, .. } => drop(self.fallbacks.insert(known(words::FALLBACKS, name), 1)),
            Kind::FallbackUnavailable { name, .. } => drop(self.fallbacks.insert(known(words::FALLBACKS, name), 0)),
            Kind::ChildExited { .. } => {
                let child = event.child.rsplit('/').next().unwrap_or_default();
                add(&mut self.child_exits, known(words::CHILDREN, child));
            }
            Kind::OperatorRequested { verb } => {
                add(&mut self.operator, known(words::VERBS, verb));
                self.of_server(event, now);
            }
            Kind::ConfigReloaded { .. } => self.reloads += 1,
            Kind::ConfigRejected { .. } => self.rejections += 1,
            Kind::NotifyUndelivered { .. } => self.undelivered += 1,
            Kind::ServerSpawned { .. }
            | Kind::ServerReady { .. }
            | Kind::ServerExited { .. }
            | Kind::ServerUnhealthy { .. }
            | Kind::ServerStopped { .. }
            | Kind::ServerPutToSleep { .. }
            | Kind::ServerRecycling { .. }
            | Kind::ServerMemoryHigh { .. }
            | Kind::HealthFailed { .. }
            | Kind::RestartGranted { .. }
            | Kind::BreakerOpened { .. }
            | Kind::BreakerHalfOpened
            | Kind::BreakerClosed { .. } => self.of_server(event, now),
            Kind::TreeStarted { .. }
            | Kind::TreeStopping
            | Kind::TreeStopped { .. }
            | Kind::ServerLoading
            | Kind::ServerStopping { .. }
            | Kind::ServerWoken
            | Kind::ServerDraining { .. }
            | Kind::OrphanSettled { .. }
            | Kind::HealthMonitoring
            | Kind::HealthBusy { .. }
            | Kind::HealthSuspected { .. }
            | Kind::HealthRecovered { .. }
            | Kind::RestartDelayed { .. }
            | Kind::ChildStarted
            | Kind::FallbackUnloaded { .. }
            | Kind::GatewayListening { .. }
            | Kind::GatewayDraining { .. } => {}
        }
    }

    /// Something has been measured, now.
    pub(crate) fn on_sample(&mut self, sample: &Sample<'_>, now: Duration) {
        let (Sample::Probed { server, .. }
        | Sample::Used { server, .. }
        | Sample::Entered { server, .. }
        | Sample::WaitBegan { server }
        | Sample::WaitEnded { server }
        | Sample::AttemptBegan { server, .. }
        | Sample::AttemptEnded { server, .. }
        | Sample::Tokens { server, .. }
        | Sample::RequestEnded { server, .. }) = sample
        else {
            return;
        };
        if let Some(totals) = self.server(server) {
            totals.on_sample(sample, now);
        } else if let Sample::RequestEnded { .. } = sample {
            self.strays.on_end(sample);
        }
    }

    fn of_server(&mut self, event: &Event, now: Duration) {
        let name = match event.child.split_once('/') {
            None if event.child == SERVER => self.first().to_owned(),
            Some((name, SERVER)) => name.to_owned(),
            None | Some(_) => return,
        };
        if let Some(totals) = self.server(&name) {
            totals.on_event(&event.kind, event.epoch, now);
        }
    }

    /// The totals of a server. One that has come with a reload gets its own.
    fn server(&mut self, name: &str) -> Option<&mut ServerTotals> {
        if name.is_empty() {
            return None;
        }
        let at = match self.servers.iter().position(|(known, _)| **known == *name) {
            Some(at) => at,
            None if self.servers.len() < SERVERS_MAX => {
                self.servers.push((name.into(), ServerTotals::new()));
                self.servers.len() - 1
            }
            None => return None,
        };
        self.servers.get_mut(at).map(|(_, totals)| totals)
    }
}

/// Counts that are there from the beginning: of one that appears with its first event, nobody sees that it has risen.
fn zeros(set: &'static [&'static str]) -> Words {
    set.iter().map(|word| (*word, 0)).collect()
}

fn add(words: &mut Words, word: &'static str) {
    *words.entry(word).or_default() += 1;
}
