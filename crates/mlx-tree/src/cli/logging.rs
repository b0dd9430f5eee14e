//! What is written to stderr: the narration for people, or structured records for machines.

use std::io::{self, Write as _};
use std::sync::Arc;

use mlx_tree_api::{Event, Language, narrate};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tracing_subscriber::EnvFilter;

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The narration, a line an event; beside it only warnings of other origin.
    Narration,
    /// Records as text.
    Text,
    /// Records as JSON, one a line.
    Json,
}

/// Sets the process's log up. `level` is a level, or directives as in `RUST_LOG`.
///
/// # Errors
/// When `level` is neither.
pub(crate) fn set_up(format: Format, level: &str) -> Result<(), String> {
    let filter = |directives: &str| EnvFilter::try_new(directives).map_err(|error| error.to_string());
    match format {
        // The events themselves are told in plain words; see `tell`.
        Format::Narration => {
            let others = filter(&format!("{},mlx_tree::event=off{}", at_most_warn(level), told_already(level)))?;
            tracing_subscriber::fmt().with_env_filter(others).with_writer(io::stderr).without_time().init();
        }
        Format::Text => tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(io::stderr).init(),
        Format::Json => {
            tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_env_filter(filter(level)?)
                .with_writer(io::stderr)
                .init();
        }
    }
    Ok(())
}

/// The supervisor's reports say once more what the narration says; they are for those who look closely.
fn told_already(level: &str) -> &'static str {
    if matches!(level, "debug" | "trace") { "" } else { ",mlx_tree::supervisor=off" }
}

/// Beside the narration, routine records are noise, unless somebody asks for them by `debug` or `trace`.
fn at_most_warn(level: &str) -> &str {
    if level.eq_ignore_ascii_case("info") { "warn" } else { level }
}

/// Writes the narration of every event to stderr until the bus is gone. A line that cannot be written (a full disk, a closed
/// terminal) is dropped: the log is never a reason to stop.
pub(crate) async fn tell(past: Vec<Arc<Event>>, mut live: broadcast::Receiver<Arc<Event>>, language: Language) {
    for event in past {
        write(&event, language);
    }
    loop {
        match live.recv().await {
            Ok(event) => write(&event, language),
            Err(RecvError::Lagged(lost)) => {
                let _ = writeln!(io::stderr(), "… {lost} events lost …");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn write(event: &Event, language: Language) {
    if let Some(text) = narrate(event, language) {
        let _ = writeln!(io::stderr(), "{text}");
    }
}
