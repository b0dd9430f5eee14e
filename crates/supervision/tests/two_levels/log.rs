//! One order for everything that happens: what the supervisor tells observers, what the children do, and what is answered.
//!
//! All run on one thread, and what the supervisor says goes into a channel. So whoever notes something takes out first what
//! was said before it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use mlx_tree_supervision::{EventKind, SupervisorEvent};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::world::why;

/// What happened, in the words in which OTP's supervisor was observed.
pub(crate) struct Log {
    template: Option<String>,
    said: broadcast::Receiver<SupervisorEvent>,
    events: Vec<Value>,
}

/// An answer that is noted in the moment in which it is given, and not when somebody gets round to reading it.
pub(crate) struct Answering {
    ticket: u64,
    answer: Pin<Box<dyn Future<Output = Option<Value>> + Send>>,
    log: Arc<Mutex<Log>>,
}

struct Noting {
    ticket: u64,
    log: Arc<Mutex<Log>>,
    reader: Waker,
}

// === impl Log ===

impl Log {
    /// Dynamic children are reported by the name of their `template`.
    pub(crate) fn new(template: Option<String>, said: broadcast::Receiver<SupervisorEvent>) -> Self {
        Self { template, said, events: Vec::new() }
    }

    pub(crate) fn note(&mut self, event: Value) {
        self.listen();
        self.events.push(event);
    }

    pub(crate) fn into_events(mut self) -> Vec<Value> {
        self.listen();
        // Those that nobody answered are told so at the end, in the order in which they asked.
        let (mut gone, mut events): (Vec<_>, Vec<_>) =
            self.events.into_iter().partition(|event| event["r"] == "exit:shutdown");
        gone.sort_by_key(|event| event["n"].as_u64());
        events.append(&mut gone);
        events
    }

    /// Whether the supervisor has said that it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.listen();
        self.events.iter().any(|event| event["ev"] == "sup_down")
    }

    /// It did not come up at all.
    pub(crate) fn start_failed(&mut self, why: &str) {
        self.listen();
        self.events.retain(|event| event["ev"] != "sup_down");
        self.events.push(json!({"ev": "start_failed", "why": why}));
    }

    fn listen(&mut self) {
        while let Ok(event) = self.said.try_recv() {
            match event.kind {
                EventKind::SupervisorStarted => self.events.push(json!({"ev": "up"})),
                EventKind::SupervisorStopped { .. } => self.events.push(json!({"ev": "sup_down", "why": "shutdown"})),
                EventKind::Report(report) => {
                    let child = event.child.expect("a report is about somebody");
                    let id = self.template.clone().unwrap_or_else(|| child.to_string());
                    let why = match &report.reason {
                        mlx_tree_supervision::ReportReason::Exit(reason) => why(reason),
                        other => other.to_string(),
                    };
                    let what = report.context.as_str();
                    self.events.push(json!({"ev": "report", "what": what, "id": id, "why": plain(&why)}));
                }
                _ => {}
            }
        }
    }

    fn answered(&mut self, ticket: u64) {
        if !self.events.iter().any(|event| event["ev"] == "reply" && event["n"] == ticket) {
            self.note(json!({"ev": "reply", "n": ticket}));
        }
    }

    fn read(&mut self, ticket: u64, op: &str, answer: &Value) {
        self.answered(ticket);
        let event = self.events.iter_mut().rfind(|event| event["ev"] == "reply" && event["n"] == ticket);
        let event = event.expect("it is noted");
        event["op"] = op.into();
        event["r"] = answer.clone();
    }
}

/// The machine's world knows no panics, only what they say.
pub(crate) fn plain(why: &str) -> &str {
    why.strip_prefix("panic: ").unwrap_or(why)
}

// === impl Answering ===

impl Answering {
    /// Asks, now. `None` is the answer of a supervisor that has ended.
    pub(crate) fn begin(
        log: &Arc<Mutex<Log>>,
        ticket: u64,
        op: &str,
        answer: impl Future<Output = Option<Value>> + Send + 'static,
    ) {
        let mut asked = Self { ticket, answer: Box::pin(answer), log: log.clone() };
        let op = op.to_owned();
        // The question is sent with the first poll.
        if let Poll::Ready(answer) = asked.poll_with(Waker::noop()) {
            return asked.read(&op, answer);
        }
        tokio::spawn(async move {
            let answer = std::future::poll_fn(|context| asked.poll_with(context.waker())).await;
            asked.read(&op, answer);
        });
    }

    fn poll_with(&mut self, reader: &Waker) -> Poll<Option<Value>> {
        let noting = Noting { ticket: self.ticket, log: self.log.clone(), reader: reader.clone() };
        self.answer.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(noting))))
    }

    fn read(&self, op: &str, answer: Option<Value>) {
        self.log.lock().unwrap().read(self.ticket, op, &answer.unwrap_or_else(|| "exit:shutdown".into()));
    }
}

// === impl Noting ===

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.log.lock().unwrap().answered(self.ticket);
        self.reader.wake_by_ref();
    }
}
