//! What a server's process group uses, measured now and then: for those who add it up, and for its memory limits, by which
//! [`mlx_tree_policy::memory`] decides.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_api::{Kind, Sample};
use mlx_tree_policy::memory::{Limit, MemoryAct, MemoryLimits, MemoryReading, MemoryVerdict, MemoryWatch, Stage};
use mlx_tree_process::usage;
use mlx_tree_supervision::{SupervisorHandle, SupervisorPhase};
use tokio::time::sleep;

use crate::server::{ServerMessage, ServerPhase};
use crate::tree::Server;

/// How often at least a server with a limit is looked at. Reading what a large one uses takes tens of milliseconds.
const WATCHED: Duration = Duration::from_secs(2);

/// Measures as long as there is a process: whenever it has come a step further, and as often as its health is asked for, or more
/// often if it has a limit. Runs until the tree under `root` has ended.
pub(crate) async fn measure(server: Arc<Server>, root: SupervisorHandle) {
    let mut whole = root.status();
    tokio::select! {
        () = at_intervals(&server) => {}
        _ = whole.wait_for(|status| status.phase == SupervisorPhase::Stopped) => {}
    }
}

async fn at_intervals(server: &Arc<Server>) {
    let mut watch = MemoryWatch::default();
    let mut view = server.blueprint.view.subscribe();
    loop {
        let (epoch, phase, process) = {
            let now = view.borrow_and_update();
            (now.epoch, now.phase, now.process.clone())
        };
        let limits = server.stay.borrow().limits;
        let interval = server.numbers.borrow().interval;
        let interval = if limits.is_watched() { interval.min(WATCHED) } else { interval };
        let Some(process) = process else {
            match view.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        // One that has just gone uses nothing, which is no measurement of it.
        if let Ok(used) = usage::of_group(&process).await
            && used.processes > 0
        {
            let (memory_bytes, cpu) = (used.memory_bytes, used.cpu);
            server.blueprint.bus.sample(&Sample::Used { server: &server.name, epoch, memory_bytes, cpu });
            watch.set_confirm(interval * 3 / 4);
            heed(server, &mut watch, &limits, (epoch, phase, memory_bytes));
        }
        tokio::select! {
            () = sleep(interval) => {}
            _ = view.changed() => {}
        }
    }
}

/// Has done what the memory of the server calls for.
fn heed(
    server: &Arc<Server>,
    watch: &mut MemoryWatch,
    limits: &MemoryLimits,
    (epoch, phase, bytes): (u64, ServerPhase, u64),
) {
    let stage = match phase {
        ServerPhase::Starting | ServerPhase::Loading => Stage::Loading,
        ServerPhase::Ready { .. } if server.planned.borrow().is_some() => Stage::Leaving,
        ServerPhase::Ready { .. } => Stage::Serving,
        ServerPhase::Absent | ServerPhase::Stopping => return,
    };
    let (usage, clock) = (server.activity.usage(), server.blueprint.clock);
    let (in_flight, last_use) = (usage.in_flight, clock.point(usage.last_use));
    let reading = MemoryReading { epoch, stage, bytes, in_flight, last_use };
    let MemoryVerdict { news, act } = watch.on_reading(limits, reading, clock.now());
    if let Some(limit) = news {
        let kind = Kind::ServerMemoryHigh {
            memory_bytes: bytes,
            limit_bytes: limits.of(limit).unwrap_or(0),
            limit: limit.as_str().to_owned(),
        };
        server.blueprint.bus.emit(&server.blueprint.label, epoch, kind);
    }
    match act {
        MemoryAct::Nothing => {}
        MemoryAct::Recycle => server.recycle_unasked(said(bytes, limits, Limit::Soft).into()),
        MemoryAct::End => {
            if let Some(owner) = server.owner() {
                let _ = owner.send_message(ServerMessage::OverLimit { epoch, why: said(bytes, limits, Limit::Hard) });
            }
        }
    }
}

fn said(bytes: u64, limits: &MemoryLimits, limit: Limit) -> String {
    let mebibytes = |bytes: u64| bytes / (1024 * 1024);
    let (used, allowed) = (mebibytes(bytes), mebibytes(limits.of(limit).unwrap_or(0)));
    format!("it uses {used} MiB, more than its {} limit of {allowed} MiB", limit.as_str())
}
