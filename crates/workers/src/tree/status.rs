//! The status document, put together from the control path's own facts at the moment of asking.

use std::sync::Arc;

use mlx_tree_api as api;
use mlx_tree_policy::{BreakerState, JournalEntry, Ruling};
use mlx_tree_process::usage;
use mlx_tree_supervision::{ChildState, ChildStatus, ExitReason, Restart};

use super::handle::Inner;
use super::{Server, ServerHandle, Start};
use crate::availability::{Reach, Wish};
use crate::clock::Clock;
use crate::health::Standing;
use crate::server::diagnosis::Ending;
use crate::server::{ServerFailure, ServerPhase, ServerView};
use crate::{BREAKER, HEALTH, SERVER};

pub(super) async fn compose(inner: &Inner) -> api::Status {
    let first = &inner.servers[0].server;
    let api::ServerStatus {
        name: _,
        start: _,
        in_flight: _,
        state,
        process_pid,
        restart_count,
        health_check_failures,
        circuit_breaker_state,
        phase,
        reason,
        next_attempt_in_s,
        server,
        breaker,
        health,
        children: _,
        last_exit,
        journal,
    } = of_server(first).await;
    let mut servers = Vec::new();
    if inner.servers.len() > 1 {
        for ServerHandle { server } in &inner.servers {
            servers.push(of_server(server).await);
        }
    }
    let root = Arc::clone(&inner.supervisor.status().borrow());
    api::Status {
        state,
        process_pid,
        restart_count,
        health_check_failures,
        circuit_breaker_state,
        phase,
        reason,
        next_attempt_in_s,
        server,
        breaker,
        health,
        children: root.children.iter().map(|child| child_of(first.blueprint.clock, child)).collect(),
        last_exit,
        journal,
        servers,
        // The tree has no gateway of its own: the program adds what it knows of its child.
        gateway: None,
        degraded: Vec::new(),
        config: None,
        supervisor: api::Supervisor {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: inner.started.elapsed().as_secs_f64(),
            control: None,
            state_dir: first.blueprint.instance.as_ref().map(|instance| instance.dir().path().display().to_string()),
        },
    }
}

/// What there is to say about one server, at one moment.
pub(super) async fn of_server(server: &Server) -> api::ServerStatus {
    let (blueprint, shown) = (&server.blueprint, server.shown.borrow().clone());
    // The only thing that has to be waited for comes first: all else is of one moment.
    let looked_at = blueprint.view.borrow().clone();
    let memory_bytes = memory_of(&looked_at).await;
    let clock = blueprint.clock;
    let home = server.home.borrow().clone();
    let supervisor = home.map(|home| Arc::clone(&home.status().borrow()));
    let view = blueprint.view.borrow().clone();
    let watched = server.health.borrow().clone();
    let gate = server.gate.snapshot();
    let child = supervisor.as_ref().and_then(|supervisor| supervisor.child(SERVER));
    let reach = server.reach_now();
    let leaves = leaving(server, &reach);
    let restart = blueprint.recipes.newest().restart;
    let child_state = child.map(|child| &child.state);
    let phase = phase(restart, child_state, &view, watched.standing, &gate.breaker, &reach);
    let limits = server.stay.borrow().limits;
    let breaker = breaker_of(server, &gate, clock);
    let asleep = phase == api::Phase::Stopped && *server.wish.borrow() == Wish::Sleep;
    api::ServerStatus {
        name: server.name.to_string(),
        start: match server.start {
            Start::Always => api::StartMode::Always,
            Start::Preload => api::StartMode::Preload,
            Start::OnDemand => api::StartMode::OnDemand,
        },
        in_flight: server.activity.usage().in_flight,
        state: phase.state(),
        process_pid: view.pid(),
        restart_count: child.map_or(0, |child| child.restarts),
        health_check_failures: watched.failures,
        circuit_breaker_state: breaker.state,
        phase,
        reason: match (phase, leaves) {
            (api::Phase::Draining, Some(why)) => Some(why),
            _ if asleep => Some("asleep until a request asks for it".to_owned()),
            _ => reason_of(phase, child, &breaker, watched.last_error.as_deref()),
        },
        next_attempt_in_s: match phase {
            api::Phase::Backoff | api::Phase::Suspended => gate.next.map(|at| clock.seconds_until(at)),
            _ => None,
        },
        server: api::Server {
            kind: shown.kind,
            model: shown.model,
            note: shown.note,
            url: view.url.clone(),
            epoch: view.epoch,
            ready_for_s: match view.phase {
                ServerPhase::Ready { since } => Some(clock.seconds_since(since)),
                _ => None,
            },
            memory_bytes,
            memory_soft_limit_bytes: limits.soft,
            memory_hard_limit_bytes: limits.hard,
        },
        breaker,
        health: api::Health {
            failures: watched.failures,
            failure_threshold: server.numbers.borrow().failure_threshold.get(),
            last_ok_s_ago: watched.last_ok.map(|at| clock.seconds_since(at)),
            last_error: watched.last_error,
        },
        children: supervisor
            .iter()
            .flat_map(|supervisor| &supervisor.children)
            .filter(|child| [SERVER, HEALTH, BREAKER].iter().any(|ours| child.id == *ours))
            .map(|child| child_of(clock, child))
            .collect(),
        last_exit: child.and_then(|child| exit_of(clock, child)),
        journal: server.gate.journal().iter().map(|entry| journal_of(entry, clock)).collect(),
    }
}

/// Why it gets nothing new while it serves, and how much it has.
fn leaving(server: &Server, reach: &Reach) -> Option<String> {
    let in_flight = server.activity.usage().in_flight;
    match reach {
        Reach::Yielding { reason, .. } => Some(format!("{reason} (in flight: {in_flight})")),
        Reach::Finishing { reason, .. } => Some(format!("{reason}, when it has finished (in flight: {in_flight})")),
        Reach::Ready { .. }
        | Reach::Starting { .. }
        | Reach::Recycling { .. }
        | Reach::Waiting { .. }
        | Reach::BreakerOpen { .. }
        | Reach::Asleep
        | Reach::Stopped { .. }
        | Reach::Draining => None,
    }
}

/// The phase that a reader is shown.
pub(crate) fn phase(
    restart: Restart,
    child: Option<&ChildState>,
    view: &ServerView,
    standing: Standing,
    breaker: &BreakerState,
    reach: &Reach,
) -> api::Phase {
    let leaves = matches!(reach, Reach::Yielding { .. } | Reach::Finishing { .. });
    match phase_of(child, running_phase(view, standing)) {
        api::Phase::Ready | api::Phase::Busy if leaves => api::Phase::Draining,
        // Nobody will start it again by himself.
        api::Phase::Suspended if restart == Restart::Temporary => api::Phase::Failed,
        // A delay that an earlier run has left to us is kept by a suspension, and is a delay all the same.
        api::Phase::Suspended if *breaker == BreakerState::Closed => api::Phase::Backoff,
        phase => phase,
    }
}

fn running_phase(view: &ServerView, standing: Standing) -> api::Phase {
    match view.phase {
        ServerPhase::Absent | ServerPhase::Starting => api::Phase::Starting,
        ServerPhase::Loading => api::Phase::Loading,
        ServerPhase::Stopping => api::Phase::Stopping,
        ServerPhase::Ready { .. } => match standing {
            Standing::Unwatched | Standing::Trusted => api::Phase::Ready,
            Standing::Busy => api::Phase::Busy,
            Standing::Suspect => api::Phase::Suspect,
        },
    }
}

fn reason_of(
    phase: api::Phase,
    server: Option<&ChildStatus>,
    breaker: &api::Breaker,
    last_error: Option<&str>,
) -> Option<String> {
    let last = server.and_then(|child| child.last_exit.as_ref()).map(|exit| &exit.reason);
    let last_exit = || last.map(ToString::to_string);
    // A start after an end that was asked for is no restart after anything.
    let failure =
        || last.filter(|exit| matches!(exit, ExitReason::Failed(_) | ExitReason::Killed)).map(ToString::to_string);
    match phase {
        api::Phase::Ready | api::Phase::Draining => None,
        api::Phase::Starting | api::Phase::Loading => failure().map(|exit| format!("restarting after: {exit}")),
        api::Phase::Busy | api::Phase::Suspect => last_error.map(str::to_owned),
        // One that is held for an earlier run's failures has neither.
        api::Phase::Suspended => breaker.reason.clone().or_else(last_exit).or_else(|| held_for(server)),
        api::Phase::Backoff => last_exit().or_else(|| held_for(server)),
        api::Phase::Stopped if matches!(last, Some(ExitReason::Normal)) => {
            Some("it has ended by itself, as it may (restart.policy)".to_owned())
        }
        api::Phase::Stopped => Some("stopped on request".to_owned()),
        api::Phase::Stopping | api::Phase::Failed => last_exit(),
    }
}

/// What the child was suspended for.
fn held_for(server: Option<&ChildStatus>) -> Option<String> {
    match &server?.state {
        ChildState::Suspended { reason, .. } => Some(reason.to_string()),
        ChildState::Down
        | ChildState::Starting
        | ChildState::Up
        | ChildState::Ready
        | ChildState::Stopping
        | ChildState::Waiting { .. }
        | ChildState::Stuck => None,
    }
}

fn breaker_of(server: &Server, gate: &mlx_tree_policy::RestartSnapshot, clock: Clock) -> api::Breaker {
    let (state, reason, half_open_in_s) = match &gate.breaker {
        BreakerState::Closed => (api::BreakerState::Closed, None, None),
        BreakerState::Open { until, reason, .. } => {
            (api::BreakerState::Open, Some(reason.to_string()), until.map(|at| clock.seconds_until(at)))
        }
        BreakerState::HalfOpen { .. } => (api::BreakerState::HalfOpen, None, None),
    };
    let restart = server.gate.config();
    api::Breaker {
        state,
        reason,
        half_open_in_s,
        consecutive_failures: gate.consecutive_failures,
        failure_threshold: restart.breaker.failure_threshold,
        restarts_in_window: u32::try_from(gate.restarts_in_window).unwrap_or(u32::MAX),
        max_restarts: restart.intensity.max_restarts,
        period_s: restart.intensity.period.as_secs_f64(),
    }
}

fn child_of(clock: Clock, child: &ChildStatus) -> api::Child {
    api::Child {
        id: child.id.to_string(),
        state: match &child.state {
            ChildState::Down => api::ChildState::Down,
            ChildState::Starting => api::ChildState::Starting,
            ChildState::Up => api::ChildState::Up,
            ChildState::Ready => api::ChildState::Ready,
            ChildState::Stopping | ChildState::Stuck => api::ChildState::Stopping,
            ChildState::Waiting { .. } => api::ChildState::Waiting,
            ChildState::Suspended { .. } => api::ChildState::Suspended,
        },
        epoch: child.epoch.get(),
        restarts: child.restarts,
        last_exit: child.last_exit.as_ref().map(|exit| exit.reason.to_string()),
        next_start_in_s: child.next_start.map(|next| clock.seconds_until(next)),
    }
}

fn exit_of(clock: Clock, child: &ChildStatus) -> Option<api::Exit> {
    let last = child.last_exit.as_ref()?;
    let ago = clock.now().saturating_since(last.at);
    let stamp = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::try_from(ago).ok()?).ok()?;
    let (reason, code, signal, cause) = match last.reason.downcast_ref::<ServerFailure>() {
        Some(failure) => {
            let (code, signal) = match failure.ending {
                Some(Ending::Code(code)) => (Some(code), None),
                Some(Ending::Signal(signal)) => (None, Some(signal)),
                Some(Ending::Unknown) | None => (None, None),
            };
            (failure.reason.as_str().to_owned(), code, signal, failure.cause.clone())
        }
        None => (word_of(&last.reason).to_owned(), None, None, None),
    };
    Some(api::Exit {
        epoch: last.epoch.get(),
        at: stamp.to_string(),
        reason,
        code,
        signal,
        message: last.reason.to_string(),
        cause,
    })
}

fn word_of(reason: &ExitReason) -> &str {
    reason.code()
}

fn journal_of(entry: &JournalEntry, clock: Clock) -> api::JournalEntry {
    let decision = match entry.decision {
        Ruling::Restart { after } => format!("restart after {} s", after.as_secs_f64()),
        Ruling::Opened(cause) => format!("breaker opened ({})", cause.to_string().replace('_', " ")),
        Ruling::StaysOpen => "breaker stays open".to_owned(),
        Ruling::HalfOpened => "breaker half-open, one trial".to_owned(),
        Ruling::ProbationPassed => "breaker closed".to_owned(),
        Ruling::Succeeded => "failures forgotten".to_owned(),
        Ruling::Reset => "reset by the operator".to_owned(),
    };
    api::JournalEntry {
        ago_s: clock.seconds_since(entry.when),
        epoch: entry.epoch.unwrap_or(0),
        reason: entry.reason.clone(),
        decision,
    }
}

async fn memory_of(view: &ServerView) -> Option<u64> {
    let process = view.process.as_ref()?;
    usage::of_group(process).await.ok().map(|usage| usage.memory_bytes)
}

/// The phase, from the supervisor's word about the child.
fn phase_of(state: Option<&ChildState>, running: api::Phase) -> api::Phase {
    match state {
        None | Some(ChildState::Stuck) => api::Phase::Failed,
        Some(ChildState::Down) => api::Phase::Stopped,
        Some(ChildState::Stopping) => api::Phase::Stopping,
        Some(ChildState::Waiting { .. }) => api::Phase::Backoff,
        Some(ChildState::Suspended { .. }) => api::Phase::Suspended,
        Some(ChildState::Starting | ChildState::Up | ChildState::Ready) => running,
    }
}
