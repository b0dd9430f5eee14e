//! What a server's process group uses, measured now and then for those who add it up.

use std::sync::Arc;

use mlx_tree_api::Sample;
use mlx_tree_process::usage;
use mlx_tree_supervision::{SupervisorHandle, SupervisorPhase};
use tokio::time::sleep;

use crate::tree::Server;

/// Measures as long as there is a process: whenever it has come a step further, and as often as its health is asked for. Runs
/// until the tree under `root` has ended.
pub(crate) async fn measure(server: Arc<Server>, root: SupervisorHandle) {
    let mut whole = root.status();
    tokio::select! {
        () = at_intervals(&server) => {}
        _ = whole.wait_for(|status| status.phase == SupervisorPhase::Stopped) => {}
    }
}

async fn at_intervals(server: &Server) {
    let mut view = server.blueprint.view.subscribe();
    loop {
        let (epoch, process) = {
            let now = view.borrow_and_update();
            (now.epoch, now.process.clone())
        };
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
        }
        let interval = server.numbers.borrow().interval;
        tokio::select! {
            () = sleep(interval) => {}
            _ = view.changed() => {}
        }
    }
}
