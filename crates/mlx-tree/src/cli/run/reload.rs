//! `mlx-tree reload` and SIGHUP: the configuration is read again, from where it was read at the start, and what has changed is
//! applied; or nothing is.
//!
//! ```text
//!  POST /reload ──┐                    ┌─ wrong, or not there ─▶ config.rejected, degraded, the old one goes on
//!  SIGHUP ────────┴─▶ one at a time ─▶ read ─▶ Tree::reload ─▶ config.reloaded ─▶ (without the lock) restarts
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use mlx_tree::api::{ConfigStatus, Kind};
use mlx_tree::control::{Done, Refusal, Verb};
use mlx_tree::notify::Notifier;
use mlx_tree::settings::{self, ConfigErrors, Environment, Settings, Sources};
use mlx_tree::workers::bus::Bus;
use mlx_tree::{ReloadError, Reloaded, Tree};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::plane::refusal;
use crate::cli::logging::LogDial;
use crate::cli::notices;
use crate::cli::settings::language_of;

/// What a refused configuration is called by programs.
pub(crate) const REJECTED: &str = "config_rejected";

const HELP: &str = "nothing has changed; `mlx-tree check` reads it again";

/// Reads the configuration again. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Reloader(Arc<Inner>);

struct Inner {
    tree: Tree,
    sources: Sources,
    bus: Bus,
    log: LogDial,
    /// Who is told when something needs a human.
    notifier: Arc<Notifier>,
    environment: Environment,
    /// One at a time reads and applies.
    turn: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

/// What there is to say about the configuration.
struct Known {
    since: Instant,
    rejected: Option<String>,
    pending: Vec<String>,
}

// === impl Reloader ===

impl Reloader {
    pub(super) fn new(tree: Tree, sources: Sources, bus: Bus, log: LogDial, notifier: Arc<Notifier>) -> Self {
        let known = Mutex::new(Known { since: Instant::now(), rejected: None, pending: Vec::new() });
        let environment = sources.environment().clone();
        Self(Arc::new(Inner {
            tree,
            sources,
            bus,
            log,
            notifier,
            environment,
            turn: tokio::sync::Mutex::default(),
            known,
        }))
    }

    /// Reloads whenever `hangup` says so. However often it says so meanwhile, that is once more. The restarts that one takes
    /// keep the next one from nothing: it may be the correction.
    pub(super) async fn on(self, hangup: Arc<Notify>) {
        let warn = |refusal: &Refusal| tracing::warn!(target: "mlx_tree::config", "{}", refusal.message);
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                Some(ended) = under_way.join_next() => {
                    if let Ok(Err(refusal)) = &ended {
                        warn(refusal);
                    }
                }
                () = hangup.notified() => match self.apply().await {
                    Ok(reloaded) => drop(under_way.spawn(carry_out(reloaded))),
                    Err(refusal) => warn(&refusal),
                },
            }
        }
    }

    /// Reads the configuration, applies it, and resolves when the servers that take a restart for it are ready again.
    pub(super) async fn reload(&self) -> Result<Done, Refusal> {
        carry_out(self.apply().await?).await
    }

    /// What a reload would do now.
    pub(super) async fn foresee(&self) -> Result<Done, Refusal> {
        let new = self.read().await.map_err(|errors| rejected(errors.to_string()))?;
        let plan = self.0.tree.foresee(&new);
        plan.check().map_err(|error| rejected(error.to_string()))?;
        let message = if plan.is_empty() {
            "a reload would change nothing"
        } else {
            "a reload would change this; nothing has been done"
        };
        Ok(Done { details: plan.lines(), ..Done::new(Verb::Reload, message) })
    }

    /// What there is to say about the configuration in the status.
    pub(super) fn status(&self) -> ConfigStatus {
        let known = self.known();
        ConfigStatus {
            files: files(&self.0.sources),
            loaded_s_ago: known.since.elapsed().as_secs_f64(),
            rejected: known.rejected.clone(),
            pending: known.pending.clone(),
        }
    }

    async fn apply(&self) -> Result<Reloaded, Refusal> {
        let _one_at_a_time = self.0.turn.lock().await;
        let new = match self.read().await {
            Ok(new) => new,
            Err(errors) => return Err(self.reject(summary(&errors), errors.to_string())),
        };
        let reloaded = self.0.tree.reload(&new).await.map_err(|error| {
            let reason = explained(&error);
            self.reject(reason.clone(), reason)
        })?;
        let holds = Arc::clone(&self.0.tree.settings().borrow());
        self.0.log.change(holds.log.level, language_of(holds.log.language));
        self.0.notifier.replace(notices::targets(&holds, &self.0.environment));
        let plan = reloaded.plan();
        *self.known() =
            Known { since: Instant::now(), rejected: None, pending: plan.pending().map(str::to_owned).collect() };
        self.0.bus.emit("tree", 0, Kind::ConfigReloaded { changes: plan.open_lines() });
        Ok(reloaded)
    }

    /// Away from the one thread: a file may be on a disk that hangs.
    async fn read(&self) -> Result<Settings, ConfigErrors> {
        let sources = self.0.sources.clone();
        let read = tokio::task::spawn_blocking(move || settings::load(&sources).map(|loaded| loaded.settings)).await;
        read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn reject(&self, reason: String, report: String) -> Refusal {
        self.known().rejected = Some(reason.clone());
        self.0.bus.emit("tree", 0, Kind::ConfigRejected { reason });
        rejected(report)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the restarts done that it takes, and tells how it all turned out.
async fn carry_out(reloaded: Reloaded) -> Result<Done, Refusal> {
    let lines = reloaded.plan().lines();
    let done = |message: String| Ok(Done { details: lines.clone(), ..Done::new(Verb::Reload, message) });
    if lines.is_empty() {
        return done("the configuration was read again: nothing has changed".to_owned());
    }
    match reloaded.restart().await {
        Ok(restarted) if restarted.is_empty() => done("the new configuration holds".to_owned()),
        Ok(restarted) => done(format!("the new configuration holds; restarted: {}", restarted.join(", "))),
        Err((server, error)) => {
            let refusal = refusal(&error);
            let message = format!("the new configuration holds, and {server} is not back: {}", refusal.message);
            Err(Refusal { message, ..refusal })
        }
    }
}

fn rejected(message: String) -> Refusal {
    Refusal { code: REJECTED, message, help: Some(HELP.to_owned()) }
}

/// One line for the log and the status, which everybody on this machine may read. Like the whole report it shows no secret.
fn summary(errors: &ConfigErrors) -> String {
    let mut errors = errors.iter();
    let Some(first) = errors.next() else { return String::new() };
    let more = match errors.count() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let parts = [Some(first.origin.to_string()), first.key.clone(), Some(first.problem.to_string() + &more)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// The error with its causes, in one line.
fn explained(error: &ReloadError) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        parts.push(cause.to_string());
        source = cause.source();
    }
    parts.join(": ")
}

/// The files that are read, as far as they are there.
fn files(sources: &Sources) -> Vec<String> {
    sources.files().iter().map(|path| path.display().to_string()).collect()
}
