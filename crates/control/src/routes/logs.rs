//! What the server wrote: a stream of lines, for the owner only.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::answers::{Busy, bad_query, busy, denied};
use super::{Asked, Shown};
use crate::{Operator, guard};

/// How much of the log is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// Of what is remembered, so many of the latest.
    lines: Option<usize>,
    /// `true` keeps the answer open for what is to come.
    #[serde(default)]
    follow: bool,
}

pub(super) async fn logs<O: Operator>(State(plane): Shown<O>, wanted: Asked<Wanted>, headers: HeaderMap) -> Response {
    if let Err(denial) = guard::admit_bearer(&headers, &plane.token) {
        return denied(denial);
    }
    let Query(wanted) = match wanted {
        Ok(wanted) => wanted,
        Err(rejection) => return bad_query(&rejection),
    };
    let (mut past, live) = plane.operator.logs();
    if let Some(lines) = wanted.lines {
        past.drain(..past.len().saturating_sub(lines));
    }
    let live = if wanted.follow {
        let Some(place) = plane.streams.enter(&headers, &plane.token) else {
            return busy(Busy::Streams);
        };
        Some((live, place))
    } else {
        None
    };
    let body = stream::unfold((past.into_iter(), live), |(mut past, mut live)| async move {
        let line = match past.next() {
            Some(line) => line,
            None => match live.as_mut()?.0.recv().await {
                Ok(line) => line,
                Err(RecvError::Lagged(lost)) => format!("… {lost} lines lost …"),
                Err(RecvError::Closed) => return None,
            },
        };
        Some((Ok::<_, Infallible>(Bytes::from(line + "\n")), (past, live)))
    });
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(body)).into_response()
}
