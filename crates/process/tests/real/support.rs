//! What the tests share. Every process that is started here is known by identity and seen to be gone.

use std::ffi::OsString;
use std::time::Duration;

use mlx_tree_process::identity::Presence;
use mlx_tree_process::{Grace, Identity, Launch, OutputLines, ProcessGroup, usage};
use tokio::time::{Instant, sleep, timeout};

/// Longer than anything here takes, shorter than the patience of a person.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A grace that is not meant to run out.
pub(crate) const ENOUGH: Grace = Grace::new(LONG);

pub(crate) fn helper() -> OsString {
    env!("CARGO_BIN_EXE_mlx-tree-process-helper").into()
}

pub(crate) fn launch(args: &[&str]) -> Launch {
    Launch::new(std::iter::once(helper()).chain(args.iter().map(OsString::from)))
}

pub(crate) fn spawn(args: &[&str]) -> ProcessGroup {
    ProcessGroup::spawn(launch(args)).expect("the helper starts")
}

/// Spawns a helper and waits for its first line.
pub(crate) async fn spawn_ready(args: &[&str]) -> ProcessGroup {
    let group = spawn(args);
    assert_eq!(line(&group.output()).await, "ready");
    group
}

pub(crate) async fn line(lines: &OutputLines) -> String {
    timeout(LONG, lines.next()).await.expect("a line in time").expect("a line").text
}

/// The line `word rest`, without the word.
pub(crate) async fn word(lines: &OutputLines, word: &str) -> String {
    let text = line(lines).await;
    text.strip_prefix(word).unwrap_or_else(|| panic!("expected {word:?}, got {text:?}")).trim().to_owned()
}

/// The process whose pid is announced as `worker <pid>`.
pub(crate) async fn worker(lines: &OutputLines) -> Identity {
    loop {
        let text = line(lines).await;
        // The worker may be quicker to say so than its parent is to announce it.
        if text != "ready" {
            let pid = text.strip_prefix("worker ").expect("the announcement").parse().expect("a pid");
            return Identity::of(pid).expect("it has just been started");
        }
    }
}

pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let patience = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < patience, "in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn is_over(who: &Identity) -> bool {
    match who.presence() {
        Presence::Alive => false,
        Presence::Zombie | Presence::Gone | Presence::Reused => true,
    }
}

/// Nobody of the group may be left, now.
pub(crate) async fn assert_gone(leader: &Identity) {
    assert_ne!(leader.presence(), Presence::Alive, "the leader is alive");
    assert_ne!(leader.presence(), Presence::Zombie, "the leader has not been reaped");
    assert_eq!(usage::of_group(leader).await.expect("asked").processes, 0, "somebody of the group is alive");
}
