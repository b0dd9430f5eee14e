//! What is written to stderr while the program runs: the narration for people, or structured records for machines.

mod sink;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mlx_tree::settings::LogLevel;
use mlx_tree::workers::server::diagnosis::Reason;
use mlx_tree_api::{Event, Kind, Language, narrate};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, registry, reload};

use self::sink::Sink;

/// At the end of the program so long is waited for one who reads the log slowly.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The log of this process, once it has been set up.
static LOG: OnceLock<Sink> = OnceLock::new();

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

/// What of the log can be changed while it is written. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogDial {
    format: Format,
    filter: reload::Handle<Targets, Registry>,
    language: watch::Sender<Language>,
}

// === impl LogDial ===

impl LogDial {
    /// Writes so much from now on, and speaks this language.
    pub(crate) fn change(&self, level: LogLevel, language: Language) {
        if let Err(error) = self.filter.reload(filter(self.format, level)) {
            tracing::warn!(%error, "the level of the log stays as it is");
        }
        self.language.send_replace(language);
    }

    /// The language that it speaks, as it changes.
    pub(crate) fn language(&self) -> watch::Receiver<Language> {
        self.language.subscribe()
    }
}

/// Sets the process's log up: from now on nobody who [says](say) something waits for one who reads it.
///
/// # Errors
/// When there can be no thread for it.
pub(crate) fn set_up(format: Format, level: LogLevel, language: Language) -> io::Result<LogDial> {
    let sink = Sink::start(io::stderr(), move |count| lost(format, count, language))?;
    let _ = LOG.set(sink.clone());
    let layer = fmt::layer().with_writer(move || sink.clone());
    let log = match format {
        Format::Narration => layer.without_time().boxed(),
        Format::Text => layer.boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    let (chosen, handle) = reload::Layer::new(filter(format, level));
    registry().with(log.with_filter(chosen)).init();
    Ok(LogDial { format, filter: handle, language: watch::Sender::new(language) })
}

/// Writes `text`, which is whole lines, to where the log goes.
pub(crate) fn say(text: &str) {
    match LOG.get() {
        Some(sink) => sink.push(text.as_bytes()),
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Resolves what is on its way to the log; one who does not read it is not waited for long.
pub(crate) fn finish() {
    if let Some(sink) = LOG.get() {
        sink.flush(LAST_LINES);
    }
}

/// That so many lines found no reader.
fn lost(format: Format, count: u64, language: Language) -> String {
    match format {
        Format::Narration | Format::Text => {
            let words = language.pick("lines of the log lost", "строк журнала потеряно");
            format!("… {count} {words} …\n")
        }
        Format::Json => format!("{{\"level\":\"WARN\",\"target\":\"mlx_tree::log\",\"lost\":{count}}}\n"),
    }
}

/// What is written, by target. Targets and levels are all that is needed; a filter that takes more brings a regex engine,
/// which was a tenth of the program.
fn filter(format: Format, level: LogLevel) -> Targets {
    let wanted = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    match (format, level) {
        (Format::Text | Format::Json, _) => Targets::new().with_default(wanted),
        // The events themselves are told in plain words; see `tell`. Beside them routine records are noise, and the
        // supervisor's reports say it all once more, unless somebody looks closely.
        (Format::Narration, LogLevel::Error | LogLevel::Warn | LogLevel::Info) => Targets::new()
            .with_default(wanted.min(LevelFilter::WARN))
            .with_target("mlx_tree::event", LevelFilter::OFF)
            .with_target("mlx_tree::supervisor", LevelFilter::OFF),
        (Format::Narration, LogLevel::Debug | LogLevel::Trace) => {
            Targets::new().with_default(wanted).with_target("mlx_tree::event", LevelFilter::OFF)
        }
    }
}

/// Writes the narration of every event until the bus is gone.
pub(crate) async fn tell(
    past: Vec<Arc<Event>>,
    mut live: broadcast::Receiver<Arc<Event>>,
    language: watch::Receiver<Language>,
) {
    for event in past {
        write(&event, *language.borrow());
    }
    loop {
        match live.recv().await {
            Ok(event) => write(&event, *language.borrow()),
            Err(RecvError::Lagged(lost)) => {
                let words = language.borrow().pick("events lost", "событий потеряно");
                say(&format!("… {lost} {words} …\n"));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn write(event: &Event, language: Language) {
    let Some(mut text) = narrate(event, language) else { return };
    if let Some(help) = help(&event.kind) {
        let _ = write!(text, "\n   ↳ {}: {}", language.pick("help", "что делать"), language.say(help));
    }
    text.push('\n');
    say(&text);
}

/// What the reader can do about it, where mlx-tree cannot.
fn help(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::ServerExited { reason, .. } => Reason::of_word(reason)?.help(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn beside_the_narration_only_what_it_does_not_tell_is_written() {
        let narrated = filter(Format::Narration, LogLevel::Info);
        assert!(!narrated.would_enable("mlx_tree::event", &Level::ERROR));
        assert!(!narrated.would_enable("mlx_tree::supervisor", &Level::ERROR));
        assert!(narrated.would_enable("mlx_tree::server", &Level::WARN));
        assert!(!narrated.would_enable("mlx_tree::server", &Level::INFO));
        let closely = filter(Format::Narration, LogLevel::Debug);
        assert!(closely.would_enable("mlx_tree::supervisor", &Level::DEBUG));
        assert!(!closely.would_enable("mlx_tree::event", &Level::ERROR));
        let records = filter(Format::Json, LogLevel::Info);
        assert!(records.would_enable("mlx_tree::event", &Level::INFO));
        assert!(!records.would_enable("mlx_tree::event", &Level::DEBUG));
    }
    #[test]
    fn who_can_do_something_is_told_what() {
        let exited = |reason: &str| Kind::ServerExited {
            reason: reason.to_owned(),
            code: None,
            signal: None,
            message: String::new(),
            cause: None,
        };
        assert!(help(&exited("port_in_use")).is_some_and(|help| help.contains("server.port")));
        assert_eq!(help(&exited("killed")), None);
        assert_eq!(help(&Kind::HealthMonitoring), None);
    }
}
