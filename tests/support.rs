//! What the end-to-end tests share: an mlx-tree of their own, with its own state, ports and end.

#![allow(dead_code, unreachable_pub, reason = "a module of several test programs, each of which uses its part")]

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mlx_tree_api::{Phase, Status};
use mlx_tree_control::{Access, Client};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The longest that anything here may take. No test waits so long unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mlx-tree");

/// A running mlx-tree.
pub struct Instance {
    process: Child,
    home: TempDir,
    exit: Option<ExitStatus>,
}

/// How an instance is started.
pub struct Setup {
    home: TempDir,
    command: Command,
}

impl Setup {
    /// The program with a home, a state directory and ports of its own, and short times, run as `mlx-tree <words>`.
    pub fn new(words: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(PROGRAM);
        command.args(words);
        let mut setup = Self { home, command };
        setup.isolate();
        setup
    }

    /// `mlx-tree demo`, with flags for the stand-in.
    pub fn demo(flags: &[&str]) -> Self {
        let mut setup = Self::new(&["demo"]);
        setup.command.args(fast()).arg("--").args(flags);
        setup
    }

    /// `mlx-tree demo` over a stand-in whose n-th launch behaves as the n-th line says.
    pub fn scripted(lines: &[&str]) -> Self {
        let mut setup = Self::new(&["demo"]);
        let script = setup.home.path().join("script");
        std::fs::write(&script, lines.join("\n") + "\n").expect("the script is written");
        setup.command.args(fast()).arg("--").arg("--script").arg(script);
        setup
    }

    fn isolate(&mut self) {
        let home = self.home.path();
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MLX_TREE__") || name.starts_with("XDG_"))
        {
            self.command.env_remove(name);
        }
        self.command
            .env("HOME", home)
            .env("MLX_TREE__STATE_DIR", home.join("state"))
            .env("MLX_TREE__CONTROL__LISTEN", "127.0.0.1:0")
            .env("MLX_TREE__SERVER__PORT", "0")
            .stdin(Stdio::null());
    }

    /// Sets a key, over the defaults and the test's own short times.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let name = format!("MLX_TREE__{}", key.to_uppercase().replace('.', "__"));
        self.command.env(name, value);
        self
    }

    /// Changes the command in any other way.
    pub fn with(mut self, change: impl FnOnce(&mut Command, &Path)) -> Self {
        change(&mut self.command, self.home.path());
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Instance {
        let log = File::create(self.home.path().join("log")).expect("a log file");
        self.command.stdout(log.try_clone().expect("cloned")).stderr(log);
        let process = self.command.spawn().expect("the program starts");
        Instance { process, home: self.home, exit: None }
    }

    /// Runs it to its end and answers the exit status, stdout and stderr.
    pub fn run(mut self) -> (ExitStatus, String, String) {
        let output = self.command.output().expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("utf-8");
        (output.status, text(output.stdout), text(output.stderr))
    }
}

/// Keys that make a test's time short where the defaults are made for people.
fn fast() -> Vec<String> {
    let keys = [
        ("restart.backoff_initial", "100ms"),
        ("restart.backoff_max", "1s"),
        ("health.interval", "300ms"),
        ("health.timeout", "300ms"),
        ("shutdown.grace", "3s"),
        ("shutdown.hung_grace", "500ms"),
    ];
    let set = |(key, value): (&str, &str)| {
        let name = format!("MLX_TREE__{}", key.to_uppercase().replace('.', "__"));
        // Whoever sets a key by the environment means it.
        if std::env::var_os(name).is_some() { Vec::new() } else { vec![format!("--set={key}={value}")] }
    };
    keys.into_iter().flat_map(set).collect()
}

impl Instance {
    /// mlx-tree's own process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
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
        let mut text = String::new();
        File::open(self.home.path().join("log")).expect("the log").read_to_string(&mut text).expect("utf-8");
        text
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
    pub async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let start = Instant::now();
        let mut last = None;
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.try_status().await {
                if wanted(&status) {
                    return status;
                }
                last = Some(status);
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
            // A test has failed, or ends here on purpose: the guard process ends the server.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
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
