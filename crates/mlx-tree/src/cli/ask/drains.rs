//! What is said while a verb waits for requests that a server is finishing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Write as _};
use std::time::Duration;

use mlx_tree::api::{Language, Phase, Status};
use mlx_tree::control::Client;
use tokio::time::sleep;

/// Nobody is told of a wait that is shorter.
const WORTH_A_WORD: Duration = Duration::from_millis(700);

/// Tells on stderr who is waited for, whenever that changes, until it is dropped.
pub(super) async fn tell(client: &Client, language: Language) -> Infallible {
    let mut told = BTreeMap::new();
    loop {
        sleep(WORTH_A_WORD).await;
        // Whoever waits for the verb learns by its answer what is wrong.
        let Ok(status) = client.status().await else { continue };
        let draining = draining(&status);
        for (server, in_flight) in &draining {
            if told.get(server) != Some(in_flight) {
                let _ = writeln!(io::stderr(), "{}", line(server, *in_flight, language));
            }
        }
        told = draining;
    }
}

/// The servers that finish what they have, and how much that is.
fn draining(status: &Status) -> BTreeMap<String, u32> {
    if status.servers.is_empty() {
        let in_flight = status.gateway.as_ref().map_or(0, |gateway| gateway.in_flight);
        let in_flight = u32::try_from(in_flight).unwrap_or(u32::MAX);
        return (status.phase == Phase::Draining).then(|| (String::new(), in_flight)).into_iter().collect();
    }
    let draining = status.servers.iter().filter(|server| server.phase == Phase::Draining);
    draining.map(|server| (server.name.clone(), server.in_flight)).collect()
}

fn line(server: &str, in_flight: u32, language: Language) -> String {
    let whose = if server.is_empty() { String::new() } else { format!("{server}: ") };
    match language {
        Language::En => format!("{whose}waiting for what is in flight (requests: {in_flight})"),
        Language::Ru => format!("{whose}жду завершения запросов в работе (запросов: {in_flight})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_how_many_are_waited_for_and_at_which_server() {
        assert_eq!(line("", 3, Language::En), "waiting for what is in flight (requests: 3)");
        assert_eq!(line("coder", 1, Language::Ru), "coder: жду завершения запросов в работе (запросов: 1)");
    }
}
