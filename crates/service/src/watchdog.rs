//! The watchdog of systemd: fed when the tree has answered, and not because time has passed.
//!
//! A timer that feeds the watchdog shows that a timer runs. Here each `WATCHDOG=1` stands for a round trip through the tree. If
//! the tree does not answer it is not sent, and when `WatchdogSec` is over systemd ends mlx-tree and starts it again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{Notice, Notifier};

/// So many chances within one `WatchdogSec`: one that is missed on a busy machine is no catastrophe.
const CHANCES: u32 = 4;

/// Feeds the watchdog for ever, whenever `alive` has resolved to `true` in time. When it has not, `unanswered` puts into
/// words that so many round trips in a row have failed; that is the STATUS until one succeeds.
pub async fn feed<F: Future<Output = bool>>(
    notifier: &Notifier,
    period: Duration,
    mut alive: impl FnMut() -> F,
    unanswered: impl Fn(u32) -> String,
) -> std::convert::Infallible {
    let pace = (period / CHANCES).max(Duration::from_millis(1));
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut missed = 0;
    loop {
        ticks.tick().await;
        match timeout(pace, alive()).await {
            Ok(true) => {
                let _ = notifier.send(&[Notice::Watchdog]);
                if missed > 0 {
                    notifier.repeat_status();
                }
                missed = 0;
            }
            Ok(false) | Err(_) => {
                missed += 1;
                let _ = notifier.send(&[Notice::Status(&unanswered(missed))]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// How the n-th round trip goes.
    async fn answer(turn: u32) -> bool {
        match turn {
            1 | 2 | 5 => true,
            3 => false,
            _ => std::future::pending().await,
        }
    }

    // Datagrams are not awaited, so the paused clock has no I/O to skip.
    #[tokio::test(start_paused = true)]
    async fn only_an_answer_feeds_it_and_silence_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        manager.set_nonblocking(true).expect("set");
        let notifier = Notifier::open(path.as_os_str()).expect("open");
        notifier.status("serving");
        let turns = AtomicU32::new(0);
        let alive = || answer(turns.fetch_add(1, Ordering::Relaxed) + 1);
        let feeding = feed(&notifier, Duration::from_secs(60), alive, |missed| format!("silent {missed}"));
        // Six chances of 15 s each; the fourth takes all of its time, and so does the sixth.
        assert!(timeout(Duration::from_secs(91), feeding).await.is_err(), "it never ends by itself");
        let mut heard = Vec::new();
        let mut buffer = [0; 256];
        while let Ok(length) = manager.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        let told = [
            "STATUS=serving\n",
            "WATCHDOG=1\n",
            "WATCHDOG=1\n",
            "STATUS=silent 1\n",
            "STATUS=silent 2\n",
            "WATCHDOG=1\n",
            "STATUS=serving\n",
            "STATUS=silent 1\n",
        ];
        assert_eq!(heard, told);
    }
}
