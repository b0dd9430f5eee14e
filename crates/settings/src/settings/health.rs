//! `[health]`: how the server's health is watched.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::plan::Diff;
use crate::reader::Section;
use crate::value::{Reject, duration, integer, span, text};

/// How the server's health is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// The path that is asked; `None` means the one of the server's kind.
    pub path: Option<String>,
    /// How often it is asked.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many misses in a row mean down.
    pub failure_threshold: NonZeroU32,
    /// After so long without a request one token is asked for; `None` means never.
    pub canary_idle: Option<Duration>,
    /// How long that token may take.
    pub canary_timeout: Duration,
    /// A request without progress for so long makes the server suspect.
    pub stall_after: Duration,
}

impl HealthSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let path = section.read("path", |value| path(text(value)?));
        let (interval, timeout) = (section.read("interval", span), section.read("timeout", span));
        let threshold: u32 = section.read("failure_threshold", integer(1..=i128::from(u32::MAX)));
        let idle = section.read("canary_idle", duration);
        let settings = Self {
            path: (!path.is_empty()).then_some(path),
            interval,
            timeout,
            failure_threshold: NonZeroU32::new(threshold).unwrap_or(NonZeroU32::MIN),
            canary_idle: (!idle.is_zero()).then_some(idle),
            canary_timeout: section.read("canary_timeout", span),
            stall_after: section.read("stall_after", span),
        };
        if settings.timeout > settings.interval {
            section.conflict(
                "timeout",
                "interval",
                "the next check would begin before this one is over",
                "health.timeout must not be longer than health.interval",
            );
        }
        settings
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { path, interval, timeout, failure_threshold, canary_idle, canary_timeout, stall_after } = self;
        diff.live("path", path, &new.path);
        diff.live("interval", interval, &new.interval);
        diff.live("timeout", timeout, &new.timeout);
        diff.live("failure_threshold", failure_threshold, &new.failure_threshold);
        diff.live("canary_idle", canary_idle, &new.canary_idle);
        diff.live("canary_timeout", canary_timeout, &new.canary_timeout);
        diff.live("stall_after", stall_after, &new.stall_after);
    }
}

/// Nothing, or the path of a URL. Whatever could turn it into another URL is refused.
fn path(text: String) -> Result<String, Reject> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
    if text.is_empty() || (text.starts_with('/') && !text.starts_with("//") && plain) {
        Ok(text)
    } else {
        Err(Reject::malformed("this is no path of a URL", r#"a path such as "/health", or "" for the usual one"#))
    }
}
