//! What the server can bear: every field that it reads, by type, range and shape.

use serde_json::{Map, Value};

use super::{Endpoint, Served, not_allowed};
use crate::refusal::Refusal;

/// What would make the server load something.
const LOADS: [&str; 2] = ["adapters", "draft_model"];

/// Checks the fields that the server reads.
pub(super) fn check(_endpoint: Endpoint, fields: &Map<String, Value>, _served: &Served) -> Result<(), Refusal> {
    match LOADS.iter().find(|name| fields.get(**name).is_some_and(|value| !value.is_null())) {
        Some(name) => Err(not_allowed(*name, "the server would load whatever it names")),
        None => Ok(()),
    }
}
