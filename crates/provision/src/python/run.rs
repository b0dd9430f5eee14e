//! Runs a helper program to its end, with everything it starts.
//!
//! It gets a process group of its own, so that giving up (a timeout, a dropped future) ends the helpers of the helper
//! too. Its lines are passed on while it runs, and the last ones kept.

use super::PythonError;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::mpsc,
    time::Instant,
};

/// How many of the last lines are kept.
const KEPT_LINES: usize = 20;
/// Longer lines are cut.
const LONGEST_LINE: usize = 2000;
/// After the program has ended its pipes may still be held by what it left behind.
const PIPE_GRACE: Duration = Duration::from_secs(2);

/// A program to run.
#[derive(Debug)]
pub(super) struct Helper {
    program: PathBuf,
    arguments: Vec<OsString>,
    stdin: Stdio,
    directory: Option<PathBuf>,
    timeout: Duration,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// -1 when a signal ended it.
    pub(super) code: i32,
    /// The last lines of stdout and stderr, as they came.
    pub(super) lines: Vec<String>,
}

/// Why there is no outcome.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be started or waited for.
    Error(PythonError),
    /// It took too long; its last lines.
    TimedOut(Vec<String>),
}

/// Ends the group unless the leader is known to be reaped.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

// === impl Helper ===

impl Helper {
    pub(super) fn new(program: &Path, timeout: Duration) -> Self {
        Self { program: program.to_owned(), arguments: Vec::new(), stdin: Stdio::null(), directory: None, timeout }
    }

    pub(super) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub(super) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Where it runs. `python -m` prefers what lies in its working directory, so that must not be just anywhere.
    pub(super) fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Runs it to its end. Dropping the future kills the group.
    pub(super) async fn run(self, mut on_line: impl FnMut(&str)) -> Result<Outcome, Failure> {
        let deadline = Instant::now() + self.timeout;
        let program = self.program;
        let mut command = Command::new(&program);
        command.args(self.arguments).stdin(self.stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(directory) = self.directory {
            command.current_dir(directory);
        }
        // A person's PIP_USER would keep pip from installing into the environment.
        command.env("PIP_USER", "0");
        // Python must not buffer what is to be shown, and not colour it.
        command.env("PYTHONUNBUFFERED", "1").env("NO_COLOR", "1").process_group(0).kill_on_drop(true);
        let failed = |error| Failure::Error(PythonError::io("run", &program, error));
        let mut group = Group::new(command.spawn().map_err(failed)?);
        let (lines, mut received) = mpsc::channel(64);
        let stdout = group.child.stdout.take().map(|pipe| tokio::spawn(read_lines(pipe, lines.clone())));
        let stderr = group.child.stderr.take().map(|pipe| tokio::spawn(read_lines(pipe, lines)));
        let _readers = [stdout, stderr].map(|task| task.map(AbortOnDrop));
        let mut last = VecDeque::new();
        let mut keep = |line: String| {
            on_line(&line);
            if last.len() == KEPT_LINES {
                last.pop_front();
            }
            last.push_back(line);
        };
        let status = loop {
            tokio::select! {
                status = group.child.wait() => break status.map_err(failed)?,
                Some(line) = received.recv() => keep(line),
                () = tokio::time::sleep_until(deadline) => return Err(Failure::TimedOut(last.into())),
            }
        };
        group.leader = None;
        let rest = async {
            while let Some(line) = received.recv().await {
                keep(line);
            }
        };
        let _ = tokio::time::timeout(PIPE_GRACE, rest).await;
        Ok(Outcome { code: status.code().unwrap_or(-1), lines: last.into() })
    }
}

// === impl Group ===

impl Group {
    fn new(child: Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Self { child, leader }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The leader is not reaped yet, so its number is still its group's.
        if let Some(leader) = self.leader {
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends each line without its end; a carriage return ends a line too, as progress bars use it.
async fn read_lines(mut pipe: impl AsyncRead + Unpin, lines: mpsc::Sender<String>) {
    let mut chunk = vec![0; 8192];
    let mut line = Vec::new();
    while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
        for byte in &chunk[..read] {
            let ends = matches!(byte, b'\n' | b'\r');
            if ends && !send(&mut line, &lines).await {
                return;
            }
            if !ends && line.len() < LONGEST_LINE {
                line.push(*byte);
            }
        }
    }
    send(&mut line, &lines).await;
}

/// Whether anybody still listens. Blank lines are left out.
async fn send(line: &mut Vec<u8>, lines: &mpsc::Sender<String>) -> bool {
    let text = String::from_utf8_lossy(line).trim_end().to_owned();
    line.clear();
    text.is_empty() || lines.send(text).await.is_ok()
}
