//! After the leader's exit, and before it is reaped: nobody of the group, and nobody who left it, stays.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::leader::Leader;
use crate::exit::Survivor;
use crate::identity::Identity;
use crate::marks::{Marks, survivor};
use crate::os::{self, Entry};
use crate::signal::{self, Refused, Signal, Target};

/// How long the dead may take to become dead.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kills what is left of the group, then those who left it and bear its marks. Returns who is alive
/// after 2 s, which is nobody unless the kernel holds somebody or we may not signal them.
pub(super) async fn sweep(leader: &Leader, marks: &Marks) -> Vec<Survivor> {
    let patience = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        leader.signal(Signal::Kill);
        let table = os::snapshot();
        let mut left: Vec<i32> = leader.living(&table).collect();
        if left.is_empty() {
            left = end_escaped(leader.identity(), marks, &table);
        }
        if left.is_empty() {
            return Vec::new();
        }
        if Instant::now() >= patience {
            return left.into_iter().map(survivor).collect();
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Kills those who left the group but certainly descend from this life; returns who they are.
fn end_escaped(leader: &Identity, marks: &Marks, table: &[Entry]) -> Vec<i32> {
    let mut escaped = marks.bearers(leader.start_time, table);
    escaped.retain(|identity| {
        match signal::send(Target::Process(identity), Signal::Kill) {
            // It ended by itself since the table was read.
            Err(Refused::Nobody(_) | Refused::Stranger(_)) => false,
            Err(refused) => {
                tracing::debug!(pid = identity.pid, %refused, "an escaped process could not be killed");
                true
            }
            Ok(()) => true,
        }
    });
    escaped.into_iter().map(|identity| identity.pid).collect()
}
