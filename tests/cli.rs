//! What the program says to a person who types: help, errors, the configuration, the running tree.

mod support;

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, ExitStatus, Stdio};

use mlx_tree_api::Phase;
use nix::sys::signal::Signal;
use support::{Instance, PROGRAM, Setup};

/// The commands that a person is told of.
const COMMANDS: [&str; 20] = [
    "run",
    "demo",
    "status",
    "start",
    "stop",
    "restart",
    "drain",
    "reload",
    "reset",
    "shutdown",
    "logs",
    "events",
    "token",
    "why",
    "doctor",
    "check",
    "setup",
    "service",
    "completions",
    "man",
];

/// A command line with its outcome, as a terminal shows it.
struct Typed {
    setup: Setup,
    line: String,
    home: String,
}

/// `mlx-tree <words>` with a home of its own.
fn typed(words: &[&str]) -> Typed {
    let mut home = String::new();
    let setup = Setup::new(words).with(|_, path| home = path.display().to_string());
    Typed { setup, line: format!("mlx-tree {}", words.join(" ")), home }
}

impl Typed {
    fn set(mut self, key: &str, value: &str) -> Self {
        self.setup = self.setup.set(key, value);
        self
    }

    /// With `--config` and a file of this content.
    fn config(mut self, content: &str) -> Self {
        self.line.push_str(" --config ~/mine.toml");
        self.setup = self.setup.with(|command, home| {
            let file = home.join("mine.toml");
            fs::write(&file, content).expect("the file is written");
            command.arg("--config").arg(file);
        });
        self
    }

    fn shown(self) -> String {
        let (status, stdout, stderr) = self.setup.run();
        shown(&self.line, status, &stdout, &stderr, &self.home)
    }
}

fn shown(line: &str, status: ExitStatus, stdout: &str, stderr: &str, home: &str) -> String {
    let code = status.code().expect("it exits by itself");
    format!("$ {line}\n{stdout}{stderr}[exit {code}]\n").replace(home, "~")
}

/// What a second command says of a running tree, with what differs from run to run taken out.
fn said_of(tree: &Instance, words: &[&str]) -> String {
    let (status, stdout, stderr) = tree.command(words);
    let home = tree.home().display().to_string();
    shown(&format!("mlx-tree {}", words.join(" ")), status, &stdout, &stderr, &home)
}

/// Asserts that a report has the form that all have: what, why, what to do.
fn is_a_report(text: &str) {
    assert!(text.contains("\nerror: "), "{text}");
    assert!(text.contains("\nhelp: ") || text.contains("\n  help: "), "{text}");
}

#[test]
fn help_fits_a_screen_and_names_every_command() {
    let shown = typed(&["--help"]).shown();
    assert!(COMMANDS.iter().all(|command| shown.contains(&format!("\n  {command} "))), "{shown}");
    assert!(shown.lines().count() <= 50 && shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    let body = |text: &str| text.split_once('\n').map(|(_, body)| body.to_owned());
    assert_eq!(body(&shown), body(&typed(&["-h"]).shown()), "one help, not two");
    insta::assert_snapshot!(shown);
}

#[test]
fn each_command_has_help_of_its_own() {
    for command in COMMANDS {
        insta::assert_snapshot!(format!("help_of_{command}"), typed(&[command, "--help"]).shown());
    }
}

#[test]
fn the_version_is_the_packages() {
    let shown = typed(&["--version"]).shown();
    assert_eq!(shown, format!("$ mlx-tree --version\nmlx-tree {}\n[exit 0]\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused_with_64_and_a_hint() {
    let mistakes: [&[&str]; 7] = [
        &["--bogus"],
        &["stauts"],
        &["status", "--jsn"],
        &["--log-format", "xml"],
        &["--set", "server.port"],
        &["--port", "99999"],
        &["logs", "-n", "many"],
    ];
    let all: Vec<_> = mistakes.iter().map(|words| typed(words).shown()).collect();
    for text in &all {
        is_a_report(text);
        assert!(text.ends_with("[exit 64]\n"), "{text}");
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn everything_that_is_wrong_with_the_configuration_is_told_at_once_with_78() {
    for command in ["check", "run"] {
        let shown = typed(&[command, "--set", "server.prot=9000", "--set", "health.timeout=5"])
            .set("restart.policy", "sometimes")
            .config("[breaker]\nopen_for = \"soon\"\n")
            .set("control.listen", "0.0.0.0:8081")
            .shown();
        is_a_report(&shown);
        insta::assert_snapshot!(format!("bad_configuration_for_{command}"), shown);
    }
}

// The places are Linux's.
#[cfg(target_os = "linux")]
#[test]
fn check_shows_every_key_with_its_origin() {
    let shown = typed(&["check", "--model", "builtin:tiny", "--set", "log.language=ru"])
        .config("[restart]\nmax_restarts = 7\n")
        .set("health.interval", "20s")
        .shown();
    // How wide the columns are depends on how long the path of the home is.
    let lines = shown.lines().map(|line| match line.split_once("  # ") {
        Some((value, origin)) => format!("{}  # {origin}", value.trim_end()),
        None => line.to_owned(),
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn commands_that_ask_say_plainly_that_nothing_runs() {
    let words: [&[&str]; 7] =
        [&["status"], &["start"], &["stop"], &["restart"], &["reset"], &["shutdown"], &["logs", "-f"]];
    let all: Vec<_> = words.iter().map(|words| typed(words).shown()).collect();
    for text in &all {
        is_a_report(text);
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_taken_control_port_is_told_with_69() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let shown = typed(&["demo"]).set("control.listen", &address).shown();
    is_a_report(&shown);
    let error = std::io::Error::from_raw_os_error(nix::libc::EADDRINUSE).to_string();
    insta::assert_snapshot!(shown.replace(&address, "127.0.0.1:8081").replace(&error, "Address already in use"));
}

#[test]
fn a_taken_port_of_the_gateway_is_told_with_69() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let shown = typed(&["demo"]).set("gateway.listen", &address).shown();
    is_a_report(&shown);
    let error = std::io::Error::from_raw_os_error(nix::libc::EADDRINUSE).to_string();
    insta::assert_snapshot!(shown.replace(&address, "127.0.0.1:8080").replace(&error, "Address already in use"));
}

#[tokio::test]
async fn a_second_mlx_tree_names_the_first_and_ends_with_75() {
    let tree = Setup::demo(&[]).start();
    tree.ready(1).await;
    let state = tree.state_dir().display().to_string();
    let (home, pid) = (tree.home().display().to_string(), tree.pid().to_string());
    let typed = typed(&["demo"]).set("state_dir", &state);
    let shown = typed.shown().replace(&home, "~").replace(&pid, "4711");
    is_a_report(&shown);
    insta::assert_snapshot!(shown);
    tree.stop().await;
}

#[tokio::test]
async fn verbs_say_what_they_have_done_or_why_not() {
    let tree = Setup::demo(&[]).start();
    let first = tree.ready(1).await.process_pid.expect("it runs").to_string();
    let started = said_of(&tree, &["start"]).replace(&first, "4711");
    let stopped = said_of(&tree, &["stop"]);
    assert_eq!(tree.status().await.phase, Phase::Stopped);
    let again = said_of(&tree, &["stop"]);
    let reset = said_of(&tree, &["reset"]);
    assert_eq!(tree.status().await.phase, Phase::Stopped, "a reset starts nothing that was stopped");
    let back = said_of(&tree, &["start"]);
    let second = tree.ready(2).await.process_pid.expect("it runs").to_string();
    let restarted = said_of(&tree, &["restart"]);
    let third = tree.ready(3).await.process_pid.expect("it runs").to_string();
    let back = back.replace(&second, "4712");
    let restarted = restarted.replace(&third, "4713");
    let ended = said_of(&tree, &["shutdown"]);
    insta::assert_snapshot!([started, stopped, again, reset, back, restarted, ended].join("\n"));
    let mut tree = tree;
    assert_eq!(tree.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_file_that_is_broken_by_now_takes_a_running_mlx_tree_from_nobody() {
    let tree = Setup::demo(&[]).start();
    tree.ready(1).await;
    let file = tree.home().join("mine.toml");
    fs::write(&file, "[log]\nlanguage = \"ru\"\n[server]\nprot = 1\n").expect("the file is written");
    let file = file.to_str().expect("utf-8");
    for word in ["status", "events", "logs", "token", "why"] {
        let (status, told, note) = tree.command(&[word, "--config", file]);
        assert!(status.success() && (word == "logs" || !told.is_empty()), "{word}: {note}");
        let russian = "примечание: конфигурация непригодна, но работающий mlx-tree всё равно опрошен";
        assert!(note.contains(russian), "in the language that the rest of the file names: {note}");
    }
    let (status, _, error) = tree.command(&["check", "--config", file]);
    assert!(status.code() == Some(78) && error.starts_with("ошибка: "), "{error}");
    let (status, said, _) = tree.command(&["stop", "--config", file]);
    assert!(status.success() && tree.status().await.phase == Phase::Stopped, "{said}");
    tree.stop().await;
}

#[test]
fn a_command_of_commands_alone_says_which_there_are() {
    for command in ["service", "notify"] {
        let shown = typed(&[command]).shown();
        assert!(shown.contains(&format!("Usage: mlx-tree {command}")) && shown.ends_with("[exit 64]\n"), "{shown}");
    }
}

#[tokio::test]
async fn a_stop_during_a_backoff_is_shown_as_stopped() {
    let tree =
        Setup::demo(&["--exit-after", "0"]).set("restart.backoff_initial", "30s").set("restart.backoff_max", "60s");
    let tree = tree.start();
    tree.until("in backoff", |status| status.phase == Phase::Backoff).await;
    let (exit, ..) = tree.command(&["stop"]);
    assert!(exit.success());
    let (_, picture, _) = tree.command(&["status"]);
    assert!(picture.contains("· stopped on request") && picture.contains("🛑 stopped"), "{picture}");
    tree.stop().await;
}

#[tokio::test]
async fn an_mlx_tree_that_was_killed_is_not_waited_for() {
    let mut tree = Setup::demo(&[]).start();
    let status = tree.ready(1).await;
    let (pid, url) = (tree.pid().to_string(), status.supervisor.control.expect("it has one"));
    tree.signal(Signal::SIGKILL);
    tree.ended().await;
    support::gone(status.process_pid.expect("it ran"), support::PATIENCE).await;
    let shown = said_of(&tree, &["status"]);
    is_a_report(&shown);
    let shown = shown.replace(&pid, "4711").replace(&url, "http://127.0.0.1:8081");
    // What lies below `connect` is told in the words of the operating system.
    let plain: Vec<_> = shown.lines().filter(|line| !line.starts_with("caused by:")).collect();
    insta::assert_snapshot!(plain.join("\n"));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let tree = Setup::demo(&[]).start();
    tree.ready(1).await;
    let piped = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(words).env("HOME", tree.home()).env("MLX_TREE__STATE_DIR", tree.state_dir());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("utf-8");
        (child.wait().expect("it ends"), stderr)
    };
    let commands: [&[&str]; 6] =
        [&["status"], &["status", "--json"], &["logs"], &["events", "--json"], &["check"], &["--help"]];
    for words in commands {
        let (status, stderr) = piped(words);
        assert!(status.code() == Some(0) && stderr.is_empty(), "{words:?}: {status}: {stderr}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn what_has_happened_is_told_again_and_the_token_is_shown_to_its_owner() {
    let tree = Setup::demo(&[]).start();
    let status = tree.ready(1).await;
    let (_, told, _) = tree.command(&["events"]);
    let ready = format!("(PID: {})", status.process_pid.expect("it runs"));
    assert!(told.lines().any(|line| line.contains("✅ [SUPERVISOR]") && line.ends_with(&ready)), "{told}");
    assert!(told.lines().all(|line| line.is_empty() || line.starts_with(' ') || line.contains("Z  ")), "{told}");
    let (_, last, _) = tree.command(&["events", "-n", "2", "--json"]);
    let seqs: Vec<_> = last
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["seq"].as_u64().expect("a number"))
        .collect();
    assert!(seqs.len() == 2 && seqs[1] == seqs[0] + 1, "{last}");
    let (code, token, _) = tree.command(&["token"]);
    assert_eq!(code.code(), Some(0));
    assert_eq!(token.trim_end(), tree.access().token.secret());
    tree.stop().await;
}
