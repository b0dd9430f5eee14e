//! Two tasks that read the child's pipes for as long as anybody can write to them.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, timeout};

use super::escape::escape;
use super::lines::Splitter;
use super::queue::{LineSender, OutputLines, queue};
use super::{Line, LineEnd, Stream, Tail};

/// After the exit, what is in the pipes is read for so long at most: a grandchild may go on writing.
const DRAIN: Duration = Duration::from_millis(100);

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// After so much others have their turn. Not after each chunk: whoever takes the lines would keep up then, and the child would
/// wait for that, where it is to lose lines instead.
const TURN: usize = 4 * CHUNK;

/// Larger pipes ride out a busy moment of ours. Best effort.
#[cfg(target_os = "linux")]
const PIPE_SIZE: i32 = 512 * 1024;

/// The reading of one group's output.
pub(crate) struct Reading {
    finish: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts reading. The lines and the tail go to whoever wants them.
pub(crate) fn start(stdout: OwnedFd, stderr: OwnedFd) -> io::Result<(Reading, OutputLines, Tail)> {
    let (lines, output) = queue();
    let (finish, finished) = watch::channel(false);
    let tail = Tail::default();
    let make = |stream, fd, tail| -> io::Result<Pipe> {
        enlarge(&fd);
        let pipe = pipe::Receiver::from_owned_fd(fd)?;
        Ok(Pipe { pipe, sink: Sink { stream, lines: lines.clone(), tail, splitter: Splitter::default() } })
    };
    let pipes = [make(Stream::Stdout, stdout, None)?, make(Stream::Stderr, stderr, Some(tail.clone()))?];
    let tasks = pipes.map(|pipe| tokio::spawn(pipe.read(finished.clone()))).into();
    Ok((Reading { finish, tasks }, output, tail))
}

struct Pipe {
    pipe: pipe::Receiver,
    sink: Sink,
}

struct Sink {
    stream: Stream,
    lines: LineSender,
    tail: Option<Tail>,
    splitter: Splitter,
}

// === impl Reading ===

impl Reading {
    /// Reads what is left in the pipes, for a bounded time, and closes them.
    pub(crate) async fn finish(self) {
        let _ = self.finish.send(true);
        for task in self.tasks {
            let abort = task.abort_handle();
            if timeout(DRAIN * 2, task).await.is_err() {
                abort.abort();
            }
        }
    }
}

// === impl Pipe ===

impl Pipe {
    async fn read(mut self, mut finished: watch::Receiver<bool>) {
        let mut buffer = vec![0; CHUNK];
        let mut turn = 0;
        loop {
            let over = tokio::select! {
                biased;
                over = finished.wait_for(|over| *over) => Some(over.is_ok()),
                ready = self.pipe.readable() => if ready.is_ok() { None } else { Some(false) },
            };
            match over {
                Some(true) => {
                    self.drain(&mut buffer).await;
                    break;
                }
                // The owner is gone, and with it whoever would read.
                Some(false) => break,
                None => {}
            }
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    self.sink.push(&buffer[..length]);
                    // A pipe that is always full would keep the thread for a hundred chunks and more before tokio's budget ends
                    // its turn, and everybody else would wait for that.
                    turn += length;
                    if turn >= TURN {
                        turn = 0;
                        yield_now().await;
                    }
                }
                Err(error) if is_passing(&error) => {}
                Err(_) => break,
            }
        }
        self.sink.finish();
    }

    /// The group has ended: what is in the pipe now is read, and what comes within our patience.
    async fn drain(&mut self, buffer: &mut [u8]) {
        let patience = Instant::now() + DRAIN;
        while Instant::now() < patience {
            // Asks the system and not tokio's memory of readiness, which may lag behind the exit.
            match nix::unistd::read(&self.pipe, buffer) {
                Ok(0) | Err(Errno::EAGAIN) => return,
                Ok(length) => self.sink.push(&buffer[..length]),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            yield_now().await;
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

// === impl Sink ===

impl Sink {
    fn push(&mut self, chunk: &[u8]) {
        if let Some(tail) = &self.tail {
            tail.push(chunk);
        }
        let (stream, lines) = (self.stream, &self.lines);
        self.splitter.push(chunk, |bytes, end| emit(lines, stream, bytes, end));
    }

    fn finish(&mut self) {
        let (stream, lines) = (self.stream, &self.lines);
        self.splitter.finish(|bytes, end| emit(lines, stream, bytes, end));
    }
}

fn emit(lines: &LineSender, stream: Stream, bytes: &[u8], end: LineEnd) {
    lines.send(bytes.len(), || Line { stream, text: escape(bytes), end });
}

#[cfg(target_os = "linux")]
fn enlarge(fd: &OwnedFd) {
    let _ = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
}

#[cfg(target_os = "macos")]
fn enlarge(_fd: &OwnedFd) {
    // Pipes grow by themselves there.
}
