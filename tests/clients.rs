//! Real clients from their registries, unmodified, before an mlx-tree whose server goes down while they ask.
//!
//! The first run in a checkout installs them below the build directory, which takes some minutes.

#[path = "clients/curl.rs"]
mod curl;
#[allow(dead_code, reason = "a module of several test programs, each of which uses its part")]
#[path = "support/mlx.rs"]
mod mlx;
#[path = "support/packages.rs"]
mod packages;
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mlx::{Version, environment, real};
use mlx_tree_api::{Event, Kind, Phase};
use mlx_tree_provision::model;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{Instance, Setup, say, send, wire};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The clients in Python, in one environment.
const PYTHON: [&str; 3] = ["openai==3.57.0", "langchain-openai==1.7.4", "litellm==1.110.2"];
/// The client in JavaScript.
const NODE: [&str; 1] = ["openai@7.57.0"];

/// The longest that one client may take, with the import of itself on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// So many clients at once, not as many as there are tests: each needs a processor to come up, and gives up in time.
static TURNS: Semaphore = Semaphore::const_new(3);

/// How many tokens each answer has that is not said to be longer.
const TOKENS: usize = 16;

/// What the server does in each of its lives. Where a stream is to be cut it is slow enough for a token to be on its way before;
/// the last life takes its time to begin, so that a request has to wait.
const LIVES: [&str; 4] = [
    "--tps 300 --only-with crash-plain --die-after-tokens 3",
    "--tps 40 --only-with crash-greedy --die-after-tokens 3",
    "--tps 40 --only-with crash-sampled --die-after-tokens 3",
    "--tps 300 --listen-after 1s",
];

/// An mlx-tree whose server goes down at the requests that say so, with little room, and its clients' address.
async fn stage() -> (Instance, String) {
    let lives = LIVES.map(|flags| format!("{flags} --control --answer-tokens inf"));
    let setup = Setup::scripted(&lives.each_ref().map(String::as_str));
    let tree = setup.set("gateway.max_inflight", "2").set("gateway.max_queue", "1").start();
    tree.ready(1).await;
    let address = address(&tree).await;
    (tree, address)
}

/// Where clients go.
async fn address(tree: &Instance) -> String {
    tree.status().await.gateway.expect("it has one").url
}

/// What has happened so far.
async fn events(tree: &Instance) -> Vec<Event> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a plain client");
    let request = client.get(format!("{}/events", tree.access().url)).header("accept", "application/x-ndjson");
    let answer = request.send().await.expect("an answer");
    let lines = answer.text().await.expect("a text");
    lines.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").join(name)
}

async fn python() -> PathBuf {
    let make = || packages::python("clients-env", &PYTHON);
    tokio::task::spawn_blocking(make).await.expect("it is installed")
}

/// Whether these programs are here. Not everybody who builds mlx-tree has them; the machine that decides has.
async fn are_here(programs: &[&str]) -> bool {
    for name in programs {
        let asked = Command::new(name).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status().await;
        if let Err(error) = asked {
            assert!(std::env::var_os("MLX_TREE_CI").is_none(), "{name} cannot be run: {error}");
            say(&format!("skipped: no {name}"));
            return false;
        }
    }
    true
}

/// The last line of what `command` prints; `meanwhile` gets the lines before it.
async fn told(command: &mut Command, mut meanwhile: impl AsyncFnMut(String)) -> Value {
    // A proxy of the machine's is not between a client and this machine.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let mut pipe = process.stderr.take().expect("a pipe");
    let mut errors = String::new();
    let run = async {
        let (last, _) = tokio::join!(last_line(lines, &mut meanwhile), pipe.read_to_string(&mut errors));
        (last, process.wait().await)
    };
    let (last, exit) = timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("{command:?} does not end"));
    assert!(exit.is_ok_and(|exit| exit.success()), "{command:?}: {errors}");
    serde_json::from_str(&last).unwrap_or_else(|error| panic!("{error} in {last:?}; {errors}"))
}

async fn last_line(
    mut lines: tokio::io::Lines<BufReader<ChildStdout>>,
    meanwhile: &mut impl AsyncFnMut(String),
) -> String {
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with('{') {
            return line;
        }
        meanwhile(line).await;
    }
    String::new()
}

/// Has a script of a client in Python go through all of it.
async fn python_client(script: &str, pin: &str, raised: [&str; 2]) {
    let python = python().await;
    let _turn = TURNS.acquire().await;
    let (tree, url) = stage().await;
    let told = told(Command::new(python).arg(beside(script)).arg(&url), async |line| panic!("{line}")).await;
    assert_eq!(told["version"], pin.split("==").last().expect("a version"), "{told}");
    judge(&told, &tree, raised.map(Value::from)).await;
    tree.stop().await;
}

/// What every client must have seen; `raised` when an answer was cut, and when it gave up itself.
async fn judge(told: &Value, tree: &Instance, raised: [Value; 2]) {
    for name in ["plain", "stream", "plain_crash", "plain_uncut", "greedy_crash", "greedy_uncut", "held"] {
        let part = &told[name];
        assert!(part.get("error").is_none(), "{name}: {part}");
        assert_eq!(part["text"].as_str().map(words), Some(TOKENS), "{name}: {part}");
        // One request and one answer: nothing of a crash was left to the client.
        assert_eq!(part["http"], json!([200]), "{name}: {part}");
    }
    assert_eq!(told["stream"]["text"], told["plain"]["text"]);
    assert_eq!(told["plain_crash"]["text"], told["plain_uncut"]["text"]);
    assert_eq!(told["greedy_crash"]["text"], told["greedy_uncut"]["text"]);
    for name in ["stream", "greedy_crash", "greedy_uncut"] {
        assert!(told[name]["pieces"].as_u64() > Some(1), "{name}: {}", told[name]);
    }
    let cut = &told["sampled_crash"];
    assert_eq!(cut["error"]["classes"][0], raised[0], "{cut}");
    assert!(cut["text"].as_str().is_some_and(|text| (1..=3).contains(&words(text))), "{cut}");
    assert_eq!(cut["http"], json!([200]), "it was not asked again: {cut}");
    judge_overload(&told["overload"]);
    let impatient = &told["impatient"];
    assert_eq!(impatient["given_up"]["error"]["classes"][0], raised[1], "{impatient}");
    assert_eq!(impatient["given_up"]["text"], "", "{impatient}");
    assert!(impatient["next"].get("error").is_none(), "{impatient}");
    judge_events(&events(tree).await);
    forgotten(tree).await;
}

/// Each word is a token.
fn words(text: &str) -> usize {
    text.split(' ').count()
}

/// One of two was refused, came again when it had been told to, and was served.
fn judge_overload(told: &Value) {
    assert_eq!(told["refused"], true, "{told}");
    let both = told["both"].as_array().expect("two");
    for one in both {
        assert!(one.get("error").is_none(), "{told}");
        assert_eq!(one["text"].as_str().map(words), Some(TOKENS), "{told}");
    }
    // The least that Retry-After says. By themselves SDKs come again after half a second.
    let longest = both.iter().filter_map(|one| one["seconds"].as_f64()).fold(0.0, f64::max);
    assert!(longest >= 1.0, "it did not wait as long as it was told to: {told}");
}

fn judge_events(events: &[Event]) {
    let of = |request: fn(&Kind) -> Option<&String>| {
        events.iter().filter_map(|event| request(&event.kind).map(String::as_str)).collect::<BTreeSet<_>>()
    };
    let (replayed, continued) = (
        of(|kind| if let Kind::RequestReplayed { request, .. } = kind { Some(request) } else { None }),
        of(|kind| if let Kind::RequestContinued { request, .. } = kind { Some(request) } else { None }),
    );
    let failed = of(|kind| if let Kind::RequestFailed { request, .. } = kind { Some(request) } else { None });
    assert_eq!((replayed.len(), continued.len(), failed.len()), (1, 1, 1), "{events:#?}");
    // The first two waited for the next life as well; and there is one who came when there was no server.
    let held = of(|kind| if let Kind::RequestHeld { request, .. } = kind { Some(request) } else { None });
    assert!(held.iter().any(|request| !replayed.contains(request) && !continued.contains(request)), "{events:#?}");
}

/// Nobody works any more for those who have left: two endless streams, and one that gave up waiting.
async fn forgotten(tree: &Instance) {
    let url = tree.url().await;
    let quiet = async {
        loop {
            let stats = wire::ask(&url, "GET", "/_fake/stats", "").await.expect("the stand-in answers");
            let stats: Value = stats.lines().last().and_then(|line| serde_json::from_str(line).ok()).expect("numbers");
            if stats["in_flight"] == 0 {
                return stats;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let stats = timeout(PATIENCE, quiet).await.expect("a request is worked on for nobody");
    // Two that had begun for certain; the third may have left before.
    assert!(stats["aborted"].as_u64() >= Some(2), "{stats}");
}

#[tokio::test]
async fn openai_python() {
    python_client("openai_sync.py", PYTHON[0], ["APIError", "APITimeoutError"]).await;
}

#[tokio::test]
async fn openai_python_asynchronous() {
    python_client("openai_async.py", PYTHON[0], ["APIError", "APITimeoutError"]).await;
}

#[tokio::test]
async fn langchain() {
    python_client("langchain_client.py", PYTHON[1], ["APIError", "OpenAITimeoutError"]).await;
}

#[tokio::test]
async fn litellm() {
    python_client("litellm_client.py", PYTHON[2], ["MidStreamFallbackError", "Timeout"]).await;
}

#[tokio::test]
async fn openai_node() {
    if !are_here(&["node", "npm"]).await {
        return;
    }
    let make = tokio::task::spawn_blocking(|| packages::node("clients-node", &NODE));
    let packages = make.await.expect("it is installed");
    let _turn = TURNS.acquire().await;
    let (tree, url) = stage().await;
    let mut command = Command::new("node");
    command.arg(beside("openai_node.mjs")).arg(&url).current_dir(packages);
    let told = told(&mut command, async |line| panic!("{line}")).await;
    assert_eq!(told["version"], NODE[0].split('@').next_back().expect("a version"), "{told}");
    judge(&told, &tree, ["APIError", "APIConnectionTimeoutError"].map(Value::from)).await;
    tree.stop().await;
}

#[tokio::test]
async fn curl() {
    if !are_here(&["curl"]).await {
        return;
    }
    let _turn = TURNS.acquire().await;
    let (tree, url) = stage().await;
    // A transfer that was broken off, and one that took too long.
    judge(&curl::go(&url).await, &tree, [18, 28].map(Value::from)).await;
    tree.stop().await;
}

#[tokio::test]
async fn openai_python_and_a_real_server_that_is_killed() {
    let (python, setup) = tokio::join!(python(), real());
    let _turn = TURNS.acquire().await;
    let tree = setup.start();
    let mut status = tree.ready(1).await;
    let url = address(&tree).await;
    let mut kills = 0;
    let told = told(Command::new(python).arg(beside("openai_real.py")).arg(&url), async |line| {
        assert_eq!(line, "kill");
        kills += 1;
        send(status.process_pid.expect("it is up"), Signal::SIGKILL);
        status = tree.ready(status.server.epoch + 1).await;
    })
    .await;
    assert_eq!(kills, 2);
    for name in ["stream_uncut", "plain_uncut", "stream_killed", "held"] {
        let error = told[name].get("error");
        assert!(error.is_none(), "{name}: {error:?}");
    }
    // Texts of a thousand words are not shown.
    let same = |one: &str, other: &str| told[one]["text"] == told[other]["text"];
    assert!(same("stream_killed", "stream_uncut"), "a stream that was cut went on as another");
    assert!(same("plain_killed", "plain_uncut"), "a plain answer came out as another");
    assert_eq!(told["plain_killed"]["attempts"], "2");
    // Six requests, each of them answered once.
    assert_eq!(told["http"], json!([200, 200, 200, 200, 200, 200]));
    let cut = &told["sampled_killed"];
    assert!(cut["error"].is_object(), "half an answer was taken for a whole one");
    assert!(cut["pieces"].as_u64() >= Some(1));
    assert_eq!(tree.status().await.restart_count, 2);
    tree.stop().await;
}

#[tokio::test]
async fn tools_are_called_by_openai_python_and_langchain() {
    let (python, server) = tokio::join!(python(), environment(Version::Current));
    let _turn = TURNS.acquire().await;
    let home = tempfile::tempdir().expect("a directory");
    let model = model::resolve(model::BUILTIN_TINY, home.path(), home.path()).await.expect("a model");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/support/scripted_server.py");
    let (server, script) = (server.interpreter.to_str().expect("utf-8"), script.to_str().expect("utf-8"));
    let text = "Let me look. <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bern\"}}</tool_call>";
    let tree = Setup::serving(&[server, script, &model.argument, text, "{port}"])
        .set("health.interval", "2s")
        .set("health.timeout", "2s")
        .start();
    tree.until("ready", |status| status.phase == Phase::Ready).await;
    let url = address(&tree).await;
    let told = told(Command::new(python).arg(beside("tools.py")).arg(&url), async |line| panic!("{line}")).await;
    let calls = json!([["get_weather", r#"{"city": "Bern"}"#]]);
    for name in ["openai plain", "openai streamed", "langchain plain", "langchain streamed"] {
        assert_eq!(told[name][1], calls, "{name}: {told}");
        assert_eq!(told[name][2], "tool_calls", "{name}: {told}");
        assert!(told[name][0].as_str().is_some_and(|text| text.starts_with("Let me look.")), "{name}: {told}");
    }
    tree.stop().await;
}
