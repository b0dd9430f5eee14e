//! What the end-to-end tests share: an mlx-tree of their own, with its own state, ports and end.

#![allow(dead_code, unreachable_pub, reason = "a module of several test programs, each of which uses its part")]

pub mod gateway;
pub mod processes;
pub mod rivals;
pub mod wire;

use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mlx_tree_api::{Phase, Status};
use mlx_tree_control::{Access, Client, Verb};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The longest that anything here may take. No test waits so long unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mlx-tree");

/// A running mlx-tree.
pub struct Instance {
    process: Child,
    home: Arc<TempDir>,
    log: PathBuf,
    exit: Option<ExitStatus>,
}

/// How an instance is started.
pub struct Setup {
    home: Arc<TempDir>,
    command: Command,
}

impl Setup {
    /// The program with a home, a state directory and ports of its own, and short times, run as `mlx-tree <words>`.
    pub fn new(words: &[&str]) -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let mut command = Command::new(PROGRAM);
        command.args(words);
        let mut setup = Self { home, command };
        setup.isolate();
        setup
    }

    /// `mlx-tree demo`, with short times and flags for the stand-in.
    pub fn demo(flags: &[&str]) -> Self {
        let mut setup = Self::new(&["demo"]).fast();
        setup.command.arg("--").args(flags);
        setup
    }

    /// `mlx-tree run` over a server command of the test's own, with short times. `{port}` is where its port goes.
    pub fn serving(command: &[&str]) -> Self {
        let words: Vec<String> = command.iter().map(|word| format!("{word:?}")).collect();
        Self::new(&["run"]).fast().set("server.command", &format!("[{}]", words.join(", ")))
    }

    /// `mlx-tree demo` over a stand-in whose n-th launch behaves as the n-th line says.
    pub fn scripted(lines: &[&str]) -> Self {
        let mut setup = Self::new(&["demo"]).fast();
        let script = setup.home.path().join("script");
        std::fs::write(&script, lines.join("\n") + "\n").expect("the script is written");
        setup.command.arg("--").arg("--script").arg(script);
        setup
    }

    /// The next life of `instance`: the same home, and so the same state directory.
    pub fn in_home_of(mut self, instance: &Instance) -> Self {
        self.home = Arc::clone(&instance.home);
        self.isolate();
        self
    }

    /// Keys that make a test's time short where the defaults are made for people.
    fn fast(self) -> Self {
        let keys = [
            ("restart.backoff_initial", "100ms"),
            ("restart.backoff_max", "1s"),
            ("health.interval", "500ms"),
            ("health.timeout", "500ms"),
            ("shutdown.grace", "3s"),
            ("shutdown.hung_grace", "500ms"),
        ];
        keys.into_iter().fold(self, |setup, (key, value)| setup.set(key, value))
    }

    fn isolate(&mut self) {
        let home = self.home.path();
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MLX_TREE__") || name.starts_with("XDG_"))
        {
            self.command.env_remove(name);
        }
        self.command
            .env("HOME", home)
            .env("LC_ALL", "C.UTF-8")
            .env("MLX_TREE__STATE_DIR", home.join("state"))
            .env("MLX_TREE__CONTROL__LISTEN", "127.0.0.1:0")
            .env("MLX_TREE__GATEWAY__LISTEN", "127.0.0.1:0")
            .env("MLX_TREE__SERVER__PORT", "0")
            .stdin(Stdio::null());
    }

    /// Its home directory, before it is started.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Sets a key, over the defaults and the test's own short times.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let name = format!("MLX_TREE__{}", key.to_uppercase().replace('.', "__"));
        self.command.env(name, value);
        self
    }

    /// Runs it as another user, who gets the home. Only root can.
    pub fn run_by(self, id: u32) -> Self {
        let home = self.home.path();
        let files = std::fs::read_dir(home).expect("the home").flatten().map(|entry| entry.path());
        for path in files.chain([home.to_owned()]) {
            std::os::unix::fs::chown(path, Some(id), Some(id)).expect("root may");
        }
        self.with(|command, _| {
            command.uid(id).gid(id);
        })
    }

    /// Runs it by another program, which has to execute it in its own place (`nohup`, `setsid -c`).
    pub fn through(mut self, words: &[&str]) -> Self {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null());
        self.command = command;
        self
    }

    /// Changes the command in any other way.
    pub fn with(mut self, change: impl FnOnce(&mut Command, &Path)) -> Self {
        change(&mut self.command, self.home.path());
        self
    }

    /// Starts it.
    pub fn start(self) -> Instance {
        // Each life in a home has a log of its own.
        static LIVES: AtomicUsize = AtomicUsize::new(0);
        let path = self.home.path().join(format!("log.{}", LIVES.fetch_add(1, Ordering::Relaxed)));
        let log = File::create(&path).expect("a log file");
        self.start_writing_to(log, path)
    }

    /// Starts it with `output` for stdout and stderr; what is read as its log comes from `log`.
    pub fn start_writing_to(mut self, output: impl Into<OwnedFd>, log: PathBuf) -> Instance {
        let output: OwnedFd = output.into();
        self.command.stdout(output.try_clone().expect("cloned")).stderr(output);
        let process = self.command.spawn().expect("the program starts");
        Instance { process, home: self.home, log, exit: None }
    }

    /// Runs it to its end and answers the exit status, stdout and stderr.
    pub fn run(mut self) -> (ExitStatus, String, String) {
        let output = self.command.output().expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("utf-8");
        (output.status, text(output.stdout), text(output.stderr))
    }
}

impl Instance {
    /// mlx-tree's own process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.exit = self.process.try_wait().expect("our own child");
        self.exit.is_none()
    }

    /// Its home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        let mut bytes = Vec::new();
        File::open(&self.log).expect("the log").read_to_end(&mut bytes).expect("readable");
        // What is read while it is written may end inside a character.
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its status, if it answers.
    pub async fn try_status(&self) -> Option<Status> {
        Client::from_state_dir(&self.state_dir()).ok()?.status().await.ok()
    }

    /// Its status.
    pub async fn status(&self) -> Status {
        self.until("answering at all", |_| true).await
    }

    /// Waits until the status is as wanted.
    pub async fn until(&self, what: &str, mut wanted: impl FnMut(&Status) -> bool) -> Status {
        let start = Instant::now();
        let mut last = None;
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.try_status().await {
                if wanted(&status) {
                    return status;
                }
                last = Some(status);
            } else if !exists(self.pid()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {what}; last: {last:#?}\nlog:\n{}", self.log());
    }

    /// Waits until the server is ready in incarnation `epoch` or a later one.
    pub async fn ready(&self, epoch: u64) -> Status {
        self.until(&format!("ready in epoch {epoch}"), |it| it.phase == Phase::Ready && it.server.epoch >= epoch).await
    }

    /// Waits until the log has a line with all of these words.
    pub async fn told(&self, words: &[&str]) -> String {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never told {words:?}; log:\n{}", self.log());
    }

    /// Waits until the restart history on disk says what the status says.
    pub async fn written_down(&self) {
        let start = Instant::now();
        loop {
            let failures = self.status().await.breaker.consecutive_failures;
            let text = std::fs::read_to_string(self.state_dir().join("restart-history.json")).unwrap_or_default();
            if text.contains(&format!("\"consecutive_failures\":{failures},")) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "the history is not written down: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A client for its control plane.
    pub fn client(&self) -> Client {
        Client::from_state_dir(&self.state_dir()).expect("it runs")
    }

    /// Its access file.
    pub fn access(&self) -> Access {
        Access::read(&self.state_dir()).expect("it runs")
    }

    /// Runs another command of the program against it.
    pub fn command(&self, words: &[&str]) -> (ExitStatus, String, String) {
        let output = Command::new(PROGRAM)
            .args(words)
            .env("HOME", self.home())
            .env("MLX_TREE__STATE_DIR", self.state_dir())
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("utf-8");
        (output.status, text(output.stdout), text(output.stderr))
    }

    /// The server's process.
    pub async fn server(&self) -> u32 {
        self.until("running a server", |it| it.process_pid.is_some()).await.process_pid.expect("just seen")
    }

    /// Where the server answers.
    pub async fn url(&self) -> String {
        self.until("having an address", |it| it.server.url.is_some()).await.server.url.expect("just seen")
    }

    /// Has a verb carried out, and answers what came of it.
    pub async fn perform(&self, verb: Verb) -> Result<String, String> {
        let asked = tokio::time::timeout(PATIENCE, self.client().perform(verb)).await;
        let outcome = asked.unwrap_or_else(|_| panic!("{verb} never ends; log:\n{}", self.log()));
        outcome.map(|done| done.message).map_err(|error| error.to_string())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().expect("our own child") {
                self.exit = Some(status);
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not end; log:\n{}", self.log());
    }

    /// Ends it as an operator would, and checks that nothing is left behind.
    pub async fn stop(mut self) {
        let server = self.try_status().await.and_then(|status| status.process_pid);
        self.signal(Signal::SIGTERM);
        let status = self.ended().await;
        assert!(status.signal().is_none(), "it went down by itself: {status}; log:\n{}", self.log());
        if let Some(pid) = server {
            assert!(!exists(pid), "the server (pid {pid}) is left behind; log:\n{}", self.log());
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.exit.is_none() {
            // A test has failed, or ends here on purpose: the guard process ends the server, if there is still a guard.
            let _ = self.process.kill();
            let _ = self.process.wait();
            for server in processes::stand_ins_of(self.home()) {
                let _ = kill(Pid::from_raw(server.pid.cast_signed()), Signal::SIGKILL);
            }
        }
    }
}

/// The number of a port of the loopback address that nobody has.
pub fn free_port() -> u16 {
    mlx_tree::process::port::free_port(Ipv4Addr::LOCALHOST.into()).expect("there are many")
}

/// Says something that a reader of the test's output should know.
#[expect(clippy::print_stdout, reason = "the test runner shows it with the test that it belongs to")]
pub fn say(text: &str) {
    println!("{text}");
}

/// Sends a signal to a process that this test has started, by its id.
pub fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal).expect("the process is there");
}

/// Whether there is such a process, zombies not counted.
pub fn exists(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    match stat {
        Ok(stat) => !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
        Err(_) => {
            kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), None).is_ok() && cfg!(not(target_os = "linux"))
        }
    }
}

/// Waits until there is no such process any more.
pub async fn gone(pid: u32, within: Duration) {
    let start = Instant::now();
    while exists(pid) {
        assert!(start.elapsed() < within, "process {pid} is still there after {within:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
