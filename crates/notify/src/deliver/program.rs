//! A program that is run to its end, with everything that it starts.
//!
//! It gets a process group of its own, which is killed when it takes too long or is not waited for any more. What stays behind
//! after it has ended by itself is its own business.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// So much of what it writes is kept: the beginning of stdout, the end of stderr.
const KEPT: usize = 300;

/// After it has ended its pipes may be held by what it has left behind.
const PIPE_GRACE: Duration = Duration::from_millis(500);

/// What to run.
pub(super) struct Program<'a> {
    /// The program and its arguments, as they are.
    pub(super) argv: &'a [String],
    /// Its whole environment, …
    pub(super) environment: &'a [(OsString, OsString)],
    /// … but for these.
    pub(super) more: Vec<(&'static str, String)>,
}

/// Why it did not end well.
pub(super) enum Failed {
    /// It ended with this code (-1 for a signal), and these last words.
    Code(i32, String),
    /// There is no such program.
    Absent,
    /// Anything else.
    Other(String),
}

/// Kills the group unless the leader is known to be reaped.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

// === impl Program ===

impl Program<'_> {
    /// Runs it, gives it `input`, and answers the beginning of what it writes to stdout. Dropping the future kills the group.
    pub(super) async fn run(self, input: String) -> Result<String, Failed> {
        let [program, arguments @ ..] = self.argv else { return Err(Failed::Absent) };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.environment.iter().cloned()).envs(self.more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let other = |error: io::Error| Failed::Other(error.to_string());
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failed::Absent,
            _ => other(error),
        })?;
        let mut group = Group::new(child);
        let (stdin, stdout, stderr) = (group.child.stdin.take(), group.child.stdout.take(), group.child.stderr.take());
        // One that does not read its stdin is none the worse for that.
        let feed = async {
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let status = {
            let talk = async { tokio::join!(feed, first(stdout, &mut said), last(stderr, &mut complained)) };
            tokio::pin!(talk);
            let mut talks = true;
            let status = loop {
                tokio::select! {
                    _ = &mut talk, if talks => talks = false,
                    status = group.child.wait() => break status,
                }
            };
            // What it wrote last is still in its pipes. They may also be held by what it has left behind.
            if talks {
                let _ = tokio::time::timeout(PIPE_GRACE, talk).await;
            }
            status
        };
        let status = status.map_err(other)?;
        group.leader = None;
        let line = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().trim().to_owned();
        if status.success() {
            Ok(String::from_utf8_lossy(&said).into_owned())
        } else {
            Err(Failed::Code(status.code().unwrap_or(-1), crate::message::clean(&line(&complained))))
        }
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

/// Reads to the end, and keeps the beginning.
async fn first(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    read(pipe, |bytes| kept.extend(bytes.iter().take(KEPT - kept.len().min(KEPT)))).await;
}

/// Reads to the end, and keeps that.
async fn last(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    read(pipe, |bytes| {
        kept.extend(bytes);
        kept.drain(..kept.len().saturating_sub(KEPT));
    })
    .await;
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, mut each: impl FnMut(&[u8])) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = vec![0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        each(&chunk[..count]);
    }
}
