//! From a running process to a ready server: it answers, it is ours, it generates, and it is warm.

use std::net::SocketAddr;
use std::time::Duration;

use mlx_tree_api::Probe;
use mlx_tree_process::port::{self, ListenerOwner};
use mlx_tree_process::{Identity, Tail};
use mlx_tree_settings::ServerKind;
use reqwest::Client;
use tokio::time::{Instant, sleep, timeout_at};

use super::diagnosis::Reason;
use super::failure::ServerFailure;
use super::launch::Blueprint;
use super::probe::{self, ProbeError};
use super::recipe::Recipe;

/// Between two questions to a server that is not there yet: often at first, so that a quick start is seen at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// As many lines of stderr as may hold a traceback and the access log after it.
pub(super) const LAST_LINES: usize = 60;

/// What startup tells on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Milestone {
    /// It answers its health check; a canary has been sent.
    Loading,
}

/// Waits until the process `leader` serves at `address`. A process that exits meanwhile is for others to notice: this
/// future is then dropped.
pub(super) async fn startup(
    blueprint: &Blueprint,
    recipe: &Recipe,
    leader: &Identity,
    tail: &Tail,
    address: SocketAddr,
    tell: impl Fn(Milestone),
) -> Result<(), ServerFailure> {
    let deadline = Instant::now() + recipe.start_timeout;
    let base = format!("http://{address}");
    let mut last = "it has not listened yet".to_owned();
    let work = async {
        wait_for_health(&blueprint.client, recipe, leader, address, tail, &mut last).await?;
        refuse_strangers(leader, address).await?;
        tell(Milestone::Loading);
        wait_for_canary(blueprint, recipe, &base, tail, deadline, &mut last).await?;
        warm(&blueprint.client, recipe, &base, deadline).await;
        Ok(())
    };
    match timeout_at(deadline, work).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let span = recipe.start_timeout.as_secs_f64();
            let why = format!("not ready within {span} s ({last})");
            Err(ServerFailure::living(Reason::StartTimeout, &why, &tail.last_lines(LAST_LINES)))
        }
    }
}

async fn wait_for_health(
    client: &Client,
    recipe: &Recipe,
    leader: &Identity,
    address: SocketAddr,
    tail: &Tail,
    last: &mut String,
) -> Result<(), ServerFailure> {
    let base = format!("http://{address}");
    let mut pause = FIRST_PAUSE;
    loop {
        match probe::health(client, &base, &recipe.profile, recipe.probe_timeout).await {
            Ok(()) => return Ok(()),
            // mlx_lm says 200 while it loads; it says 503 for one reason only, and never recovers from it.
            Err(ProbeError::Status { status: 503, body }) if recipe.profile.kind == ServerKind::MlxLm => {
                let why = format!("its generation thread died: HTTP 503 {body}");
                return Err(ServerFailure::living(Reason::GenerationDied, &why, &tail.last_lines(LAST_LINES)));
            }
            Err(ProbeError::Refused) => *last = ProbeError::Refused.to_string(),
            // Somebody listens and does not answer well. If it is a stranger, the server hangs without its port, and would
            // do so until its time is up.
            Err(error) => {
                *last = error.to_string();
                refuse_strangers(leader, address).await?;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A stranger on our port would answer our probes as if it were the server.
async fn refuse_strangers(leader: &Identity, address: SocketAddr) -> Result<(), ServerFailure> {
    match port::listener_owner(address, leader).await {
        Ok(ListenerOwner::Foreign(holder)) => {
            let message = format!("pid {} ({}) answers on port {}", holder.pid, holder.command, address.port());
            Err(ServerFailure::plain(Reason::ForeignListener, message))
        }
        // Not seen is not foreign: without the right to look, the bind test before the spawn has to be enough.
        Ok(ListenerOwner::Ours { .. } | ListenerOwner::Hidden | ListenerOwner::Nobody) => Ok(()),
        Err(error) => {
            tracing::debug!(target: "mlx_tree::server", %error, "cannot see who listens");
            Ok(())
        }
    }
}

/// The first completion waits for the model to be loaded, however long that takes: its limit is the start timeout.
async fn wait_for_canary(
    blueprint: &Blueprint,
    recipe: &Recipe,
    base: &str,
    tail: &Tail,
    deadline: Instant,
    last: &mut String,
) -> Result<(), ServerFailure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let what = recipe.profile.canary.told_as(Probe::FirstCanary);
        let asked = probe::canary(&blueprint.client, base, &recipe.profile, left);
        match probe::measured(&blueprint.bus, &blueprint.name, what, asked).await {
            Ok(()) => return Ok(()),
            Err(error @ (ProbeError::Status { status: 503, .. } | ProbeError::Refused | ProbeError::Broken(_))) => {
                *last = error.to_string();
            }
            Err(ProbeError::TimedOut(_)) => *last = "its first completion has not come".to_owned(),
            Err(error @ (ProbeError::Status { .. } | ProbeError::Body(_))) => {
                let why = format!("its first completion failed: {error}");
                return Err(ServerFailure::living(Reason::CanaryFailed, &why, &tail.last_lines(LAST_LINES)));
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A warm-up that is refused is told and costs nothing else: a cold server is better than none. One that never ends runs into
/// the start timeout, as anything else that a server leaves unanswered.
async fn warm(client: &Client, recipe: &Recipe, base: &str, deadline: Instant) {
    for one in &recipe.warm_up {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Err(error) = probe::warm_up(client, base, &recipe.profile, one, left).await {
            tracing::warn!(target: "mlx_tree::server", %error, model = one.model, "a warm-up failed");
        }
    }
}
