//! Compares what this supervisor did with what OTP's did in the same case, event by event.
//!
//! Two things are allowed for here, [`in_any_order`] and [`until_ignored_again`]. Wherever else the two deliberately differ,
//! the [replay](../../examples/otp_replay/world.rs) takes OTP's view, each time by name; `docs/SUPERVISION.md` lists them all.

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
    let comparable =
        |events: &[Value]| if is_dynamic { in_any_order(until_ignored_again(events)) } else { events.to_vec() };
    let (otp, ours) = (comparable(otp), comparable(ours));
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

/// A dynamic child that is ignored on an automatic restart stays in OTP's books without a process, for ever; we forget it. So
/// nothing that comes later can be compared. (It happens when a label is started again while it runs: the new script then
/// counts for the old child.)
fn until_ignored_again(events: &[Value]) -> &[Value] {
    // A first start is answered at once.
    let is_restart = |pair: &[Value]| pair[0]["out"] == "ignore" && pair[1]["r"] != "ok:undefined";
    match events.windows(2).position(is_restart) {
        Some(at) => &events[..=at],
        None => events,
    }
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
