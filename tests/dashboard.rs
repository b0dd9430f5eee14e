//! The dashboard in a real Chromium, before a real mlx-tree: what is shown, what a fall looks like, what is kept from it.
//!
//! `tests/browser/dashboard.mjs` drives the browser and judges what it sees; the stage, with everything that goes down on it, is
//! here. The two talk in lines of JSON.

#[path = "dashboard/narrated.rs"]
mod narrated;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mlx_tree::stand_in::{OllamaOptions, OllamaServer};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::gateway::{sampled, with};
use support::{Instance, PROGRAM, Setup, free_port, say, send};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The longest that everything together may take.
const PATIENCE: Duration = Duration::from_secs(420);

const CASES: [&str; 14] = [
    "the page shows the state of the tree, and asks nobody else",
    "a request in flight is seen on its way",
    "a kill is seen live, with its cause and what was decided",
    "the verbs and the log need the token, and work with it",
    "hostile words are harmless",
    "every control is reached with the keyboard, and seen to be",
    "no layout overflows",
    "what is written can be read, in light and in dark",
    "whatever can be used or seen has a name",
    "both languages are whole, and tell events as mlx-tree does",
    "several servers and the fallback are told apart, and what is held back says until when",
    "what is told of restarts and outages is what has happened",
    "a hidden tab asks for nothing",
    "when mlx-tree goes and comes again, so does the page",
];

/// What a browser must not run, a terminal must not obey, and an eye must not be misled by.
const HOSTILE: &str =
    "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>\u{1b}[31m\u{202e}txt";

/// What the server says in its log and at its end.
#[derive(Debug, Clone, Copy)]
enum Words {
    /// [`HOSTILE`] ones.
    Hostile,
    /// Those of a GPU that is out of memory.
    Plain,
}

const OUT_OF_MEMORY: &str = "libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command \
                             buffer execution failed: Insufficient Memory \
                             (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)";

/// Everything that the script may ask for.
struct Stage {
    tree: Option<Instance>,
    port: u16,
    words: Words,
    fleet: Option<(Instance, OllamaServer)>,
    requests: Vec<JoinHandle<()>>,
}

impl Stage {
    async fn set(words: Words) -> Self {
        let mut stage = Self { tree: None, port: free_port(), words, fleet: None, requests: Vec::new() };
        stage.begin().await;
        stage
    }

    /// Starts mlx-tree, each time with the same address for the page.
    async fn begin(&mut self) -> u32 {
        // Lines like these are taken for the cause.
        let (first, last) = match self.words {
            Words::Hostile => (HOSTILE, format!("ValueError: {HOSTILE}")),
            Words::Plain => ("loading", OUT_OF_MEMORY.to_owned()),
        };
        let tree = Setup::demo(&["--control", "--tps", "20", "--stderr", first, "--last-words", &last])
            .set("control.listen", &format!("127.0.0.1:{}", self.port))
            .set("restart.backoff_initial", "1500ms")
            .set("restart.backoff_max", "2s")
            .start();
        tree.ready(1).await;
        let pid = tree.pid();
        self.tree = Some(tree);
        pid
    }

    fn now(&self) -> &Instance {
        self.tree.as_ref().expect("it runs")
    }

    /// Three servers, of which one sleeps and one cannot be started, and a fallback.
    async fn fleet(&mut self) -> String {
        let command = [PROGRAM, "stand-in", "--host", "{host}", "--port", "{port}"].map(|word| format!("{word:?}"));
        let server = |name: &str, lines: &str| {
            format!("[[server]]\nname = \"{name}\"\nport = 0\ncommand = [{}]\n{lines}\n", command.join(", "))
        };
        let options = OllamaOptions { port: 0, models: vec!["small:latest".to_owned()], ..OllamaOptions::default() };
        let ollama = OllamaServer::start(options).expect("a port");
        let setup = Setup::new(&["run"])
            .set("fallback.policy", "opt-in")
            .set("fallback.url", &format!("http://{}", ollama.address()))
            .set("fallback.model", "small")
            .set("restart.backoff_initial", "100ms")
            .set("breaker.failure_threshold", "1");
        let file = setup.home().join("fleet.toml");
        let broken = server("broken", "").replace("\"stand-in\"", "\"no-such-command\"");
        let text = server("chat", "") + &server("coder", "start = \"on_demand\"") + &broken;
        std::fs::write(&file, text).expect("written");
        let tree = setup.with(|command, _| _ = command.arg("--config").arg(file)).start();
        tree.ready(1).await;
        let url = tree.access().url;
        self.fleet = Some((tree, ollama));
        url
    }

    /// Does what the script asks for, and answers it.
    async fn perform(&mut self, asked: &str) -> Value {
        match asked {
            "place" => {
                let token = serde_json::to_value(self.now().access()).expect("JSON")["token"].clone();
                json!({"url": self.now().access().url, "token": token, "pid": self.now().pid()})
            }
            "keys" => narrated::keys(),
            "narrated" => narrated::samples(),
            "request" => {
                let gateway = self.now().gateway().await;
                // Of a client that waits: it is under way for as long as the script wants.
                self.requests.push(tokio::spawn(async move {
                    let _ = gateway.ask(&with(sampled("a long one"), "max_tokens", 400)).await;
                }));
                Value::Null
            }
            "work" => {
                // Several clients that never stop asking, as those of a day do.
                let gateway = self.now().gateway().await;
                for client in 0..3_u64 {
                    self.requests.push(tokio::spawn(async move {
                        for turn in 0.. {
                            let tokens = 30 + (client * 37 + turn * 53) % 110;
                            let _ = gateway.ask(&with(sampled("a story"), "max_tokens", tokens)).await;
                            tokio::time::sleep(Duration::from_millis(200 + (client * 700 + turn * 910) % 2300)).await;
                        }
                    }));
                }
                Value::Null
            }
            "answer" => {
                self.requests.drain(..).for_each(|request| request.abort());
                Value::Null
            }
            "kill" => {
                let pid = self.now().server().await;
                send(pid, Signal::SIGKILL);
                json!(pid)
            }
            "crash" => {
                let url = self.now().url().await;
                let _ = support::wire::ask(&url, "POST", self.words.end(), "").await;
                Value::Null
            }
            "end" => {
                self.tree.take().expect("it runs").stop().await;
                Value::Null
            }
            "begin" => json!(self.begin().await),
            "fleet" => json!(self.fleet().await),
            other => panic!("the script asks for {other:?}"),
        }
    }

    async fn clear(self) {
        self.requests.iter().for_each(JoinHandle::abort);
        if let Some((fleet, _)) = self.fleet {
            fleet.stop().await;
        }
        if let Some(tree) = self.tree {
            tree.stop().await;
        }
    }
}

impl Words {
    /// What makes the stand-in end with its last words.
    const fn end(self) -> &'static str {
        match self {
            Self::Hostile => "/_fake/exit?code=3",
            Self::Plain => "/_fake/abort",
        }
    }
}

/// The first of these programs that is here. Not everybody who builds mlx-tree has a browser; the machine that decides has.
async fn first_of(programs: &[&'static str]) -> Option<&'static str> {
    for program in programs {
        let asked = Command::new(program).arg("--version").stdin(Stdio::null()).output().await;
        if asked.is_ok_and(|asked| asked.status.success()) {
            return Some(program);
        }
    }
    assert!(std::env::var_os("MLX_TREE_CI").is_none(), "none of {programs:?} can be run");
    say(&format!("skipped: none of {} is here", programs.join(", ")));
    None
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser").join(name)
}

/// Runs a script to its end; answers the cases that it has tried, each with what was wrong.
async fn run(script: &Path, words: &[&str], stage: &mut Stage) -> BTreeMap<String, Option<String>> {
    let mut command = Command::new("node");
    command.arg(script).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().expect("node runs");
    let mut answers = process.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let mut pipe = process.stderr.take().expect("a pipe");
    let (mut cases, mut errors) = (BTreeMap::new(), String::new());
    let told = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if let Some(asked) = told["ask"].as_str() {
                let answer = format!("{}\n", stage.perform(asked).await);
                answers.write_all(answer.as_bytes()).await.expect("it listens");
            } else if let Some(name) = told["case"].as_str() {
                say(&format!("{} ms: {name}", told["took"]));
                cases.insert(name.to_owned(), told["wrong"].as_str().map(str::to_owned));
            }
        }
    };
    let both = async { tokio::join!(told, pipe.read_to_string(&mut errors)) };
    timeout(PATIENCE, both).await.unwrap_or_else(|_| panic!("{} does not end", script.display())).1.expect("text");
    let exit = process.wait().await.expect("our own child");
    assert!(exit.success(), "{exit}: {errors}");
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_shows_what_happens_and_keeps_what_it_must() {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let (Some(browser), Some(_)) = (first_of(&browsers).await, first_of(&["node"]).await) else { return };
    let mut stage = Stage::set(Words::Hostile).await;
    let cases = run(&script("dashboard.mjs"), &[browser], &mut stage).await;
    let wrong: Vec<_> = cases.iter().filter_map(|(name, wrong)| Some(format!("{name}: {}", wrong.as_ref()?))).collect();
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n\n"), stage.now().log());
    let missing: Vec<_> = CASES.iter().filter(|name| !cases.contains_key(**name)).collect();
    assert!(missing.is_empty() && cases.len() == CASES.len(), "not tried: {missing:?}; tried: {cases:?}");
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes the pictures of docs/DASHBOARD.md, in some minutes"]
async fn pictures_for_the_documents() {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let (Some(browser), Some(_)) = (first_of(&browsers).await, first_of(&["node"]).await) else { return };
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
    let mut stage = Stage::set(Words::Plain).await;
    let taken = run(&script("screenshots.mjs"), &[browser, images.to_str().expect("utf-8")], &mut stage).await;
    assert!(taken.values().all(Option::is_none), "{taken:?}");
    stage.clear().await;
}
