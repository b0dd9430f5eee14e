//! Several servers in one tree, over the stand-in: each lives and dies for itself, sleeps, wakes, and makes room for others.

mod support;

#[path = "fleet/planned.rs"]
mod planned;

use std::path::Path;
use std::time::Duration;

use mlx_tree::Tree;
use mlx_tree::api::{Event, Kind, Phase};
use mlx_tree::settings::{Environment, Flag, Sources, load};
use mlx_tree::tree::{ServerHandle, VerbError};
use mlx_tree::workers::availability::{Availability, Reach};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{PATIENCE, PROGRAM, Setup, exists, processes, send};
use tempfile::TempDir;

/// A fleet in a program of its own.
struct Fleet {
    home: TempDir,
    tree: Tree,
}

/// `[[server]]` for a stand-in of this name, with further lines.
fn server(name: &str, lines: &str) -> String {
    let command = [PROGRAM, "stand-in", "--host", "{host}", "--port", "{port}"].map(|word| format!("{word:?}"));
    format!("[[server]]\nname = \"{name}\"\nport = 0\ncommand = [{}]\n{lines}\n", command.join(", "))
}

fn write(home: &Path, text: &str) -> std::path::PathBuf {
    let file = home.join("fleet.toml");
    std::fs::write(&file, text).expect("written");
    file
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a plain client")
}

fn configured(setup: Setup, file: &Path) -> Setup {
    setup.with(|command, _| {
        command.arg("--config").arg(file);
    })
}

impl Fleet {
    async fn start(text: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let flag = |key: &str, value: &str| Flag::text("test", key, value);
        let sources = Sources::new(Environment::capture().with("HOME", home.path().to_str().expect("utf-8")))
            .config_file(write(home.path(), text))
            .flag(flag("state_dir", home.path().join("state").to_str().expect("utf-8")))
            .flag(flag("gateway.listen", "127.0.0.1:0"))
            .flag(flag("restart.backoff_initial", "100ms"))
            .flag(flag("shutdown.grace", "3s"));
        let settings = load(&sources).unwrap_or_else(|errors| panic!("{errors}")).settings;
        let environment = sources.environment().clone();
        let tree = Tree::new(settings).environment(environment).start().await.expect("it starts");
        Self { home, tree }
    }

    fn server(&self, name: &str) -> &ServerHandle {
        self.tree.servers().iter().find(|server| server.name() == name).expect("configured")
    }

    /// Waits until what is known of a server is as wanted.
    async fn until(&self, name: &str, what: &str, wanted: impl Fn(&Availability) -> bool) -> Availability {
        let mut availability = self.server(name).availability();
        let seen = tokio::time::timeout(PATIENCE, availability.wait_for(|now| wanted(now))).await;
        match seen {
            Ok(now) => now.expect("the tree lives").clone(),
            Err(_) => {
                panic!("{name} is never {what}: {:?}; {:#?}", *self.server(name).availability().borrow(), self.told())
            }
        }
    }

    async fn ready(&self, name: &str, epoch: u64) -> Availability {
        let ready = |now: &Availability| matches!(now.state, Reach::Ready { .. }) && now.epoch >= epoch;
        self.until(name, &format!("ready in epoch {epoch}"), ready).await
    }

    async fn asleep(&self, name: &str) {
        self.until(name, "asleep", |now| now.state == Reach::Asleep).await;
    }

    /// The one address of the clients.
    fn gateway(&self) -> String {
        let url = self.told().into_iter().find_map(|(_, kind)| match kind {
            Kind::GatewayListening { url } => Some(url),
            _ => None,
        });
        url.expect("it listens")
    }

    fn pid(&self, name: &str) -> Option<u32> {
        self.server(name).view().borrow().pid()
    }

    /// What has been told so far, as (child, event).
    fn told(&self) -> Vec<(String, Kind)> {
        let (events, _) = self.tree.events(0);
        events.iter().map(|event: &std::sync::Arc<Event>| (event.child.clone(), event.kind.clone())).collect()
    }

    async fn stop(self) {
        self.tree.stop().await;
        self.tree.closed().await;
        assert_eq!(processes::stand_ins_of(self.home.path()), [], "nothing is left behind");
    }
}

#[tokio::test]
async fn a_server_that_is_killed_comes_back_and_the_other_does_not_notice() {
    let fleet = Fleet::start(&(server("chat", "") + &server("coder", ""))).await;
    fleet.ready("chat", 1).await;
    fleet.ready("coder", 1).await;
    let (chat, coder) = (fleet.pid("chat").expect("it runs"), fleet.pid("coder").expect("it runs"));
    send(coder, Signal::SIGKILL);
    let back = fleet.ready("coder", 2).await;
    assert!(back.start_takes.is_some_and(|takes| takes < PATIENCE), "{back:?}: a start has been seen");
    assert_eq!(fleet.pid("chat"), Some(chat));
    let status = fleet.tree.status().await;
    let names: Vec<_> = status.servers.iter().map(|it| (it.name.as_str(), it.phase, it.restart_count)).collect();
    assert_eq!(names, [("chat", Phase::Ready, 0), ("coder", Phase::Ready, 1)]);
    assert_eq!((status.process_pid, status.restart_count), (Some(chat), 0), "the keys are the default server's");
    let ids: Vec<_> = status.children.iter().map(|child| child.id.as_str()).collect();
    assert_eq!(ids[..4], ["server", "health", "breaker", "coder"]);
    let exits: Vec<_> =
        fleet.told().into_iter().filter(|(_, kind)| matches!(kind, Kind::ServerExited { .. })).collect();
    assert!(matches!(&exits[..], [(child, _)] if child == "coder/server"), "{exits:?}");
    let history = fleet.home.path().join("state/servers/coder/restart-history.json");
    assert!(history.exists(), "each has a history of its own");
    fleet.stop().await;
}

#[tokio::test]
async fn verbs_are_about_one_server_and_a_stopped_one_is_not_woken_by_a_request() {
    let fleet = Fleet::start(&(server("chat", "") + &server("coder", "start = \"on_demand\""))).await;
    fleet.ready("chat", 1).await;
    fleet.asleep("coder").await;
    let coder = fleet.server("coder");
    coder.start().await.expect("an operator may");
    fleet.ready("coder", 1).await;
    let first = fleet.pid("coder").expect("it runs");
    coder.restart().await.expect("it comes back");
    assert!(!exists(first));
    coder.stop().await.expect("it stops");
    fleet.until("coder", "stopped", |now| matches!(now.state, Reach::Stopped { .. })).await;
    coder.wanted();
    // The want has been heard and dropped when a later one of another server has been answered.
    let chat = fleet.server("chat");
    assert_eq!(chat.unload().await, Err(VerbError::Kept), "it is always there");
    chat.restart().await.expect("it comes back");
    assert_eq!(fleet.pid("coder"), None, "stopped is stopped");
    coder.start().await.expect("and an operator starts it");
    fleet.ready("coder", 4).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_sleeper_is_started_when_it_is_wanted_and_sleeps_again_when_it_is_idle() {
    let fleet = Fleet::start(
        &("[memory]\nmin_stay = \"0s\"\n".to_owned()
            + &server("chat", "")
            + &server("coder", "start = \"on_demand\"\nidle_stop = \"300ms\"")),
    )
    .await;
    fleet.asleep("coder").await;
    assert_eq!(fleet.pid("coder"), None);
    let coder = fleet.server("coder");
    coder.wanted();
    // Held by a request from the first moment on, so that it is not idle.
    let request = coder.activity().begin();
    fleet.ready("coder", 1).await;
    let pid = fleet.pid("coder").expect("it runs");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(exists(pid), "one with a request is not idle");
    drop(request);
    fleet.asleep("coder").await;
    coder.wanted();
    fleet.ready("coder", 2).await;
    let slept =
        |(child, kind): &(String, Kind)| child == "coder/server" && matches!(kind, Kind::ServerPutToSleep { .. });
    assert!(fleet.told().iter().any(slept));
    let failures = |(_, kind): &(String, Kind)| matches!(kind, Kind::ServerExited { .. } | Kind::RestartGranted { .. });
    assert!(!fleet.told().iter().any(failures), "a sleep is no failure: {:#?}", fleet.told());
    assert_eq!(coder.status().await.breaker.consecutive_failures, 0);
    fleet.stop().await;
}

#[tokio::test]
async fn one_makes_room_for_the_other_and_never_with_a_request_in_flight() {
    let half = |mode: &str| format!("start = \"{mode}\"\nmemory = \"8GiB\"");
    let fleet = Fleet::start(
        &("[memory]\nbudget = \"8GiB\"\nmin_stay = \"1s\"\nturn = \"200ms\"\n".to_owned()
            + &server("chat", &half("preload"))
            + &server("coder", &half("on_demand"))),
    )
    .await;
    fleet.ready("chat", 1).await;
    let request = fleet.server("chat").activity().begin();
    fleet.server("coder").wanted();
    fleet.until("chat", "yielding", |now| matches!(now.state, Reach::Yielding { .. })).await;
    let chat = fleet.pid("chat").expect("it serves what it has");
    // A client of the one that yields gets its turn after the other one.
    fleet.server("chat").wanted();
    assert_eq!((fleet.pid("coder"), exists(chat)), (None, true), "there is no room for both");
    drop(request);
    fleet.ready("coder", 1).await;
    assert!(!exists(chat));
    fleet.ready("chat", 2).await;
    assert_eq!(fleet.pid("coder"), None);
    // Never two at once, as their events tell.
    let mut up: Vec<String> = Vec::new();
    for (child, kind) in fleet.told() {
        match kind {
            Kind::ServerSpawned { .. } => up.push(child),
            Kind::ServerStopped { .. } => up.retain(|other| *other != child),
            _ => {}
        }
        assert!(up.len() < 2, "{up:?}");
    }
    fleet.stop().await;
}

#[tokio::test]
async fn unloading_waits_for_what_is_in_flight_and_the_next_request_loads_again() {
    let fleet = Fleet::start(&server("chat", "start = \"preload\"")).await;
    fleet.ready("chat", 1).await;
    let pid = fleet.pid("chat").expect("it runs");
    let chat = fleet.server("chat").clone();
    let request = chat.activity().begin();
    let unloading = tokio::spawn({
        let chat = chat.clone();
        async move { chat.unload().await }
    });
    fleet.until("chat", "yielding", |now| matches!(now.state, Reach::Yielding { .. })).await;
    assert!(exists(pid));
    drop(request);
    unloading.await.expect("no panic").expect("it sleeps");
    assert!(!exists(pid));
    chat.wanted();
    fleet.ready("chat", 2).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_request_to_the_one_address_wakes_the_server_whose_model_it_names() {
    let fleet =
        Fleet::start(&(server("chat", "") + &server("coder", "start = \"on_demand\"\naliases = [\"gpt-4o\"]"))).await;
    fleet.ready("chat", 1).await;
    fleet.asleep("coder").await;
    let url = fleet.gateway();
    let asked = json!({"model": "gpt-4o", "prompt": "say something", "max_tokens": 4});
    let answer = client().post(format!("{url}/v1/completions")).json(&asked).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "held until it was ready: {:?}", answer.text().await);
    assert!(fleet.pid("coder").is_some());
    let running = |url: String| async move {
        let told: Value = client().get(url).send().await.expect("an answer").json().await.expect("JSON");
        let models = told["running"].as_array().expect("a list").iter();
        models.map(|it| format!("{} {}", it["model"], it["state"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!(running(format!("{url}/running")).await, ["chat ready", "coder ready"]);
    let unload = |body: Value| client().post(format!("{url}/unload")).json(&body).send();
    let told: Value = unload(json!({"model": "gpt-4o"})).await.expect("an answer").json().await.expect("JSON");
    assert_eq!(told, json!({"unloaded": ["coder"]}));
    assert_eq!(fleet.pid("coder"), None);
    fleet.asleep("coder").await;
    let refused = unload(json!({"model": "chat"})).await.expect("an answer");
    assert_eq!(refused.status(), 400, "always means always");
    assert_eq!(unload(json!({"model": "nobody"})).await.expect("an answer").status(), 404);
    assert_eq!(unload(json!({"model": 7})).await.expect("an answer").status(), 400);
    let told: Value = unload(json!({})).await.expect("an answer").json().await.expect("JSON");
    assert_eq!(told, json!({"unloaded": ["coder"]}), "all that may sleep, asleep or not");
    fleet.stop().await;
}

#[tokio::test]
async fn a_residency_child_that_crashes_goes_on_where_it_was() {
    let fleet = Fleet::start(&(server("chat", "") + &server("coder", "start = \"on_demand\""))).await;
    fleet.asleep("coder").await;
    let supervisor = fleet.tree.supervisor();
    supervisor.terminate_child("residency").await.expect("it ends");
    fleet.server("coder").wanted();
    supervisor.restart_child("residency").await.expect("it starts");
    fleet.ready("coder", 1).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_sleeper_that_cannot_start_opens_its_own_breaker_and_holds_nobody_else_up() {
    let broken = server("coder", "start = \"on_demand\"").replace("\"stand-in\"", "\"no-such-command\"");
    let fleet = Fleet::start(&(server("chat", "") + &broken + "[breaker]\nfailure_threshold = 1\n")).await;
    fleet.ready("chat", 1).await;
    fleet.server("coder").wanted();
    let open = fleet.until("coder", "held back", |now| matches!(now.state, Reach::BreakerOpen { .. })).await;
    assert!(matches!(open.state, Reach::BreakerOpen { until: Some(_), .. }), "{open:?}");
    assert_eq!(fleet.tree.status().await.phase, Phase::Ready);
    fleet.stop().await;
}

#[tokio::test]
async fn the_program_shows_several_servers_and_its_verbs_are_about_all_of_them() {
    let setup = Setup::new(&["run"]).set("restart.backoff_initial", "100ms");
    let text = server("chat", "") + &server("coder", "") + &server("tiny", "start = \"on_demand\"");
    let file = write(setup.home(), &text);
    let tree = configured(setup, &file).start();
    let up = |it: &mlx_tree::api::Status| it.servers.iter().filter(|it| it.phase == Phase::Ready).count();
    let status = tree.until("all up", |it| up(it) == 2).await;
    let pids: Vec<u32> = status.servers.iter().filter_map(|it| it.process_pid).collect();
    let (_, shown, _) = tree.command(&["status"]);
    for line in ["├─ coder ", "│  ├─ server ", "├─ tiny ", "asleep", "residency"] {
        assert!(shown.contains(line), "{line:?} in\n{shown}");
    }
    tree.told(&["others", "coder: mlx_lm"]).await;
    tree.told(&["[SUPERVISOR/coder]", "up and healthy"]).await;
    let (exit, said, error) = tree.command(&["stop"]);
    assert!(exit.success() && said.contains("3 servers"), "{said}{error}");
    assert!(pids.iter().all(|pid| !exists(*pid)));
    let (exit, said, error) = tree.command(&["start"]);
    assert!(exit.success(), "{said}{error}");
    let status = tree.until("all up again", |it| up(it) == 2).await;
    assert!(status.servers[2].reason.as_deref().is_some_and(|it| it.contains("asleep")), "{status:#?}");
    let (exit, said, error) = tree.command(&["restart"]);
    assert!(exit.success() && said.contains("3 servers have been restarted"), "{said}{error}");
    tree.told(&["[SUPERVISOR/coder]", "Planned restart"]).await;
    let log = tree.log();
    let (chat, coder) = log.split_once("[SUPERVISOR/coder] Planned restart").expect("just told");
    let (_, chat) = chat.split_once("[SUPERVISOR] Planned restart").expect("the first one is restarted first");
    assert!(
        chat.contains("[SUPERVISOR] MLX API Server is up") && coder.contains("up and healthy"),
        "one by one: {log}"
    );
    tree.stop().await;
}

#[tokio::test]
async fn a_server_left_behind_is_ended_also_when_it_is_not_configured_any_more() {
    let setup = Setup::new(&["run"]);
    let home = setup.home().to_owned();
    let file = write(&home, &(server("chat", "") + &server("coder", "")));
    let mut first = configured(setup, &file).start();
    let up = |it: &mlx_tree::api::Status| it.servers.iter().filter(|it| it.phase == Phase::Ready).count();
    let status = first.until("all up", |it| up(it) == 2).await;
    let coder = status.servers[1].process_pid.expect("it runs");
    let guard = processes::guard_of(first.pid()).expect("there is one");
    // Without the guard nobody ends what is left.
    send(guard, Signal::SIGSTOP);
    first.signal(Signal::SIGKILL);
    first.ended().await;
    assert!(exists(coder));
    let next = Setup::new(&["demo"]).in_home_of(&first).start();
    next.told(&["left behind"]).await;
    next.ready(1).await;
    assert!(!exists(coder));
    send(guard, Signal::SIGKILL);
    next.stop().await;
}
