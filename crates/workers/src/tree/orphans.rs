//! What an earlier mlx-tree left behind is ended before anything is started.

use mlx_tree_api::Kind;
use mlx_tree_process::Grace;
use mlx_tree_process::state::{InstanceLock, Settled, settle_orphan};

use super::TreeError;
use crate::bus::Bus;

/// Ends the server that was left behind in `instance`, if there is one; events are stamped with `label`.
pub(super) async fn settle(instance: &InstanceLock, grace: Grace, label: &str, bus: &Bus) -> Result<(), TreeError> {
    match settle_orphan(instance, grace).await? {
        Settled::Nothing => Ok(()),
        Settled::Ended { processes } => {
            let names: Vec<_> = processes.iter().map(ToString::to_string).collect();
            let outcome = format!("ended {}", names.join(", "));
            bus.emit(label, 0, Kind::OrphanSettled { outcome });
            Ok(())
        }
        Settled::Held { holders } => {
            let names: Vec<_> = holders.iter().map(ToString::to_string).collect();
            Err(TreeError::Orphan(names.join(", ")))
        }
    }
}
