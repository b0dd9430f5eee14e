//! `[[server]]` more than once: each has a name, no two share one or a port, and together they fit.

use std::collections::BTreeMap;
use std::path::Path;

use super::{ServerSettings, Settings, StartMode};
use crate::Environment;
use crate::reader::Reader;
use crate::value::Reject;

/// Reads the servers after the first.
pub(super) fn further(reader: &mut Reader<'_>, environment: &Environment, state_dir: &Path) -> Vec<ServerSettings> {
    let sections = reader.further_servers();
    sections.iter().map(|name| ServerSettings::read(&mut reader.section(name), environment, state_dir)).collect()
}

pub(super) fn check(settings: &Settings, reader: &mut Reader<'_>) {
    let sections = std::iter::once("server".to_owned()).chain(reader.further_servers());
    let servers: Vec<(String, &ServerSettings)> = sections.zip(settings.servers()).collect();
    if servers.len() > 1 {
        check_names(&servers, reader);
    }
    check_ports(&servers, reader);
    check_memory(settings, &servers, reader);
}

fn check_names(servers: &[(String, &ServerSettings)], reader: &mut Reader<'_>) {
    let mut taken: BTreeMap<&str, String> = BTreeMap::new();
    for (section, server) in servers {
        let key = format!("{section}.name");
        match &server.name {
            None if reader.is_sound(&key) => {
                let help = "a name of its own for each [[server]]";
                reader.reject(&key, Reject::invalid("several servers are told apart by their names", help));
            }
            None => {}
            Some(name) => claim(name, key, &mut taken, reader),
        }
    }
    for (section, server) in servers {
        for alias in &server.aliases {
            claim(alias, format!("{section}.aliases"), &mut taken, reader);
        }
    }
}

fn claim<'a>(name: &'a str, key: String, taken: &mut BTreeMap<&'a str, String>, reader: &mut Reader<'_>) {
    match taken.get(name) {
        Some(other) if *other == key => {}
        Some(other) => {
            let (other, reason) = (other.clone(), format!("both are called {name}"));
            reader.conflict(&key, &other, &reason, "a name of its own for each server");
        }
        None => {
            taken.insert(name, key);
        }
    }
}

fn check_ports(servers: &[(String, &ServerSettings)], reader: &mut Reader<'_>) {
    for (at, (section, server)) in servers.iter().enumerate() {
        let twin = servers[..at].iter().find(|(_, other)| other.port == server.port && other.host == server.host);
        if let Some((other, _)) = twin.filter(|_| server.port != 0) {
            reader.conflict(
                &format!("{section}.port"),
                &format!("{other}.port"),
                "two servers would listen on the same port",
                "different ports, or 0 for a free one",
            );
        }
    }
}

fn check_memory(settings: &Settings, servers: &[(String, &ServerSettings)], reader: &mut Reader<'_>) {
    const BUDGET: &str = "memory.budget";
    let Some(budget) = settings.memory.budget else { return };
    let pinned = |server: &ServerSettings| server.start == StartMode::Always;
    let always: u64 = servers.iter().filter(|(_, it)| pinned(it)).filter_map(|(_, it)| it.memory).sum();
    for (section, server) in servers {
        let key = format!("{section}.memory");
        let Some(memory) = server.memory else {
            let reason = "what does not say how much it needs cannot be counted";
            reader.conflict(&key, BUDGET, reason, "how much each server needs, such as \"8GiB\"");
            continue;
        };
        let (needs, reason) = if pinned(server) {
            (always, "the servers that are always there do not fit together")
        } else {
            (memory.saturating_add(always), "it does not fit beside those that are always there")
        };
        if needs > budget {
            reader.conflict(&key, BUDGET, reason, "a larger budget, or start = \"on_demand\"");
        }
    }
}
