//! The gate's history on disk, valid for one boot of the machine.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mlx_tree_policy::{RecordedState, RestartRecord, TripCause};
use serde_json::{Value, json};

/// Where the history is kept. Its times count from the machine's boot, so it is forgotten with the boot.
#[derive(Debug, Clone)]
pub struct History {
    path: PathBuf,
    boot_id: String,
}

/// The history could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the restart history cannot be written to {}", path.display())]
pub struct HistoryError {
    path: PathBuf,
    source: io::Error,
}

// === impl History ===

impl History {
    /// The history in `state_dir`.
    #[must_use]
    pub fn in_dir(state_dir: &Path) -> Self {
        Self { path: state_dir.join("restart-history.json"), boot_id: mlx_tree_process::clock::boot_id().to_owned() }
    }

    /// Reads it. `None` when there is none, when it is of another boot, or when it makes no sense: without a history the
    /// server simply gets its first five tries again.
    #[must_use]
    pub fn read(&self) -> Option<RestartRecord> {
        let document: Value = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        if document["boot_id"] == self.boot_id.as_str() { from_json(&document["record"]) } else { None }
    }

    /// Writes it, in one step: whoever reads sees the old one or the new one.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, record: &RestartRecord) -> Result<(), HistoryError> {
        let document = json!({"boot_id": self.boot_id, "record": to_json(record)});
        let fresh = self.path.with_extension("json.new");
        let write = || -> io::Result<()> {
            // One left behind by a crash, or a link put there: removed, never written through.
            let _ = fs::remove_file(&fresh);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(document.to_string().as_bytes())?;
            file.sync_data()?;
            fs::rename(&fresh, &self.path)
        };
        write().map_err(|source| HistoryError { path: self.path.clone(), source })
    }
}

fn to_json(record: &RestartRecord) -> Value {
    let seconds = |span: Duration| span.as_secs_f64();
    let state = match &record.state {
        RecordedState::Closed => json!({"name": "closed"}),
        RecordedState::Open { until, cycle, cause, detail } => json!({
            "name": "open", "until": until.map(seconds), "cycle": cycle, "cause": cause.to_string(), "detail": detail,
        }),
        RecordedState::HalfOpen { since, deadline } => {
            json!({"name": "half_open", "since": seconds(*since), "deadline": seconds(*deadline)})
        }
    };
    json!({
        "consecutive_failures": record.consecutive_failures,
        "openings": record.openings,
        "restarts": record.restarts.iter().copied().map(seconds).collect::<Vec<_>>(),
        "pending": record.pending.map(seconds),
        "state": state,
    })
}

fn from_json(value: &Value) -> Option<RestartRecord> {
    let span = |value: &Value| Duration::try_from_secs_f64(value.as_f64()?).ok();
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let state = &value["state"];
    let state = match state["name"].as_str()? {
        "closed" => RecordedState::Closed,
        "open" => RecordedState::Open {
            until: span(&state["until"]),
            cycle: number(&state["cycle"])?,
            cause: state["cause"].as_str()?.parse::<TripCause>().ok()?,
            detail: state["detail"].as_str()?.to_owned(),
        },
        "half_open" => RecordedState::HalfOpen { since: span(&state["since"])?, deadline: span(&state["deadline"])? },
        _ => return None,
    };
    Some(RestartRecord {
        consecutive_failures: number(&value["consecutive_failures"])?,
        openings: number(&value["openings"])?,
        restarts: value["restarts"].as_array()?.iter().map(span).collect::<Option<_>>()?,
        pending: span(&value["pending"]),
        state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RestartRecord {
        RestartRecord {
            consecutive_failures: 6,
            openings: 2,
            restarts: vec![Duration::from_secs(10), Duration::from_millis(12_500)],
            pending: None,
            state: RecordedState::Open {
                until: Some(Duration::from_secs(100)),
                cycle: 1,
                cause: TripCause::TrialFailed,
                detail: "killed".to_owned(),
            },
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let history = History::in_dir(dir.path());
        assert_eq!(history.read(), None);
        history.write(&record()).expect("written");
        assert_eq!(history.read(), Some(record()));
    }

    #[test]
    fn another_boots_history_and_a_torn_file_are_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut history = History::in_dir(dir.path());
        history.write(&record()).expect("written");
        history.boot_id = "another".to_owned();
        assert_eq!(history.read(), None);
        let text = fs::read(&history.path).expect("there");
        fs::write(&history.path, &text[..text.len() / 2]).expect("torn");
        assert_eq!(history.read(), None);
    }
}
