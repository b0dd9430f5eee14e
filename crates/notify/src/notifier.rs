//! The shell around the desks: hears every event, has a task for each target, and says what could not be delivered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mlx_tree_api::{Event, Fold, Kind, Sample};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::deliver::{Then, deliver};
use crate::{Desk, Message, Next, Source, Target};

/// Tells whoever is to be told. Attach it to the bus as a fold; it publishes nothing but what it is given `tell` for.
///
/// Each target has a task, so one that hangs keeps nobody else waiting, and at most so many messages are under way as there are
/// targets. Dropping the notifier ends them all, and with them whatever programs they run.
pub struct Notifier {
    shared: Arc<Shared>,
    lines: Mutex<Vec<Line>>,
    /// Whether the end is near: what waits is sent at once.
    closing: watch::Sender<Closing>,
}

/// What all tasks share.
struct Shared {
    source: Source,
    tell: Box<dyn Fn(Kind) + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    Yes,
}

/// One target, with its desk and its task.
struct Line {
    name: String,
    desk: Arc<Desktop>,
    target: watch::Sender<Arc<Target>>,
    task: JoinHandle<()>,
}

/// A desk that is heard at one end and worked off at the other.
struct Desktop {
    desk: Mutex<Desk>,
    news: Notify,
}

// === impl Notifier ===

impl Notifier {
    /// Begins, with these targets. `tell` is called with [`Kind::NotifyUndelivered`] for whatever did not arrive.
    ///
    /// Needs a tokio runtime, whose tasks it uses.
    #[must_use]
    pub fn start(source: Source, targets: Vec<Target>, tell: impl Fn(Kind) + Send + Sync + 'static) -> Arc<Self> {
        let shared = Arc::new(Shared { source, tell: Box::new(tell) });
        let (closing, _) = watch::channel(Closing::No);
        let notifier = Arc::new(Self { shared, lines: Mutex::default(), closing });
        notifier.replace(targets);
        notifier
    }

    /// Goes by this list from now on. Whoever was on the old one under the same name keeps what waits for them and what they
    /// have been told; what is under way is tried by the new way from the next attempt on. Whoever is not on the new one is
    /// told nothing more.
    pub fn replace(&self, targets: Vec<Target>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *lines);
        for target in targets {
            let line = match old.iter().position(|line| line.name == target.name) {
                Some(at) => {
                    let line = old.swap_remove(at);
                    line.desk.with(|desk| desk.retarget(target.clone()));
                    line.target.send_replace(Arc::new(target));
                    line
                }
                None => Line::start(&self.shared, target, self.closing.subscribe()),
            };
            lines.push(line);
        }
    }

    /// Sends what waits, whatever the intervals say, and resolves when that is done or `within` is over. What has not been
    /// delivered by then is told as undelivered. No notice is sent after that.
    pub async fn finish(&self, within: Duration) {
        self.closing.send_replace(Closing::Yes);
        let mut lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async {
            for line in &mut lines {
                let _ = (&mut line.task).await;
            }
        };
        if tokio::time::timeout(within, all).await.is_ok() {
            return;
        }
        for line in lines.iter().filter(|line| !line.task.is_finished()) {
            self.shared.undelivered(&line.name, "mlx-tree has ended before it could be delivered");
        }
    }
}

impl Fold for Notifier {
    fn event(&self, event: &Event) {
        let now = now();
        for line in self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            line.desk.with(|desk| desk.hear(event, now));
            line.desk.news.notify_one();
        }
    }

    fn sample(&self, _: &Sample<'_>) {}
}

// === impl Line ===

impl Line {
    fn start(shared: &Arc<Shared>, target: Target, closing: watch::Receiver<Closing>) -> Self {
        let desk = Desk::new(target.clone(), shared.source.clone());
        let desk = Arc::new(Desktop { desk: Mutex::new(desk), news: Notify::new() });
        let name = target.name.clone();
        let (sender, receiver) = watch::channel(Arc::new(target));
        let task = tokio::spawn(work(Arc::clone(shared), Arc::clone(&desk), receiver, closing));
        Self { name, desk, target: sender, task }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Desktop ===

impl Desktop {
    fn with<T>(&self, work: impl FnOnce(&mut Desk) -> T) -> T {
        work(&mut self.desk.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Works a desk off until the notifier closes.
async fn work(
    shared: Arc<Shared>,
    desk: Arc<Desktop>,
    mut target: watch::Receiver<Arc<Target>>,
    mut closing: watch::Receiver<Closing>,
) {
    loop {
        let is_closing = *closing.borrow_and_update() == Closing::Yes;
        let next = if is_closing {
            let Some(message) = desk.with(Desk::last_words) else { return };
            Next::Send(Box::new(message))
        } else {
            desk.with(|desk| desk.next(now()))
        };
        match next {
            Next::Send(message) => {
                shared.send(&message, &mut target, &mut closing).await;
                desk.with(|desk| desk.sent(now()));
            }
            Next::Wait(until) => tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = desk.news.notified() => {}
                _ = closing.changed() => {}
                // Its interval may have changed.
                _ = target.changed() => {}
            },
            Next::Idle => tokio::select! {
                () = desk.news.notified() => {}
                _ = closing.changed() => {}
            },
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Tries until it is delivered, or given up and told as undelivered.
    async fn send(
        &self,
        message: &Message,
        target: &mut watch::Receiver<Arc<Target>>,
        closing: &mut watch::Receiver<Closing>,
    ) {
        for attempts in 1.. {
            let now = Arc::clone(&target.borrow_and_update());
            let Err(failure) = deliver(&now, message, &self.source).await else { return };
            tracing::debug!(target: "mlx_tree::notify", to = now.name.as_str(), attempts, %failure, "not delivered");
            let then = match *closing.borrow() {
                Closing::No => failure.then(attempts),
                // There is no time for pauses any more.
                Closing::Yes => Then::GiveUp(failure.why().to_owned()),
            };
            match then {
                Then::Again(pause) => tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    // A way that has been corrected need not wait, and neither can an end.
                    _ = target.changed() => {}
                    _ = closing.changed() => {}
                },
                Then::GiveUp(why) => {
                    if let Some(said) = failure.said() {
                        // The log is its user's alone, and the event that follows is everybody's.
                        tracing::warn!(target: "mlx_tree::notify", to = now.name.as_str(), said, "its program failed");
                    }
                    let lost = message.notices();
                    let why = if lost > 1 { format!("{why}; {lost} notices are lost") } else { why };
                    return self.undelivered(&now.name, &why);
                }
            }
        }
    }

    fn undelivered(&self, to: &str, reason: &str) {
        (self.tell)(Kind::NotifyUndelivered { to: to.to_owned(), reason: reason.to_owned() });
    }
}

/// The time that the desks go by: tokio's, so that tests can pause it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
