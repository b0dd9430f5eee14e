//! `mlx-tree events`: what has happened and what happens, told as in the log, or as JSON.

use std::io::{self, Write as _};

use mlx_tree::control::Heard;
use mlx_tree_api::{Event, Language, narrate};

use super::ask::{client, failed};
use super::report::{Code, Report};
use super::settings::Loaded;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In words; what is routine is left out.
    Told(Language),
    /// A JSON document a line, with everything.
    Json,
}

/// Whether to go on with events that are yet to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// No: the remembered ones are all.
    Now,
    /// Until mlx-tree ends.
    TheEnd,
}

/// Whether somebody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

/// Shows the last `lines` events, and those to come.
pub(crate) async fn events(loaded: Loaded, lines: usize, form: Form, until: Until) -> Result<Code, Report> {
    let client = client(&loaded)?;
    let past = client.past_events().await.map_err(failed)?;
    let shown: Vec<_> = past.iter().filter_map(|event| form.text(event)).collect();
    let last = past.last().map_or(0, |event| event.seq);
    for text in &shown[shown.len().saturating_sub(lines)..] {
        if write(text) == Reader::Gone {
            return Ok(Code::Ok);
        }
    }
    if until == Until::Now {
        return Ok(Code::Ok);
    }
    let mut events = client.events(last).await.map_err(failed)?;
    while let Some(heard) = events.next().await.map_err(failed)? {
        let text = match heard {
            Heard::Event(event) => form.text(&event),
            Heard::Lost(count) => form.lost(count),
            Heard::Restarted => None,
        };
        if text.is_some_and(|text| write(&text) == Reader::Gone) {
            break;
        }
    }
    // Whoever read has seen enough, or mlx-tree has ended.
    Ok(Code::Ok)
}

fn write(text: &str) -> Reader {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Reader::There,
        Err(_) => Reader::Gone,
    }
}

// === impl Form ===

impl Form {
    fn text(self, event: &Event) -> Option<String> {
        match self {
            Self::Told(language) => Some(format!("{}  {}", second(&event.at), narrate(event, language)?)),
            Self::Json => serde_json::to_string(event).ok(),
        }
    }

    fn lost(self, count: u64) -> Option<String> {
        match self {
            Self::Told(language) => Some(format!("… {count} {} …", language.pick("events lost", "событий потеряно"))),
            Self::Json => Some(format!("{{\"lost\":{count}}}")),
        }
    }
}

/// A stamp without its fraction of a second.
fn second(at: &str) -> String {
    match at.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => at.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mlx_tree_api::Kind;

    use super::*;

    #[test]
    fn events_are_told_with_their_time_or_given_whole() {
        let at = "2026-01-02T03:04:05.678Z".to_owned();
        let event = |kind| Event { seq: 1, at: at.clone(), child: "server".to_owned(), epoch: 1, server: None, kind };
        let failed = event(Kind::HealthFailed { streak: 1, threshold: 3, reason: "no answer".to_owned() });
        let told = Form::Told(Language::Ru).text(&failed).expect("it is told");
        assert!(told.starts_with("2026-01-02T03:04:05Z  ⚠️ [SUPERVISOR] Health check failed (1/3)"), "{told}");
        let routine = event(Kind::ServerLoading);
        assert_eq!(Form::Told(Language::En).text(&routine), None);
        let json = Form::Json.text(&routine).expect("it is given");
        assert_eq!(serde_json::from_str::<Event>(&json).expect("JSON"), routine);
    }
}
