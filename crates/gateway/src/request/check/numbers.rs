//! The numbers that say how to generate.

use serde_json::{Number, Value};

use super::super::catalogue::{Release, Served};
use super::{Chance, FEW, Fields, invalid, kind};
use crate::refusal::Refusal;

/// What a number must be.
#[derive(Clone, Copy)]
enum Rule {
    /// Whole: 4 but not 4.0, within these.
    Whole(i64, i64),
    /// Any number within these.
    Real(f64, f64),
    /// 0 for none at all, or within these.
    Factor(f64, f64),
    /// Within these, and with a decimal point: the server refuses the whole numbers 0 and 1 here.
    Pointed(f64, f64),
}

/// MLX takes a Python integer for 64 bits. One beyond them is an exception in the generation thread, which ends it. Floating
/// point numbers of that size mean nothing either.
const WIDE: f64 = 9.2e18;

/// Logits are divided by the penalty, in 32 bits. By next to nothing they become infinite, and log probabilities `NaN`, which is no
/// JSON; this is far from that also for a logit with the largest bias, 10^30.
const SLIGHT: f64 = 1e-6;

/// Indices are 32 bits wide in MLX: a slice further back than that is an exception in the generation thread.
const BACK: i64 = i32::MAX as i64;

/// As large as nobody's answer. The server counts with it and does not allocate by it.
const LONG: i64 = i32::MAX as i64;

const RULES: [(&str, Rule); 17] = [
    ("max_tokens", Rule::Whole(1, LONG)),
    ("max_completion_tokens", Rule::Whole(1, LONG)),
    ("temperature", Rule::Real(0.0, WIDE)),
    ("top_p", Rule::Real(0.0, 1.0)),
    ("top_k", Rule::Whole(0, i64::MAX)),
    ("min_p", Rule::Real(0.0, 1.0)),
    ("repetition_penalty", Rule::Factor(SLIGHT, WIDE)),
    ("repetition_context_size", Rule::Whole(0, BACK)),
    ("presence_penalty", Rule::Real(-WIDE, WIDE)),
    ("presence_context_size", Rule::Whole(0, BACK)),
    ("frequency_penalty", Rule::Real(-WIDE, WIDE)),
    ("frequency_context_size", Rule::Whole(0, BACK)),
    ("num_draft_tokens", Rule::Whole(0, LONG)),
    ("top_logprobs", Rule::Whole(-1, 11)),
    ("xtc_probability", Rule::Pointed(0.0, 1.0)),
    ("xtc_threshold", Rule::Pointed(0.0, 1.0)),
    // The server makes one choice, whatever it is asked for. Two are not one.
    ("n", Rule::Whole(1, 1)),
];

/// Above this `xtc_threshold` is an exception in the generation thread, where it is looked at.
const XTC_THRESHOLD: f64 = 0.5;

/// Checks them.
pub(super) fn check(fields: Fields<'_>, chance: Chance, served: &Served) -> Result<(), Refusal> {
    for (name, rule) in RULES {
        if let Some(value) = fields.get(name) {
            rule.check(value).map_err(|why| invalid(name, why))?;
        }
    }
    seed(fields)?;
    fields.wants("logprobs", "true or false (how many is said by `top_logprobs`)", Value::is_boolean)?;
    match chance {
        Chance::None => Ok(()),
        Chance::Some => drawing(fields, served),
    }
}

/// The seed is given to a function that takes 64 bits without a sign, after the answer has begun.
fn seed(fields: Fields<'_>) -> Result<(), Refusal> {
    fields.wants("seed", "a whole number from 0 to 18446744073709551615", Value::is_u64)
}

/// What is looked at only when tokens are drawn.
fn drawing(fields: Fields<'_>, served: &Served) -> Result<(), Refusal> {
    let top_k = fields.get("top_k").and_then(Value::as_u64).unwrap_or_default();
    let bound = served.vocabulary.unwrap_or(FEW);
    if top_k >= u64::from(bound) && top_k > 0 {
        let known = if served.vocabulary.is_some() {
            "the model has"
        } else {
            "the number of tokens is not known, but at least"
        };
        return Err(invalid("top_k", format!("it is below {bound} ({known} {bound} tokens), and 0 means no limit")));
    }
    let above_zero = |name: &str| fields.get(name).and_then(Value::as_f64).filter(|value| *value > 0.0);
    if let (Release::Older, Some(_)) = (served.release, above_zero("xtc_probability")) {
        return Err(invalid("xtc_probability", "this version of the server does not survive it"));
    }
    let xtc = above_zero("xtc_probability").is_some();
    if xtc && above_zero("xtc_threshold").is_some_and(|threshold| threshold > XTC_THRESHOLD) {
        return Err(invalid("xtc_threshold", format!("it is at most {XTC_THRESHOLD}")));
    }
    Ok(())
}

// === impl Rule ===

impl Rule {
    fn check(self, value: &Value) -> Result<(), String> {
        let what = match self {
            Self::Whole(..) => "a whole number",
            Self::Real(..) | Self::Factor(..) => "a number",
            Self::Pointed(..) => "a number with a decimal point",
        };
        let Value::Number(number) = value else {
            return Err(format!("it is {what}, not {}", kind(value)));
        };
        match self {
            Self::Whole(least, most) => match number.as_i64() {
                Some(it) if (least..=most).contains(&it) => Ok(()),
                Some(_) => Err(between(least, most)),
                None if number.is_u64() => Err(between(least, most)),
                None => Err(format!("it is {what}, not {}", kind(value))),
            },
            Self::Real(least, most) => within(number, least, most),
            Self::Factor(..) if number.as_f64() == Some(0.0) => Ok(()),
            Self::Factor(least, most) => within(number, least, most).map_err(|why| format!("{why}, or 0 for none")),
            Self::Pointed(least, most) if number.is_f64() => within(number, least, most),
            Self::Pointed(..) => Err(format!("it is {what} (0.0, not 0)")),
        }
    }
}

fn within(number: &Number, least: f64, most: f64) -> Result<(), String> {
    let inside = number.as_f64().is_some_and(|it| (least..=most).contains(&it));
    if inside { Ok(()) } else { Err(between(least, most)) }
}

fn between(least: impl std::fmt::Display, most: impl std::fmt::Display) -> String {
    format!("it is from {least} to {most}")
}
