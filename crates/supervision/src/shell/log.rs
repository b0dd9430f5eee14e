//! The supervisor's log: tracing events with the fields of OTP's reports. The target and the field names are a contract.

use std::sync::Arc;

use crate::{ChildId, Epoch, EventKind, Report, ReportContext, Shutdown};

/// The target of every event here.
const TARGET: &str = "mlx_tree::supervisor";

pub(super) fn write(supervisor: &Arc<str>, child: Option<&ChildId>, epoch: Epoch, kind: &EventKind) {
    let child = child.map_or("", ChildId::as_str);
    let (supervisor, epoch) = (&**supervisor, epoch.get());
    match kind {
        EventKind::Report(report) => write_report(supervisor, child, epoch, report),
        EventKind::ChildReady | EventKind::ChildStarted => {
            // OTP's progress report.
            tracing::info!(target: TARGET, supervisor, context = "progress", child, epoch, "{}", kind.name());
        }
        EventKind::ChildSuspended { reason, .. } => {
            tracing::warn!(target: TARGET, supervisor, context = "suspended", reason = %reason, child, epoch, "{}", kind.name());
        }
        EventKind::ChildExited { reason } | EventKind::ChildStopped { reason } => {
            tracing::debug!(target: TARGET, supervisor, reason = %reason, child, epoch, "{}", kind.name());
        }
        EventKind::SupervisorStopped { exit } => {
            tracing::info!(target: TARGET, supervisor, reason = %exit, "{}", kind.name());
        }
        EventKind::SupervisorStarted | EventKind::SupervisorStopping => {
            tracing::info!(target: TARGET, supervisor, "{}", kind.name());
        }
        EventKind::ChildStarting
        | EventKind::ChildStable
        | EventKind::ChildIgnored
        | EventKind::ChildRestartScheduled { .. }
        | EventKind::ChildResumed
        | EventKind::ChildStopping
        | EventKind::ChildKilled
        | EventKind::ChildStuck
        | EventKind::ChildRemoved => {
            tracing::debug!(target: TARGET, supervisor, child, epoch, "{}", kind.name());
        }
    }
}

fn write_report(supervisor: &str, child: &str, epoch: u64, report: &Report) {
    let context = report.context.as_str();
    let (reason, restart, shutdown) = (&report.reason, report.restart.as_str(), Limit(report.shutdown));
    match report.context {
        // Healed by the supervisor itself.
        ReportContext::StartError | ReportContext::ChildTerminated | ReportContext::ShutdownError => {
            tracing::warn!(target: TARGET, supervisor, context, %reason, child, epoch, restart, %shutdown, "supervisor report");
        }
        // For a human.
        ReportContext::Shutdown | ReportContext::KillIneffective | ReportContext::PolicyFailed => {
            tracing::error!(target: TARGET, supervisor, context, %reason, child, epoch, restart, %shutdown, "supervisor report");
        }
    }
}

/// OTP's spelling of a shutdown rule: milliseconds, `infinity` or `brutal_kill`.
struct Limit(Shutdown);

// === impl Limit ===

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Shutdown::Timeout(limit) => write!(f, "{}", limit.as_millis()),
            Shutdown::Infinity => f.write_str("infinity"),
            Shutdown::Kill => f.write_str("brutal_kill"),
        }
    }
}
