//! Whether it lives, whether it is ready, whether all is well: three questions of those who watch from outside.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use mlx_tree_api::{Probed, Verdict};
use tokio::time::timeout;

use super::answers::json;
use super::{Shown, silent};
use crate::Operator;

/// 200 if the tree answers itself.
pub(super) async fn livez<O: Operator>(State(plane): Shown<O>) -> Response {
    let mut reasons = Vec::new();
    match timeout(plane.limits.round_trip, plane.operator.alive()).await {
        Ok(true) => {}
        Ok(false) => reasons.push("the tree has ended".to_owned()),
        Err(_) => reasons.push(format!("the tree has not answered for {} s", plane.limits.round_trip.as_secs_f64())),
    }
    answer(&Probed { status: verdict(&reasons), reasons, degraded: Vec::new() })
}

/// 200 if a request that comes now can be answered. What is degraded is told, and does not count.
pub(super) async fn readyz<O: Operator>(State(plane): Shown<O>) -> Response {
    let Some(document) = plane.status().await else { return silent() };
    let status = &document.status;
    let reasons = status.readiness().err().unwrap_or_default();
    answer(&Probed { status: verdict(&reasons), reasons, degraded: status.degraded.clone() })
}

/// 200 if a request can be answered and nothing is degraded.
pub(super) async fn healthz<O: Operator>(State(plane): Shown<O>) -> Response {
    let Some(document) = plane.status().await else { return silent() };
    let status = &document.status;
    let mut reasons = status.readiness().err().unwrap_or_default();
    reasons.extend(status.degraded.iter().cloned());
    answer(&Probed { status: verdict(&reasons), reasons, degraded: status.degraded.clone() })
}

fn verdict(reasons: &[String]) -> Verdict {
    if reasons.is_empty() { Verdict::Ok } else { Verdict::Unavailable }
}

fn answer(probed: &Probed) -> Response {
    let status = match probed.status {
        Verdict::Ok => StatusCode::OK,
        Verdict::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    json(status, probed)
}
