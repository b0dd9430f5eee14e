//! Collects the events of one or more supervisors, waits for one, and tells the story.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use crate::{SupervisorEvent, SupervisorHandle};

/// How long to wait for an event, on the clock of the test.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many events may be left unread.
const CAPACITY: usize = 1 << 16;

/// Collects events in the order they happened.
#[derive(Debug)]
pub struct EventRecorder {
    sender: broadcast::Sender<SupervisorEvent>,
    receiver: broadcast::Receiver<SupervisorEvent>,
    events: Vec<SupervisorEvent>,
    /// The events before this one have been waited for.
    seen: usize,
}

// === impl EventRecorder ===

impl EventRecorder {
    /// A recorder for supervisors that are yet to be started: see
    /// [`Supervisor::events_into`](crate::Supervisor::events_into).
    #[must_use]
    pub fn new() -> Self {
        let (sender, receiver) = broadcast::channel(CAPACITY);
        Self { sender, receiver, events: Vec::new(), seen: 0 }
    }

    /// A recorder of what a running supervisor does from now on.
    #[must_use]
    pub fn of(supervisor: &SupervisorHandle) -> Self {
        Self { receiver: supervisor.subscribe(), ..Self::new() }
    }

    /// Where supervisors are to send their events.
    #[must_use]
    pub fn sender(&self) -> broadcast::Sender<SupervisorEvent> {
        self.sender.clone()
    }

    /// Waits for the next event of this name about this child, and answers it. Looks only at what came after the event that
    /// was waited for before.
    ///
    /// # Panics
    /// With the story so far, if there is none within a day on the test's clock.
    pub async fn wait_for(&mut self, name: &str, child: &str) -> SupervisorEvent {
        let what = format!("{name} {child}");
        self.wait_until(&what, |event| {
            event.kind.name() == name && event.child.as_ref().map_or("", |child| child.as_str()) == child
        })
        .await
    }

    /// As [`EventRecorder::wait_for`], with any condition; `what` names it in the panic.
    ///
    /// # Panics
    /// With the story so far, if there is none within a day on the test's clock.
    pub async fn wait_until(&mut self, what: &str, is_it: impl Fn(&SupervisorEvent) -> bool) -> SupervisorEvent {
        loop {
            while self.seen < self.events.len() {
                self.seen += 1;
                let event = &self.events[self.seen - 1];
                if is_it(event) {
                    return event.clone();
                }
            }
            match tokio::time::timeout(PATIENCE, self.receiver.recv()).await {
                Ok(Ok(event)) => self.events.push(event),
                Ok(Err(RecvError::Lagged(missed))) => panic!("{missed} events were missed; {}", self.story()),
                Ok(Err(RecvError::Closed)) | Err(_) => panic!("no {what} in:\n{}", self.story()),
            }
        }
    }

    /// Everything recorded so far.
    pub fn events(&mut self) -> &[SupervisorEvent] {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => self.events.push(event),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return &self.events,
                Err(TryRecvError::Lagged(missed)) => panic!("{missed} events were missed"),
            }
        }
    }

    /// Everything recorded so far, a line each: time, event, child and incarnation, detail.
    pub fn story(&mut self) -> String {
        let mut story = String::new();
        for event in self.events() {
            let _ = writeln!(story, "{event}");
        }
        story
    }

    /// The story in short: `starting a#1`, `exited a#1`. For comparing whole sequences.
    pub fn outline(&mut self) -> Vec<String> {
        let outline = self.events().iter().map(|event| {
            let name = event.kind.name();
            match &event.child {
                Some(child) => format!("{} {child}#{}", name.rsplit('.').next().unwrap_or(name), event.epoch),
                None => name.to_owned(),
            }
        });
        outline.collect()
    }
}

impl Default for EventRecorder {
    fn default() -> Self {
        Self::new()
    }
}
