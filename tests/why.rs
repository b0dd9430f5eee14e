//! `mlx-tree why` over servers that went down in ways that are known: it must say what happened, and nothing else.

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mlx_tree::api::Language;
use mlx_tree::reports::{How, Outcome, Report, Shelf, Way, advice};
use mlx_tree::workers::server::diagnosis::Reason;
use nix::sys::signal::Signal;
use support::gateway::{plain, sampled, streamed, with};
use support::{Instance, PATIENCE, Setup, wire};

/// The reports, when they are as wanted; oldest first.
async fn reports(tree: &Instance, what: &str, wanted: impl Fn(&[Report]) -> bool) -> Vec<Report> {
    let start = Instant::now();
    loop {
        let shelf = Shelf::find(&tree.state_dir()).expect("ours");
        let (reports, unreadable) = shelf.map(|shelf| shelf.read().expect("listed")).unwrap_or_default();
        assert!(unreadable.is_empty(), "{unreadable:?}");
        if wanted(&reports) {
            return reports;
        }
        assert!(start.elapsed() < PATIENCE, "never {what}: {reports:#?}\nlog:\n{}", tree.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What `mlx-tree why` says.
fn why(tree: &Instance, words: &[&str]) -> String {
    let (status, text, error) = tree.command(&[&["why", "--set", "log.language=en"], words].concat());
    assert!(status.success(), "{error}");
    text
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    let missing: Vec<_> = words.iter().filter(|words| !text.contains(**words)).collect();
    assert!(missing.is_empty(), "does not say {missing:#?}:\n{text}");
}

#[tokio::test]
async fn a_kill_under_requests_is_explained_with_what_became_of_each_and_holds_no_prompt() {
    let tree = Setup::demo(&["--tps", "10", "--stderr", "a line of its own"]).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let gateway = tree.gateway().await;
    let canary = "CANARY-7d1f";
    let question = with(plain(canary), "max_tokens", 12);
    let waits = tokio::spawn(async move { gateway.ask(&question).await });
    let mut cut = gateway.send(&with(sampled(canary), "max_tokens", 1000)).await;
    cut.event().await.expect("it begins");
    tree.gateway_until("busy with both", |it| it.in_flight == 2).await;
    support::send(server, Signal::SIGKILL);
    assert!(waits.await.expect("no panic").is_success());
    assert!(cut.answer().await.error().is_some());

    let settled = |reports: &[Report]| {
        let known =
            |report: &Report| report.recovery.is_some() && report.requests.iter().all(|it| it.outcome != Outcome::Open);
        reports.len() == 1 && reports.iter().all(known)
    };
    let report = reports(&tree, "settled", settled).await.remove(0);
    assert_eq!((report.how, report.reason.as_str(), report.pid), (How::Signal { signal: 9 }, "killed", Some(server)));
    let mut fates: Vec<_> = report.requests.iter().map(|it| (it.way, it.outcome)).collect();
    fates.sort_by_key(|(way, _)| *way != Way::Replayed);
    assert_eq!(fates, [(Way::Replayed, Outcome::Answered), (Way::Not, Outcome::Cut)]);
    assert!(report.usage.is_some_and(|usage| usage.memory_bytes > 0), "{:?}", report.usage);
    assert!(report.last_lines.iter().any(|line| line == "a line of its own"), "{:?}", report.last_lines);
    assert!(report.events.iter().any(|event| event.kind.name() == "server.exited"));

    let text = why(&tree, &[]);
    says(&text, &["Now: the server is ready.", "signal SIGKILL (9), not sent by mlx-tree", "2 requests"]);
    says(&text, &["sent again and answered", "cut: its client had a part", "restart after 0.1 s", "ready again after"]);
    let whole = why(&tree, &[&report.id]);
    says(&whole, &["a line of its own", "Server went down (signal: 9)"]);
    let (_, russian, _) = tree.command(&["why", "--set", "log.language=ru"]);
    says(&russian, &["сигнал SIGKILL (9), не от mlx-tree", "запросов: 2", "отправлен снова и получил ответ"]);

    let (directory, file) = place(&tree, &report.id);
    let mode = |path: &PathBuf| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
    let everything = std::fs::read_to_string(&file).expect("readable") + &text + &whole;
    assert!(!everything.contains(canary), "a prompt got out:\n{everything}");
    let access = std::fs::read_to_string(tree.state_dir().join("control.json")).expect("there");
    let access: serde_json::Value = serde_json::from_str(&access).expect("JSON");
    assert!(!everything.contains(access["token"].as_str().expect("a token")), "the token got out");

    // It needs no running mlx-tree.
    let (_, json, _) = tree.command(&["why", "--json", "--server", "server"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["reports"][0]["id"], report.id.as_str());
    assert_eq!(json["now"]["state"], "running");
    let (home, words) = (tree.home().to_owned(), ["why", "--set", "log.language=en"]);
    let offline = Setup::new(&words).set("state_dir", home.join("state").to_str().expect("utf-8"));
    tree.signal(Signal::SIGTERM);
    let mut tree = tree;
    tree.ended().await;
    let (_, text, _) = offline.run();
    says(&text, &["Now: no mlx-tree is running here.", "signal SIGKILL (9)"]);
    let (status, _, error) = tree.command(&["why", "nothing-of-that-name", "--set", "log.language=en"]);
    assert_eq!(
        (status.code(), error.lines().next()),
        (Some(1), Some("error: there is no report \"nothing-of-that-name\""))
    );
}

fn place(tree: &Instance, id: &str) -> (PathBuf, PathBuf) {
    let directory = Shelf::path(&tree.state_dir());
    let file = directory.join(format!("{id}.json"));
    (directory, file)
}

#[tokio::test]
async fn a_server_that_ends_with_a_traceback_again_and_again_is_one_paragraph_with_its_cause() {
    let crash = "--exit-after 0 --code 3 --last-words ValueError:_no_such_rope";
    let tree = Setup::scripted(&[crash, crash, crash, "ok"]).start();
    tree.ready(4).await;
    let ended = reports(&tree, "three", |it| it.len() == 3 && it[2].recovery.is_some()).await;
    assert!(ended.iter().all(|report| report.how == How::Code { code: 3 } && report.ready_after_s.is_none()));
    // What one life wrote is not taken for the words of the next.
    assert!(ended.iter().all(|report| report.last_lines.iter().filter(|it| it.contains("rope")).count() == 1));
    let text = why(&tree, &[]);
    says(&text, &["server went down 3 times in", "exit code 3", "cause       ValueError:_no_such_rope", "never ready"]);
    says(&text, &["no request", "failures in a row: 3", "ready again after"]);
    assert_eq!(text.matches("went down").count(), 1, "{text}");
    tree.stop().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_explained_as_such_and_not_as_a_crash() {
    let tree = Setup::scripted(&["--control --stall-after 3", "--tps 50"]).start();
    let url = tree.ready(1).await.server.url.expect("it serves");
    let gateway = tree.gateway().await;
    let mut stuck = gateway.send(&with(streamed("hi"), "max_tokens", 30)).await;
    stuck.event().await.expect("it begins");
    wire::steer(&url, "hang").await;
    let ended = reports(&tree, "one", |it| it.len() == 1 && it[0].recovery.is_some()).await;
    assert!(matches!(ended[0].how, How::Health | How::Canary | How::Stall), "{:?}", ended[0].how);
    assert_eq!(ended[0].reason, "unhealthy");
    assert!(ended[0].given_up_for.is_some());
    assert_eq!(ended[0].requests.len(), 1, "{:?}", ended[0].requests);
    says(&why(&tree, &[]), &["Its process lived but answered no more", "1 request", "lower gateway.max_inflight"]);
    tree.stop().await;
}

#[tokio::test]
async fn a_place_that_cannot_be_written_to_costs_a_report_and_nothing_else() {
    let tree = Setup::demo(&[]).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let shelf = Shelf::path(&tree.state_dir());
    std::fs::remove_dir(&shelf).expect("it is empty");
    std::fs::write(&shelf, "in the way").expect("written");
    support::send(server, Signal::SIGKILL);
    tree.ready(2).await;
    tree.told(&["a report is lost"]).await;
    let (status, _, error) = tree.command(&["why"]);
    assert_eq!(status.code(), Some(1), "{error}");
    tree.stop().await;

    // Nor does a tree stay down for one; and who wants no reports has none.
    let home = Setup::demo(&[]);
    let state = home.home().join("state");
    std::fs::create_dir_all(&state).expect("made");
    std::fs::write(state.join("reports"), "in the way").expect("written");
    let tree = home.start();
    tree.ready(1).await;
    tree.told(&["no reports are kept"]).await;
    tree.stop().await;
    let tree = Setup::demo(&[]).set("reports.keep", "0").start();
    support::send(tree.ready(1).await.process_pid.expect("it serves"), Signal::SIGKILL);
    tree.ready(2).await;
    assert!(!Shelf::path(&tree.state_dir()).exists());
    says(&why(&tree, &[]), &["No report of a server that went down."]);
    tree.stop().await;
}

#[test]
fn every_reason_that_there_is_has_advice_in_both_languages() {
    for reason in Reason::ALL {
        for language in [Language::En, Language::Ru] {
            let advice = advice(reason.as_str(), language);
            assert!(advice.is_some_and(|it| !it.meaning.is_empty() && !it.steps.is_empty()), "{reason:?} {language:?}");
        }
    }
}

/// How a server was given up is told from the words of the verdict.
#[test]
fn the_verdicts_are_worded_as_the_reports_read_them() {
    let liveness = include_str!("../crates/workers/src/health/liveness.rs");
    for words in
        ["the server has done nothing for", "health checks in a row were missed", "a completion of one token failed"]
    {
        assert!(liveness.contains(words), "{words}");
    }
}

/// What `mlx-tree doctor` says of a home, and with which code it ends.
fn doctor(setup: Setup) -> (Option<i32>, String) {
    let (status, text, error) = setup.set("log.language", "en").run();
    assert!(error.is_empty(), "{error}");
    (status.code(), text)
}

/// A home whose one server is the stand-in, as far as a configuration can say that: nothing of Python.
fn at_home() -> Setup {
    Setup::new(&["doctor"]).set("server.command", r#"["mlx-tree", "stand-in", "--port", "{port}"]"#)
}

#[tokio::test]
async fn a_doctor_finds_nothing_wrong_with_a_healthy_home_and_its_running_tree() {
    let (code, text) = doctor(at_home());
    assert_eq!(code, Some(0), "{text}");
    says(&text, &["✓ configuration", "✓ state_dir", "✓ instance       none runs here", "wrong: 0"]);
    let port = support::free_port();
    let listen = format!("127.0.0.1:{port}");
    let tree = Setup::demo(&[]).set("gateway.listen", &listen).start();
    tree.ready(1).await;
    let (status, json, error) = tree.command(&["doctor", "--json", "--set", &format!("gateway.listen={listen}")]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|it| panic!("{it}: {json} {error}"));
    let finding = |words: &str| {
        let mut findings = json["findings"].as_array().expect("a list").iter();
        let found = findings.find(|it| it["said"].as_str().is_some_and(|said| said.contains(words)));
        found.unwrap_or_else(|| panic!("no {words}: {json:#}")).clone()
    };
    assert_eq!(finding("runs and answers")["mark"], "good");
    assert_eq!(finding(&format!("gateway.listen = {listen} is held by the mlx-tree"))["mark"], "good");
    assert_eq!(json["ok"], status.success(), "{json:#}");
    tree.stop().await;
}

#[test]
fn a_doctor_finds_what_is_broken_and_says_how_to_mend_it() {
    // A state directory that anybody can write to.
    let home = at_home();
    let state = home.home().join("state");
    std::fs::create_dir_all(&state).expect("made");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).expect("set");
    let (code, text) = doctor(home);
    assert_eq!(code, Some(1), "{text}");
    says(&text, &["✗ state_dir", "(mode 0777)", &format!("→ chmod 700 {}", state.display())]);

    // A port that belongs to somebody else, who is named and left alone.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let (code, text) = doctor(at_home().set("gateway.listen", &address));
    assert_eq!(code, Some(1), "{text}");
    let holder = format!("gateway.listen = {address} is held by pid {}", std::process::id());
    says(&text, &["✗ port", &holder, "end that process, or set gateway.listen to another port"]);

    // An interpreter that is not there, and a model that was not downloaded to its end.
    let home = Setup::new(&["doctor"]).set("server.python", "/no/such/python");
    let model = home.home().join("model");
    std::fs::create_dir_all(&model).expect("made");
    let write = |name: &str, bytes: &[u8]| std::fs::write(model.join(name), bytes).expect("written");
    write("config.json", b"{}");
    write("tokenizer.json", b"{}");
    let head = br#"{"a": {"dtype": "F32", "shape": [2097152], "data_offsets": [0, 8388608]}}"#;
    write("model.safetensors", &[&(head.len() as u64).to_le_bytes()[..], head, &[0; 4096]].concat());
    let (code, text) = doctor(home.set("server.model", model.to_str().expect("utf-8")));
    assert_eq!(code, Some(1), "{text}");
    says(
        &text,
        &["✗ python", "/no/such/python", "✗ model", "model.safetensors: it has", "cut short", "download it again"],
    );

    // A configuration that cannot be read.
    let (code, text) = doctor(at_home().set("server.start", "\"sometimes\""));
    assert_eq!(code, Some(1), "{text}");
    says(&text, &["✗ configuration", "server.start", "mlx-tree check"]);
}

/// `python -c` looks for modules where it is run, and a person may stand anywhere when they call the doctor.
#[test]
fn a_doctor_runs_nothing_that_lies_where_it_is_called() {
    let here = tempfile::tempdir().expect("a directory");
    std::fs::write(here.path().join("platform.py"), "open('ran', 'w')\n").expect("written");
    let python = here.path().join("python");
    let script = "#!/bin/sh\ncase \"$2\" in\n*mlx-tree-probe*) printf '%s version 3.12.1\\n%s module 1.0\\n' mlx-tree-probe \
                  mlx-tree-probe ;;\n*) exec python3 \"$@\" ;;\nesac\n";
    std::fs::write(&python, script).expect("written");
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o700)).expect("ours");
    let setup = Setup::new(&["doctor"]).set("server.python", python.to_str().expect("utf-8"));
    let called_there = setup.with(|command, _| {
        command.current_dir(here.path());
    });
    let (_, text) = doctor(called_there);
    says(&text, &["Python 3.12.1, mlx_lm 1.0"]);
    assert!(!here.path().join("ran").exists(), "a stranger's platform.py was run: {text}");
}
