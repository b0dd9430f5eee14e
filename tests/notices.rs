//! Notices end to end: who is told by a running mlx-tree, and by `mlx-tree notify test`.

mod support;

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mlx_tree_api::BreakerState;
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;
use support::{PATIENCE, Setup};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

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
        tree.signal(Signal::SIGTERM);
        tree.ended().await;
        tree.log()
    };
    assert!(log.contains("gone could not be told: "), "{log}");
    assert!(!log.contains("kanarienvogel"), "{log}");
}

/// Somebody who is told by a webhook: what came, in its order.
struct Listener {
    url: String,
    heard: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Listener {
    async fn start() -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let url = format!("http://{}/told", socket.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn({
            let heard = Arc::clone(&heard);
            async move {
                while let Ok((stream, _)) = socket.accept().await {
                    let mut stream = BufReader::new(stream);
                    let (mut length, mut line) = (0, String::new());
                    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) && !line.trim().is_empty() {
                        if let Some((_, value)) = line.to_ascii_lowercase().split_once("content-length:") {
                            length = value.trim().parse().expect("a length");
                        }
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    if stream.read_exact(&mut body).await.is_ok() {
                        heard.lock().expect("no panic").push(serde_json::from_slice(&body).expect("JSON"));
                    }
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
                }
            }
        });
        Self { url, heard }
    }

    /// The names of what it was told.
    fn events(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("no panic");
        heard.iter().map(|notice| notice["event"].as_str().expect("a name").to_owned()).collect()
    }

    async fn hears(&self, event: &str) {
        let start = Instant::now();
        while !self.events().iter().any(|heard| heard == event) {
            assert!(start.elapsed() < PATIENCE, "{} is not told of {event}: {:?}", self.url, self.events());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// The user's file, which tells one webhook of what an operator asks for.
fn configure(home: &Path, url: &str, more: &str) {
    let file = home.join(".config/mlx-tree/config.toml");
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("made");
    let pager = format!(
        "[[notify]]\nkind = \"webhook\"\nname = \"pager\"\nurl = \"{url}\"\nevents = [\"operator.requested\", \"config.reloaded\"]\nmin_interval = \"0s\"\n"
    );
    std::fs::write(&file, pager + more).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
}

#[tokio::test]
async fn whoever_is_told_changes_with_the_configuration_and_stays_as_it_was_with_a_wrong_one() {
    let (old, new) = (Listener::start().await, Listener::start().await);
    let setup = Setup::demo(&[]);
    configure(setup.home(), &old.url, "");
    let mut tree = setup.start();
    tree.ready(1).await;
    tree.perform(Verb::Reset).await.expect("it is reset");
    old.hears("operator.requested").await;

    configure(tree.home(), &new.url, "");
    let (status, stdout, stderr) = tree.command(&["reload"]);
    assert!(status.success() && stdout.contains("notify"), "{stdout} {stderr}");
    assert!(!(stdout + &stderr).contains("/told"), "an address is a secret");
    tree.perform(Verb::Stop).await.expect("it stops");
    new.hears("operator.requested").await;

    // Of a list with a mistake nothing holds, neither what is right in it nor what it leaves out.
    configure(tree.home(), &old.url, "[[notify]]\nkind = \"pigeon\"\n");
    tree.signal(Signal::SIGHUP);
    new.hears("config.rejected").await;
    let (status, _, stderr) = tree.command(&["reload"]);
    assert!(status.code() == Some(78) && stderr.contains("pigeon"), "{stderr}");
    tree.perform(Verb::Start).await.expect("it starts");
    configure(tree.home(), &new.url, "");
    tree.signal(Signal::SIGHUP);
    new.hears("config.reloaded").await;
    tree.signal(Signal::SIGTERM);
    tree.ended().await;
    let asked = |events: &[String]| events.iter().filter(|event| *event == "operator.requested").count();
    let (old, new) = (old.events(), new.events());
    assert_eq!((asked(&old), asked(&new)), (1, 2), "{old:?} {new:?}");
    assert!(!old.iter().any(|event| event == "config.rejected"), "it is told nothing any more: {old:?}");
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
