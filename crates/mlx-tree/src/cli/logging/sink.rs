//! Where the log goes: a queue that never waits, and a thread that writes it out.
//!
//! ```text
//!  push(line) ──▶ queue, at most 1 MiB ──▶ thread ──▶ stderr, which may take its time
//!                   │ full
//!                   ▼
//!                counted, and told when there is room again
//! ```
//!
//! *Architecture Invariant:* whoever writes to the log waits for nobody. A terminal that was stopped with Ctrl-S, a pipe that
//! nobody reads, or a journal that hangs costs lines, and neither the tree nor its clients notice.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// So much waits to be written.
const LONGEST: usize = 1 << 20;

/// It formats nothing and calls nothing deep.
const STACK: usize = 128 << 10;

/// Takes in lines. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Sink(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// What found no room.
    lost: u64,
    /// Whether the thread has something in its hands.
    writes: bool,
}

// === impl Sink ===

impl Sink {
    /// Writes to `out` from now on; `lost` puts into words, as a whole line, that so many were lost.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(
        mut out: impl Write + Send + 'static,
        lost: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let sink = Self(Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() }));
        let shared = Arc::clone(&sink.0);
        let work = move || {
            loop {
                let (text, missing) = shared.take();
                // What cannot be written (a full disk, a closed terminal) is gone: the log is never a reason to stop.
                let _ = out.write_all(&text);
                if missing > 0 {
                    let _ = out.write_all(lost(missing).as_bytes());
                }
            }
        };
        thread::Builder::new().name("log".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(sink)
    }

    /// Has `text`, which is whole lines, written. Does not wait.
    pub(super) fn push(&self, text: &[u8]) {
        let mut queue = self.0.queue();
        if queue.waiting.len() + text.len() > LONGEST {
            queue.lost += 1;
        } else {
            queue.waiting.extend_from_slice(text);
        }
        drop(queue);
        self.0.changed.notify_all();
    }

    /// Waits until all of it is written, but not for longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let busy = |queue: &mut Queue| queue.writes || !queue.waiting.is_empty() || queue.lost > 0;
        let _ = self.0.changed.wait_timeout_while(self.0.queue(), patience, busy);
    }
}

/// For one who writes a record at a time, as `tracing` does.
impl Write for Sink {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.push(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Shared ===

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written next. Whoever asks has written what they were given before.
    fn take(&self) -> (Vec<u8>, u64) {
        let mut queue = self.queue();
        queue.writes = false;
        self.changed.notify_all();
        let idle = |queue: &mut Queue| queue.waiting.is_empty() && queue.lost == 0;
        let mut queue = self.changed.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner);
        queue.writes = true;
        (std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.lost))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Takes a piece for each word that it is given leave with.
    struct Slow {
        leave: Receiver<()>,
        written: SyncSender<String>,
    }

    impl Write for Slow {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let gone = |_| io::ErrorKind::BrokenPipe;
            self.leave.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.written.send(String::from_utf8_lossy(text).into_owned()).map_err(gone)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Sink, SyncSender<()>, Receiver<String>) {
        let (go, leave) = sync_channel(16);
        let (written, read) = sync_channel(16);
        let sink = Sink::start(Slow { leave, written }, |lost| format!("{lost} lost\n")).expect("a thread");
        (sink, go, read)
    }

    #[test]
    fn nobody_waits_for_one_who_does_not_read_and_what_was_lost_is_told() {
        let (sink, go, read) = slow();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..5000 {
            sink.push(line.as_bytes());
        }
        for _ in 0..3 {
            go.send(()).expect("it waits for leave");
        }
        let (mut kept, mut lost) = (0, 0);
        while kept + lost < 5000 {
            let text = read.recv().expect("written");
            match text.strip_suffix(" lost\n") {
                Some(count) => lost += count.parse::<usize>().expect("a number"),
                None => kept += text.lines().count(),
            }
            let _ = go.try_send(());
        }
        assert_eq!(kept + lost, 5000, "each is written or counted");
        assert!(lost > 0 && kept * line.len() <= 2 * LONGEST + line.len(), "{kept} kept, {lost} lost");
    }

    #[test]
    fn who_ends_waits_for_the_last_line_but_not_for_ever() {
        let (sink, go, read) = slow();
        sink.push(b"last\n");
        sink.flush(Duration::from_millis(10));
        assert!(read.try_recv().is_err(), "it was not written, and nobody waits for it any more");
        go.send(()).expect("it waits for leave");
        sink.flush(Duration::from_secs(600));
        assert_eq!(read.try_recv().as_deref(), Ok("last\n"));
    }
}
