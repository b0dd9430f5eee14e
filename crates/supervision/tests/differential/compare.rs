//! Compares what this supervisor did with what OTP's did in the same case, event by event.
//!
//! One thing is allowed for here, [`in_any_order`]. Wherever else the two deliberately differ, the
//! [replay](../../examples/otp_replay/world.rs) takes OTP's view, each time by name; `docs/SUPERVISION.md` lists them all.

use serde_json::Value;

/// The first event in which the two differ.
pub(crate) struct Difference {
    at: usize,
    otp: Option<Value>,
    ours: Option<Value>,
    before: Vec<Value>,
}

/// Compares two observations of one case.
///
/// # Errors
/// The first difference, if there is one.
pub(crate) fn compare(case: &Value, otp: &[Value], ours: &[Value]) -> Result<(), Box<Difference>> {
    let is_dynamic = case["sup"]["strategy"] == "simple_one_for_one";
    let in_order = |events: &[Value]| if is_dynamic { in_any_order(events) } else { events.to_vec() };
    let (otp, ours) = (in_order(otp), in_order(ours));
    match (0..otp.len().max(ours.len())).find(|&at| otp.get(at) != ours.get(at)) {
        None => Ok(()),
        Some(at) => Err(Box::new(Difference {
            at,
            otp: otp.get(at).cloned(),
            ours: ours.get(at).cloned(),
            before: otp[at.saturating_sub(6)..at.min(otp.len())].to_vec(),
        })),
    }
}

/// A dynamic supervisor stops its children all at once, so that what happens between the first signal and its own end has no
/// order that could be compared.
fn in_any_order(events: &[Value]) -> Vec<Value> {
    let mut events = events.to_vec();
    let Some(end) = events.iter().position(|event| event["ev"] == "sup_down") else { return events };
    let is_stopping =
        |event: &Value| event["ev"] == "sig" || event["ev"] == "down" || event["what"] == "shutdown_error";
    let start = events[..end].iter().rposition(|event| !is_stopping(event)).map_or(0, |last| last + 1);
    events[start..end].sort_by_key(Value::to_string);
    events
}

// === impl Difference ===

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |event: &Option<Value>| event.as_ref().map_or_else(|| "nothing more".to_owned(), Value::to_string);
        writeln!(f, "they differ at event {}", self.at)?;
        for event in &self.before {
            writeln!(f, "  both: {event}")?;
        }
        writeln!(f, "  otp : {}", show(&self.otp))?;
        write!(f, "  ours: {}", show(&self.ours))
    }
}
