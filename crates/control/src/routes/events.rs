//! `GET /events`: what has happened and what happens, as server-sent events or as a JSON document a line.
//!
//! ```text
//! where the reader is            what comes first
//! nowhere, or at our number n    what is remembered above n
//! below what is remembered       `lost` with the count, then all that is remembered
//! of another run, or above ours  `restarted`, then all that is remembered
//! ```
//!
//! A number counts in its run only. So the `id` of an event names both, and a browser, which sends back nothing else, goes on
//! rightly with an mlx-tree that was started again and has come further than the one before.
//!
//! *Architecture Invariant:* between what is remembered and what happens next, no event is left out or told twice.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use mlx_tree_api::Event;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::answers::{Busy, bad_query, busy};
use super::{Asked, Shown};
use crate::Operator;

/// The header that names the run of mlx-tree whose events these are.
pub(crate) const RUN: HeaderName = HeaderName::from_static("mlx-tree-run");

/// A reader that hears nothing for longer may take the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// So soon a browser should come back when a stream has ended, in milliseconds.
const RETRY_MS: u32 = 2000;

/// Which events are wanted, and from where on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    /// Only events above this number.
    after: Option<u64>,
    /// The run in which that number was seen.
    run: Option<String>,
    /// Of what is remembered, so many of the latest.
    lines: Option<usize>,
    /// Whether the answer stays open for what is to come. By itself a stream of server-sent events does, and lines do not.
    follow: Option<bool>,
}

/// The last event that a reader has seen, by its `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    seq: u64,
    /// Its run, unless the reader has only kept the number.
    run: Option<String>,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Sse,
    Lines,
}

/// One thing that a reader is told.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    /// Which run this is, and the number of its latest event.
    Hello { latest: u64 },
    /// The reader's number is of an earlier run: what follows begins with the first event that is remembered.
    Restarted,
    /// So many events that the reader wanted are remembered no more.
    Lost(u64),
    /// It happened.
    Event(Arc<Event>),
    /// Nothing happened for a while.
    Heartbeat,
}

pub(super) async fn events<O: Operator>(State(plane): Shown<O>, wanted: Asked<Wanted>, headers: HeaderMap) -> Response {
    let Query(wanted) = match wanted {
        Ok(wanted) => wanted,
        Err(rejection) => return bad_query(&rejection),
    };
    let form = Form::of(&headers);
    let seen = headers.get("last-event-id").and_then(|value| Seen::of(value.to_str().ok()?.trim()));
    let place = if wanted.follow.unwrap_or(form == Form::Sse) {
        let Some(place) = plane.streams.enter(&headers, &plane.token) else {
            return busy(Busy::Streams);
        };
        Some(place)
    } else {
        None
    };
    let (remembered, live) = plane.operator.events(0);
    let first = begin(&plane.run, remembered, seen.as_ref(), &wanted);
    let live = place.map(|place| (live, place));
    let body = stream::unfold((first, live, Arc::clone(&plane.run)), move |(mut first, mut live, run)| async move {
        let told = match first.pop_front() {
            Some(told) => told,
            None => next(&mut live.as_mut()?.0).await?,
        };
        Some((Ok::<_, Infallible>(Bytes::from(form.write(&told, &run))), (first, live, run)))
    });
    let run = HeaderValue::try_from(&*plane.run).unwrap_or(HeaderValue::from_static(""));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(form.kind())), (RUN, run)], Body::from_stream(body))
        .into_response()
}

/// What comes before the events that are yet to happen. What the header says is newer than what the address says, which a
/// browser repeats whenever it comes back.
fn begin(run: &str, remembered: Vec<Arc<Event>>, seen: Option<&Seen>, wanted: &Wanted) -> VecDeque<Told> {
    let latest = remembered.last().map_or(0, |event| event.seq);
    let oldest = remembered.first().map_or(1, |event| event.seq);
    let mut told = VecDeque::from([Told::Hello { latest }]);
    let mut after = seen.map(|seen| seen.seq).or(wanted.after).unwrap_or(0);
    let theirs = seen.and_then(|seen| seen.run.as_deref()).or(wanted.run.as_deref());
    if after > latest || theirs.is_some_and(|theirs| theirs != run) {
        told.push_back(Told::Restarted);
        after = 0;
    }
    if after > 0 && after + 1 < oldest {
        told.push_back(Told::Lost(oldest - after - 1));
    }
    let mut past: VecDeque<_> = remembered.into_iter().filter(|event| event.seq > after).collect();
    if let Some(lines) = wanted.lines {
        past.drain(..past.len().saturating_sub(lines));
    }
    told.extend(past.into_iter().map(Told::Event));
    told
}

async fn next(live: &mut broadcast::Receiver<Arc<Event>>) -> Option<Told> {
    match timeout(HEARTBEAT, live.recv()).await {
        Ok(Ok(event)) => Some(Told::Event(event)),
        Ok(Err(RecvError::Lagged(lost))) => Some(Told::Lost(lost)),
        Ok(Err(RecvError::Closed)) => None,
        Err(_) => Some(Told::Heartbeat),
    }
}

// === impl Seen ===

impl Seen {
    /// `RUN-NUMBER`, as we write it, or a mere number. `None` for anything else.
    fn of(id: &str) -> Option<Self> {
        match id.rsplit_once('-') {
            Some(("", _)) => None,
            Some((run, seq)) => Some(Self { seq: seq.parse().ok()?, run: Some(run.to_owned()) }),
            None => Some(Self { seq: id.parse().ok()?, run: None }),
        }
    }
}

// === impl Form ===

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter().any(|accept| {
            accept.to_str().is_ok_and(|kinds| {
                kinds.split(',').any(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/x-ndjson")
            })
        });
        if lines { Self::Lines } else { Self::Sse }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    fn write(self, told: &Told, run: &str) -> String {
        match (self, told) {
            (Self::Sse, Told::Hello { latest }) => {
                format!("retry: {RETRY_MS}\nevent: hello\ndata: {{\"run\":\"{run}\",\"latest\":{latest}}}\n\n")
            }
            (Self::Sse, Told::Restarted) => "event: restarted\ndata: {}\n\n".to_owned(),
            (Self::Sse, Told::Lost(count)) => format!("event: lost\ndata: {{\"count\":{count}}}\n\n"),
            (Self::Sse, Told::Event(event)) => {
                format!("id: {run}-{}\nevent: {}\ndata: {}\n\n", event.seq, event.kind.name(), document(event))
            }
            (Self::Sse, Told::Heartbeat) => ": still here\n\n".to_owned(),
            // The run stands in a header, and a line that is no event would be in the way of those who count on events.
            (Self::Lines, Told::Hello { .. } | Told::Heartbeat) => String::new(),
            (Self::Lines, Told::Restarted) => "{\"restarted\":true}\n".to_owned(),
            (Self::Lines, Told::Lost(count)) => format!("{{\"lost\":{count}}}\n"),
            (Self::Lines, Told::Event(event)) => document(event) + "\n",
        }
    }
}

/// The event as one line of JSON. It has no line ends in it: JSON escapes them.
fn document(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

#[cfg(test)]
#[path = "events/tests.rs"]
mod tests;
