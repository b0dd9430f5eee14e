//! The control plane of a whole mlx-tree: what it listens on, what it lets be changed, what it shows, and what lies on the disk.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use mlx_tree_api::Phase;
use mlx_tree_control::Verb;
use serde_json::Value;

use crate::schema::Api;
use crate::support::Setup;

/// S1: there are no tokens that could be given to somebody elsewhere, so nobody elsewhere gets in.
#[test]
fn s1_the_control_plane_listens_on_loopback_or_not_at_all() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8081", "example.com:8081"] {
        let (status, _, stderr) = Setup::new(&["demo"]).set("control.listen", address).run();
        assert_eq!(status.code(), Some(78), "{address}: {stderr}");
        assert!(stderr.contains("control.listen"), "{stderr}");
    }
}

/// S7: whoever could write the configuration could have any command run.
#[test]
fn s7_a_configuration_that_others_can_write_is_refused() {
    for mode in [0o620, 0o602, 0o666] {
        let setup = Setup::new(&["demo"]).with(|command, home| {
            let file = home.join("mine.toml");
            fs::write(&file, "").expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("changed");
            command.arg("--config").arg(file);
        });
        let (status, _, stderr) = setup.run();
        assert_eq!(status.code(), Some(78), "{mode:o}: {stderr}");
        assert!(stderr.contains("chmod go-w"), "{stderr}");
    }
}

/// S10: what a server writes can make a terminal do nothing, and no line look like one of ours.
#[tokio::test]
async fn s10_what_a_server_writes_is_harmless_wherever_it_is_shown() {
    const WRITES: &str = r"printf 'ValueError: \033[2J\033]0;x\007\302\233 \342\200\256 \357\273\277 one\rtwo\000\n' >&2; sleep 0.2; exit 3";
    let tree = Setup::serving(&["sh", "-c", WRITES, "{port}"]).start();
    let status = tree.until("down", |it| it.phase == Phase::Backoff && it.last_exit.is_some()).await;
    let cause = status.last_exit.and_then(|exit| exit.cause).expect("a cause");
    assert!(cause.contains("ValueError") && cause.contains("\\x1b"), "{cause}");
    let mut shown = Vec::new();
    for path in ["/status", "/events?follow=false", "/metrics", "/healthz"] {
        let answer = reqwest::get(format!("{}{path}", tree.access().url)).await.expect("it answers");
        let text = answer.text().await.expect("text");
        // As a reader of the JSON has it.
        let plain =
            |line: &str| serde_json::from_str::<Value>(line).map_or_else(|_| line.to_owned(), |it| strings(&it));
        shown.push((path, text.lines().map(plain).collect::<Vec<_>>().join("\n")));
    }
    for words in [&["status"][..], &["logs"], &["events"], &["events", "--json"]] {
        shown.push((words[0], tree.command(words).1));
    }
    shown.push(("log", tree.log()));
    for (place, text) in shown {
        let bad =
            |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.chars().any(|c| bad(&c)), "{place}: {text:?}");
    }
    tree.stop().await;
}

/// All strings in `value`.
fn strings(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(strings).collect::<Vec<_>>().join("\n"),
        Value::Object(all) => all.values().map(strings).collect::<Vec<_>>().join("\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

/// S16: nobody else reads what lies on the disk, and nothing is written or read through a link.
#[tokio::test]
async fn s16_the_state_directory_is_for_its_owner_only() {
    let elsewhere = Setup::new(&["demo"]).with(|_, home| {
        fs::create_dir(home.join("elsewhere")).expect("made");
        symlink(home.join("elsewhere"), home.join("state")).expect("linked");
    });
    let (status, _, stderr) = elsewhere.run();
    assert_eq!(status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("symbolic link"), "{stderr}");

    let mut precious = None;
    let tree = Setup::demo(&[]).with(|_, home| {
        // Left behind by somebody: too open, and with a trap in it.
        let (state, trap) = (home.join("state"), home.join("precious"));
        fs::create_dir(&state).expect("made");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("changed");
        fs::write(&trap, "precious").expect("written");
        symlink(&trap, state.join("control.json")).expect("linked");
        precious = Some(trap);
    });
    let tree = tree.start();
    tree.ready(1).await;
    let mut seen = 0;
    private(&tree.state_dir(), &mut seen);
    assert!(seen > 3, "there are files");
    assert_eq!(fs::read_to_string(precious.expect("a path")).expect("read"), "precious");
    tree.stop().await;
}

fn private(path: &Path, seen: &mut usize) {
    *seen += 1;
    let found = fs::symlink_metadata(path).expect("it is there");
    assert!(!found.file_type().is_symlink(), "{}", path.display());
    let wanted = if found.is_dir() { 0o700 } else { 0o600 };
    assert_eq!(found.mode() & 0o7777, wanted, "{}: {:o}", path.display(), found.mode());
    if found.is_dir() {
        for entry in fs::read_dir(path).expect("read") {
            private(&entry.expect("an entry").path(), seen);
        }
    }
}

/// What a running tree answers, before and after its server was killed, is what `/openapi.json` says.
#[tokio::test]
async fn a_running_tree_answers_as_its_api_is_described() {
    let tree = Setup::demo(&[]).start();
    let first = tree.ready(1).await;
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{}{path}", tree.access().url)).await.expect("it answers");
        answer.text().await.expect("text")
    };
    let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let api = Api(value(&get("/openapi.json").await));
    crate::support::send(first.process_pid.expect("it runs"), nix::sys::signal::Signal::SIGKILL);
    tree.ready(2).await;
    tree.client().perform(Verb::Restart).await.expect("done");
    for (path, name) in [("/status", "Status"), ("/trend", "Trend"), ("/readyz", "Probed"), ("/livez", "Probed")] {
        let body = value(&get(path).await);
        api.check(api.schema(name), &body, path).unwrap_or_else(|error| panic!("{error}"));
    }
    let client = reqwest::Client::builder().no_proxy().build().expect("a plain client");
    let events = client.get(format!("{}/events", tree.access().url)).header("accept", "application/x-ndjson");
    let events = events.send().await.expect("an answer").text().await.expect("text");
    let mut names = std::collections::BTreeSet::new();
    for line in events.lines() {
        let event = value(line);
        names.insert(event["event"].as_str().expect("a name").to_owned());
        api.check(api.schema("Event"), &event, "event").unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(["server.exited", "server.ready", "restart.delayed"].iter().all(|name| names.contains(*name)), "{names:?}");
    tree.stop().await;
}
