//! Notices end to end: who is told by a running mlx-tree, and by `mlx-tree notify test`.

mod support;

use std::path::Path;
use std::time::Instant;

use mlx_tree_api::BreakerState;
use support::{PATIENCE, Setup};

/// A notify list with one command, which appends what it is told to a file.
fn told_to(file: &Path, more: &str) -> String {
    format!(
        "[{{ kind = \"command\", name = \"pager\", command = [\"/bin/sh\", \"-c\", \"cat >> '{}'\"], min_interval = \"0s\" }}{more}]",
        file.display()
    )
}

async fn notice(file: &Path, event: &str) -> serde_json::Value {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let notices = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        if let Some(notice) = notices.into_iter().find(|notice| notice["event"] == event) {
            return notice;
        }
        assert!(start.elapsed() < PATIENCE, "nobody is told of {event}: {text}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn somebody_is_told_that_the_breaker_opens_and_that_it_is_closed_again() {
    let setup = Setup::scripted(&["--exit-after 0 --exit-code 1", "--exit-after 0 --exit-code 1", ""]);
    let file = setup.home().join("told");
    let nobody = ", { kind = \"webhook\", name = \"gone\", url = \"http://127.0.0.1:1/kanarienvogel\" }";
    let tree = setup
        .set("notify", &told_to(&file, nobody))
        .set("breaker.failure_threshold", "1")
        .set("breaker.open_for", "200ms")
        .set("breaker.probation", "100ms")
        .start();
    let raised = notice(&file, "breaker.opened").await;
    assert_eq!((&raised["level"], &raised["status"]), (&"error".into(), &"raised".into()), "{raised}");
    tree.ready(2).await;
    tree.until("closed", |it| it.circuit_breaker_state == BreakerState::Closed).await;
    let over = notice(&file, "breaker.closed").await;
    assert_eq!(over["status"], "recovered", "{over}");
    // What could not be delivered is told at the end, at the latest, and without the URL.
    let log = {
        let mut tree = tree;
        tree.signal(nix::sys::signal::Signal::SIGTERM);
        tree.ended().await;
        tree.log()
    };
    assert!(log.contains("gone could not be told: "), "{log}");
    assert!(!log.contains("kanarienvogel"), "{log}");
}

#[test]
fn a_test_tells_each_and_says_what_came_of_it() {
    let setup = Setup::new(&["notify", "test"]);
    let file = setup.home().join("told");
    let nobody = ", { kind = \"webhook\", name = \"gone\", url = \"http://127.0.0.1:1/kanarienvogel\" }";
    let (status, stdout, stderr) = setup.set("notify", &told_to(&file, nobody)).run();
    assert_eq!(
        (status.code(), stdout.as_str()),
        (Some(1), "pager: told\ngone: not told: nobody answers there\n"),
        "{stderr}"
    );

    let (status, _, stderr) = Setup::new(&["notify", "test"]).run();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("there is no [[notify]]"), "{stderr}");
    let setup = Setup::new(&["notify", "test", "nobody"]);
    let (_, _, stderr) = setup.set("notify", "[{ kind = \"desktop\" }]").run();
    assert!(
        stderr.contains("nobody who is told is called nobody") && stderr.contains("there are: desktop"),
        "{stderr}"
    );
}
