//! Planned ends where there are several servers, or one that sleeps.

use mlx_tree::api::Phase;
use mlx_tree::control::Verb;
use mlx_tree::tree::VerbError;
use mlx_tree::workers::availability::{Availability, Reach};
use nix::sys::signal::Signal;

use super::support::gateway::{sampled, with};
use super::support::{Setup, send};
use super::{Fleet, configured, server, write};

/// `[[server]]` for a stand-in with these flags.
fn flagged(name: &str, flags: &[&str]) -> String {
    let flags: String = flags.iter().map(|flag| format!(", {flag:?}")).collect();
    server(name, "").replace("\"{port}\"]", &format!("\"{{port}}\"{flags}]"))
}

#[tokio::test]
async fn a_planned_restart_is_for_who_runs_and_a_drain_outlasts_requests() {
    let fleet = Fleet::start(&server("chat", "start = \"preload\"")).await;
    fleet.ready("chat", 1).await;
    let (chat, request) = (fleet.server("chat").clone(), fleet.server("chat").activity().begin());
    let recycling = tokio::spawn({
        let chat = chat.clone();
        async move { chat.recycle("a test wants it").await }
    });
    let yields = |now: &Availability| match &now.state {
        Reach::Yielding { reason, .. } => &**reason == "a test wants it",
        _ => false,
    };
    fleet.until("chat", "yielding", yields).await;
    drop(request);
    recycling.await.expect("no panic").expect("it is back");
    fleet.ready("chat", 2).await;
    let (status, told) = (chat.status().await, fleet.told());
    assert_eq!((status.restart_count, status.breaker.consecutive_failures), (0, 0));
    let kinds: Vec<_> = told.iter().map(|(_, kind)| kind.name()).filter(|name| name.starts_with("server.")).collect();
    let story = ["server.draining", "server.recycling", "server.stopping", "server.stopped", "server.spawned"];
    assert!(kinds.windows(5).any(|five| five == story), "{kinds:?}");
    chat.unload().await.expect("it sleeps");
    chat.recycle("nothing to do").await.expect("its next life is a fresh one");
    assert_eq!(fleet.pid("chat"), None);
    chat.drain().await.expect("it is down");
    chat.wanted();
    fleet.until("chat", "stopped", |now| matches!(now.state, Reach::Stopped { .. })).await;
    chat.allow().await.expect("it may");
    fleet.ready("chat", 3).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_crash_during_a_planned_restart_is_a_crash() {
    let fleet = Fleet::start(&server("chat", "")).await;
    fleet.ready("chat", 1).await;
    let (chat, request) = (fleet.server("chat").clone(), fleet.server("chat").activity().begin());
    let recycling = tokio::spawn({
        let chat = chat.clone();
        async move { chat.recycle("a test wants it").await }
    });
    fleet.until("chat", "yielding", |now| matches!(now.state, Reach::Yielding { .. })).await;
    send(fleet.pid("chat").expect("it runs"), Signal::SIGKILL);
    let outcome = recycling.await.expect("no panic");
    assert!(matches!(outcome, Ok(()) | Err(VerbError::NotReady { .. })), "{outcome:?}");
    fleet.ready("chat", 2).await;
    let status = chat.status().await;
    assert_eq!((status.restart_count, status.breaker.consecutive_failures), (1, 1), "it counts, once");
    drop(request);
    fleet.stop().await;
}

#[tokio::test]
async fn servers_are_restarted_one_after_the_other_and_a_second_restart_hurries_the_one_whose_turn_it_is() {
    let endless = ["--tps", "20", "--answer-tokens", "inf", "--max-tokens", "100000"];
    // Longer than any test waits.
    let setup = Setup::new(&["run"]).set("shutdown.drain", "300s").set("shutdown.grace", "3s");
    let file = write(setup.home(), &(flagged("chat", &endless) + &flagged("coder", &endless)));
    let tree = configured(setup, &file).start();
    let epochs = |it: &mlx_tree::api::Status| it.servers.iter().map(|it| it.server.epoch).collect::<Vec<_>>();
    let up = |it: &mlx_tree::api::Status| it.servers.iter().all(|it| it.phase == Phase::Ready);
    tree.until("all up", |it| it.servers.len() == 2 && up(it)).await;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&with(sampled("one"), "model", "chat")).await;
    stream.event().await.expect("it streams");
    let again = async {
        let draining = |it: &mlx_tree::api::Status| it.servers[0].phase == Phase::Draining;
        let status = tree.until("the first one is draining", draining).await;
        assert_eq!((status.servers[1].phase, status.servers[1].server.epoch), (Phase::Ready, 1), "it serves meanwhile");
        tree.perform(Verb::Restart).await
    };
    let (first, second) = tokio::join!(tree.perform(Verb::Restart), again);
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(epochs(&tree.status().await), [2, 2], "each was restarted once");
    stream.answer().await.cut("backend_crashed");
    tree.stop().await;
}

#[tokio::test]
async fn a_restart_of_several_halts_at_one_that_does_not_come_back() {
    let setup = Setup::new(&["run"]).set("shutdown.grace", "3s").set("restart.backoff_initial", "60s");
    let script = setup.home().join("script");
    std::fs::write(&script, "\n--exit-after 0\n").expect("written");
    let lives = ["--script", script.to_str().expect("utf-8")];
    let file = write(setup.home(), &(server("chat", "") + &flagged("coder", &lives) + &server("third", "")));
    let tree = configured(setup, &file).start();
    let up = |it: &mlx_tree::api::Status| it.servers.iter().all(|it| it.phase == Phase::Ready);
    tree.until("all up", |it| it.servers.len() == 3 && up(it)).await;
    let error = tree.perform(Verb::Restart).await.expect_err("coder does not come back");
    assert!(error.contains("coder: ") && error.contains("left as they are: third"), "{error}");
    let status = tree.status().await;
    let epochs: Vec<_> = status.servers.iter().map(|it| it.server.epoch).collect();
    assert_eq!((epochs[0], epochs[2]), (2, 1), "{status:#?}");
    tree.stop().await;
}
