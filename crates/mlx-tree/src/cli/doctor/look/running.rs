//! What runs and listens: the mlx-tree of this place, others, the ports, and the fallback.

use std::net::SocketAddr;
use std::path::Path;

use mlx_tree::api::Status;
use mlx_tree::control::{AccessError, Client, ClientError};
use mlx_tree::process::identity::{Identity, Presence};
use mlx_tree::process::port::{self, PortState};
use mlx_tree::settings::{FallbackKind, FallbackPolicy, FallbackSettings, Settings};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::facts::{Alive, Fallback, Known, Ours, Port, Pull, Running};
use super::{SHORT, bounded, printed};

/// No list of models is longer.
const LONGEST: u64 = 4 << 20;

/// The mlx-tree of this state directory, and its status if it answers.
pub(super) async fn running(state_dir: &Path) -> (Running, Option<Status>) {
    let client = match Client::from_state_dir(state_dir) {
        Ok(client) => client,
        Err(ClientError::Access(AccessError::Absent(_))) => return (Running::No, None),
        Err(error) => return (Running::Unknown(error.to_string()), None),
    };
    let pid = client.pid();
    let asked = async { client.status().await.map_err(|error| error.to_string()) };
    match bounded(SHORT, asked).await {
        Ok(status) => {
            let (version, degraded) = (status.supervisor.version.clone(), status.degraded.clone());
            (Running::Answers { pid, version, degraded }, Some(status))
        }
        Err(_) => {
            let alive = match Identity::of(pid.cast_signed()).map(|it| it.presence()) {
                Some(Presence::Alive) => Alive::Yes,
                Some(Presence::Zombie | Presence::Gone | Presence::Reused) | None => Alive::No,
            };
            (Running::Silent { pid, alive }, None)
        }
    }
}

/// The addresses with fixed ports, and who has them.
pub(super) async fn ports(settings: &Settings, running: &Running, status: Option<&Status>) -> Vec<Port> {
    let mut wanted = vec![("control.listen".to_owned(), settings.control.listen)];
    wanted.extend(settings.gateway.listen.map(|address| ("gateway.listen".to_owned(), address)));
    for (index, server) in settings.servers().enumerate() {
        let key = if index == 0 { "server.port".to_owned() } else { format!("{}: server.port", server.name()) };
        wanted.push((key, SocketAddr::new(server.host, server.port)));
    }
    let mut ports = Vec::new();
    for (key, address) in wanted.into_iter().filter(|(_, address)| address.port() != 0) {
        let state = bounded(SHORT, async { port::check(address).await.map_err(|error| error.to_string()) }).await;
        let ours = if belongs(&state, address, running, status) { Ours::Yes } else { Ours::No };
        ports.push(Port { key, address, state, ours });
    }
    ports
}

/// Whether the mlx-tree that runs here holds it, by itself or through a server.
fn belongs(state: &Known<PortState>, address: SocketAddr, running: &Running, status: Option<&Status>) -> bool {
    let Ok(PortState::Held { holders }) = state else { return false };
    let pid = match running {
        Running::Answers { pid, .. } | Running::Silent { pid, .. } => pid.cast_signed(),
        Running::No | Running::Unknown(_) => return false,
    };
    let servers = status.iter().flat_map(|status| {
        let first = std::iter::once(&status.server.url);
        first.chain(status.servers.iter().map(|server| &server.server.url))
    });
    let mut urls = servers.flatten();
    holders.iter().any(|holder| holder.pid == pid) || urls.any(|url| url.ends_with(&format!(":{}", address.port())))
}

/// Other processes that supervise something, beside the one of this place.
pub(super) async fn others(state_dir: &Path) -> Known<Vec<i32>> {
    let own = Client::from_state_dir(state_dir).ok().map(|client| client.pid().cast_signed());
    let us = std::process::id().cast_signed();
    let table = printed(Path::new("ps"), &["-axww", "-o", "pid=,args="], SHORT).await?;
    let found = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let pid: i32 = words.next()?.parse().ok()?;
        let program = words.next()?.rsplit('/').next()?;
        let supervises = words.next().is_none_or(|word| ["run", "demo"].contains(&word) || word.starts_with('-'));
        (program == "mlx-tree" && supervises && pid != us && Some(pid) != own).then_some(pid)
    });
    Ok(found.collect())
}

/// The fallback, if there is to be one.
pub(super) async fn fallback(settings: &FallbackSettings) -> Option<Fallback> {
    match settings.policy {
        FallbackPolicy::Deny => return None,
        FallbackPolicy::OptIn | FallbackPolicy::Label => {}
    }
    let (pull, path, list, name) = match settings.kind {
        FallbackKind::Ollama => (Pull::Ollama, "/api/tags", "models", "name"),
        FallbackKind::Openai => (Pull::ByHand, "/v1/models", "data", "id"),
    };
    let wanted = settings.model.iter().chain(settings.models.iter().map(|model| &model.fallback));
    let mut wanted: Vec<_> = wanted.cloned().collect();
    wanted.sort();
    wanted.dedup();
    let models = bounded(SHORT, listed(settings.address, path)).await.map(|answer| {
        let models = answer[list].as_array().into_iter().flatten();
        models.filter_map(|model| model[name].as_str().map(str::to_owned)).collect()
    });
    Some(Fallback { address: settings.address, wanted, models, pull })
}

/// What `address` answers, which is loopback: plain HTTP, without a library and without a proxy.
async fn listed(address: SocketAddr, path: &str) -> Known<Value> {
    let said = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(said)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(said)?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await.map_err(said)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(status.to_owned());
    }
    serde_json::from_str(body).map_err(|error| error.to_string())
}
