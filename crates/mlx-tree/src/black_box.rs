//! Where the black box is plugged into a tree: who it is about, and where it writes.

use std::path::Path;
use std::sync::Arc;

use mlx_tree_api::Fold;
use mlx_tree_reports::{Limits, Recorder, Shelf, Subject};
use mlx_tree_settings::ReportsSettings;
use mlx_tree_workers::tree::{Plan, ServerPlan};

/// Begins to record what happens to the servers of `plan`; `None` if no reports are wanted, or none can be kept: a tree does
/// not stay down for want of a place to write to.
pub(crate) fn record(settings: ReportsSettings, state_dir: &Path, plan: &Plan) -> Option<Arc<Recorder>> {
    if settings.keep == 0 {
        return None;
    }
    let shelf = match Shelf::open(state_dir) {
        Ok(shelf) => shelf,
        Err(error) => {
            tracing::warn!(target: "mlx_tree::reports", %error, "no reports are kept");
            return None;
        }
    };
    let keep = usize::try_from(settings.keep).unwrap_or(usize::MAX);
    let limits = Limits { keep, max_bytes: settings.max_bytes };
    let subjects = std::iter::once(&plan.server).chain(&plan.further).map(subject).collect();
    let recorder = Recorder::start(shelf, limits, subjects);
    plan.server.blueprint.bus.attach(Arc::clone(&recorder) as Arc<dyn Fold>);
    Some(recorder)
}

fn subject(server: &ServerPlan) -> Subject {
    let logs = server.blueprint.logs.clone();
    Subject {
        child: server.blueprint.label.to_string(),
        name: server.blueprint.name.to_string(),
        kind: server.shown.kind.clone(),
        model: server.shown.model.clone(),
        lines: Arc::new(move |epoch, most| logs.last_lines(epoch, most)),
    }
}
