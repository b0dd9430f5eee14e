//! The names of the events, as far as the configuration may speak of them.

use crate::value::{Reject, nearest, texts};
use figment::value::Value;

/// All of them. A test compares them with those that there are.
pub(super) const EVENTS: [&str; 43] = [
    "tree.started",
    "tree.stopping",
    "tree.stopped",
    "server.spawned",
    "server.loading",
    "server.ready",
    "server.exited",
    "server.unhealthy",
    "server.stopping",
    "server.stopped",
    "server.woken",
    "server.put_to_sleep",
    "orphan.settled",
    "health.monitoring",
    "health.failed",
    "health.busy",
    "health.suspected",
    "health.recovered",
    "restart.granted",
    "restart.delayed",
    "breaker.opened",
    "breaker.half_opened",
    "breaker.closed",
    "child.started",
    "child.exited",
    "fallback.ready",
    "fallback.unavailable",
    "fallback.unloaded",
    "gateway.listening",
    "gateway.draining",
    "request.held",
    "request.replayed",
    "request.continued",
    "request.diverted",
    "request.quarantined",
    "request.failed",
    "server.draining",
    "server.recycling",
    "server.memory_high",
    "config.reloaded",
    "config.rejected",
    "notify.undelivered",
    "operator.requested",
];

/// Names of events, or of a whole group of them: `breaker.opened`, `breaker.*`.
pub(super) fn read(value: &Value) -> Result<Vec<String>, Reject> {
    let names = texts(value)?;
    for (at, name) in names.iter().enumerate() {
        let group = name.strip_suffix('*').filter(|group| group.ends_with('.'));
        let known = EVENTS.iter().any(|event| *event == name || group.is_some_and(|group| event.starts_with(group)));
        if !known {
            let help = nearest(name, EVENTS.into_iter()).map(|event| format!("did you mean \"{event}\"?"));
            let help =
                help.unwrap_or_else(|| r#"names such as "breaker.opened", or "server.*" for a group"#.to_owned());
            return Err(Reject::invalid(format!("there is no event {name}"), help).in_item(at + 1));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_can_be_named() {
        let source = include_str!("../../../../api/src/event.rs");
        let renames = source.split("rename = \"").skip(1).filter_map(|rest| rest.split('"').next());
        assert_eq!(renames.filter(|name| name.contains('.')).collect::<Vec<_>>(), EVENTS);
    }
}
