//! How mlx-tree is set up for a run.

use std::time::Duration;

use crate::support::Setup;

/// After the last fault a request is served again within the backoff, a start, and ten seconds. A start takes its time on a
/// machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The same with mlx-tree's own settings: the breaker may have to close first.
pub const PATIENCE_DEFAULTS: Duration = Duration::from_secs(160);

/// A stand-in with the bugs of the real server, about as fast.
pub const fn stand_in_flags() -> [&'static str; 9] {
    ["--control", "--real-bugs", "--health-when-dead", "503", "--answer-tokens", "inf", "--tps", "500", "--quiet"]
}

/// mlx-tree over the stand-in.
pub fn stand_in() -> Setup {
    Setup::demo(&stand_in_flags())
}

/// Health checks that find a frozen server within seconds.
pub fn paced(setup: Setup) -> Setup {
    setup.set("health.interval", "1s").set("health.timeout", "1s")
}

/// Restarts that are never given up, at once as those of a loop: after this many faults in a row the backoff would be a minute,
/// and the breaker open most of the time.
pub fn never_open(setup: Setup) -> Setup {
    let setup = setup.set("restart.backoff_initial", "100ms").set("restart.backoff_max", "100ms");
    setup.set("restart.max_restarts", "1000").set("breaker.failure_threshold", "1000")
}

/// mlx-tree's own numbers.
pub fn defaults(setup: Setup) -> Setup {
    setup.set("restart.backoff_initial", "2s").set("restart.backoff_max", "60s")
}
