//! What tells one state from another: everything that decides what happens next, and nothing else.
//!
//! Two states that are the same but for the time on the clock go on in the same way, so times are told by how far they are
//! from now. (All times of the walks are whole seconds, so that OTP's window of whole seconds does not see the difference.)
//! What is too long ago for any rule to look at is left out, and so is what is kept for people only.

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use mlx_tree_supervision::Monotonic;

/// No rule of a walk looks back further: the longest is a restart intensity's period, with its edge.
const LOOKS_BACK: u64 = 10;

/// The fingerprint of a state that is written like this, at this time.
pub(crate) fn of(text: &str, now: Monotonic) -> (u64, u64) {
    let text = essence(text, now);
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    (hasher.finish(), text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

fn essence(text: &str, now: Monotonic) -> String {
    let mut essence = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("Monotonic(") {
        let (time, after) = from.split_once(')').expect("a time ends");
        // Of a clock that only goes forward, a window's newest time is now at the latest when it is next used.
        let (before, matters) = match before.strip_suffix("newest_now: ") {
            Some(before) => (before, false),
            None => (before, true),
        };
        essence.push_str(before);
        if matters {
            essence.push_str(&relative(time, now));
        }
        rest = after;
    }
    essence.push_str(rest);
    without_journals(&essence).replace("long ago, ", "").replace("[long ago]", "[]")
}

fn relative(time: &str, now: Monotonic) -> String {
    let seconds: u64 = match time {
        "0ns" => 0,
        time => time.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).expect("a time of whole seconds"),
    };
    let at = Monotonic::new(Duration::from_secs(seconds));
    let (ago, ahead) = (now.saturating_since(at).as_secs(), at.saturating_since(now).as_secs());
    match ago {
        0 => format!("+{ahead}"),
        1..=LOOKS_BACK => format!("-{ago}"),
        _ => "long ago".to_owned(),
    }
}

/// A journal is for people.
fn without_journals(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("journal: Journal {") {
        left.push_str(before);
        let mut open = 1_usize;
        let end = from.find(|it| {
            open = match it {
                '{' => open + 1,
                '}' => open - 1,
                _ => open,
            };
            open == 0
        });
        rest = &from[end.expect("a journal ends") + 1..];
    }
    left.push_str(rest);
    left
}

#[test]
fn a_state_is_told_by_what_will_happen_and_not_by_the_clock() {
    let at = |seconds| Monotonic::new(Duration::from_secs(seconds));
    let text = |base: u64| {
        format!(
            "window: {{ admitted: [Monotonic({}s), Monotonic({}s)], newest_now: Monotonic({}s) }}, journal: Journal {{ \
             entries: [Entry {{ when: Monotonic({base}s) }}] }}, until: Monotonic({}s)",
            base + 1,
            base + 20,
            base + 20,
            base + 40
        )
    };
    assert_eq!(essence(&text(100), at(130)), "window: { admitted: [-10],  }, , until: +10");
    assert_eq!(of(&text(100), at(130)), of(&text(500), at(530)));
    assert_ne!(of(&text(100), at(130)), of(&text(100), at(129)));
}
