//! The scripted world around the machine: children that start, end and stop as their script says, on virtual time.
//!
//! It does what Erlang's processes and mailboxes do in the oracle: deaths are noted before the supervisor hears of them,
//! calls made "during" a start are queued before its outcome, and everything that one operation causes comes to rest before
//! the next one begins.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use mlx_tree_supervision::core::{
    Answer, Call, ChildRules, Config, Effect, Input, Key, QueryOrder, Refusal, Spec, Supervisor, Ticket,
};
use mlx_tree_supervision::{
    ChildId, ChildKind, ChildState, ChildStatus, Epoch, EventKind, ExitReason, Failure, FailureKind, InvalidSpec,
    Monotonic, ReportContext, ReportReason, Severity, Strategy, SupervisorExit,
};
use serde_json::{Value, json};

use crate::case::{Case, Child, Op};

/// The label of a child, under which its script is kept.
type Label = String;

/// Whose view is taken where this supervisor and OTP's deliberately differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// OTP's, for comparisons with it.
    Otp,
    /// This supervisor's own, for comparisons with its actors.
    #[allow(dead_code, reason = "only one of the programs that share this file compares with the actors")]
    Ours,
}

/// A scripted world and the machine in it.
pub(crate) struct World {
    core: Supervisor<Label>,
    view: View,
    strategy: Strategy,
    template: Option<Child>,
    scripts: HashMap<Label, Script>,
    /// The children that live, in the order of their birth.
    alive: BTreeMap<u64, Living>,
    last_incarnation: HashMap<Label, (ChildId, Epoch)>,
    born: u64,
    during: Vec<Op>,
    /// The dynamic children whose restart has failed and is to be tried again.
    restarting: HashSet<ChildId>,
    /// A bug of OTP, taken over to compare: a dynamic child terminated while `restarting` is not taken off the number of
    /// restarting children, so that `count_children` answers one active child too few from then on (even -1).
    never_uncounted: usize,
    calls: BTreeMap<u64, (String, Target)>,
    next_call: u64,
    next_dynamic: u64,
    next_op: u64,
    now: Monotonic,
    todo: VecDeque<Effect>,
    events: Vec<Value>,
    ended: Ended,
}

struct Script {
    start: Vec<String>,
    stop: String,
    tries: usize,
}

#[derive(Clone)]
struct Living {
    key: Key,
    epoch: Epoch,
    label: Label,
    try_number: usize,
    stop: String,
}

/// What a call was about, where OTP's answer depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// Addressed as in OTP.
    Plain,
    /// A dynamic child: OTP wants a pid, we want an id.
    Pid,
    /// A dynamic child that never had a pid, so that OTP is given something that is none.
    NoPid,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    Yes,
}

// === impl World ===

impl World {
    /// Plays a case; answers what was observed.
    pub(crate) fn play(case: &Case, view: View) -> Vec<Value> {
        let strategy = case.sup.strategy();
        let config = Config {
            strategy,
            intensity: case.sup.intensity(),
            auto_shutdown: case.sup.auto_shutdown(),
            max_children: usize::MAX,
            kill_grace: Duration::from_secs(5),
            queries: match view {
                View::Otp => QueryOrder::InTurn,
                View::Ours => QueryOrder::AtOnce,
            },
        };
        let is_dynamic = strategy == Strategy::Dynamic;
        let specs = case.children.iter().map(|child| spec(child.id.as_str(), child.rules(), &child.id)).collect();
        // The template of a dynamic supervisor is checked, too.
        let mut core = match Supervisor::new(config, specs) {
            Ok(core) => core,
            Err(invalid) => {
                return vec![json!({"ev": "start_failed", "why": format!("start_spec:{}", refusal(&invalid))})];
            }
        };
        if is_dynamic {
            core = Supervisor::new(config, Vec::new()).expect("flags that were accepted before");
        }
        let mut world = Self {
            core,
            view,
            strategy,
            template: case.children.first().filter(|_| is_dynamic).cloned(),
            scripts: HashMap::new(),
            alive: BTreeMap::new(),
            last_incarnation: HashMap::new(),
            born: 0,
            during: Vec::new(),
            restarting: HashSet::new(),
            never_uncounted: 0,
            calls: BTreeMap::new(),
            next_call: 1,
            next_dynamic: 0,
            next_op: 1,
            now: Monotonic::ORIGIN,
            todo: VecDeque::new(),
            events: Vec::new(),
            ended: Ended::No,
        };
        for child in &case.children {
            world.set_script(&child.id, &child.start, &child.stop);
        }
        world.feed(Input::Boot);
        world.settle();
        for op in &case.ops {
            world.run(op);
        }
        world.run(&op("which"));
        world.run(&op("stop"));
        world.events
    }

    fn run(&mut self, op: &Op) {
        if self.ended == Ended::Yes {
            return;
        }
        if op.op == "advance" {
            self.now = self.now + Duration::from_secs(op.s.unwrap_or(0));
            return;
        }
        self.during.clone_from(&op.during);
        self.note(json!({"ev": "op", "k": self.next_op, "op": op.op}));
        self.next_op += 1;
        match op.op.as_str() {
            "exit" => {
                let (id, why) = (op.id.as_deref().unwrap_or(""), op.why.as_deref().unwrap_or("normal"));
                self.die_together(&[(id.to_owned(), why.to_owned())]);
            }
            "exits" => self.die_together(&op.list),
            _ => self.ask(op),
        }
        self.settle();
    }

    /// All are dead before the supervisor hears of the first.
    fn die_together(&mut self, list: &[(String, String)]) {
        let mut news = Vec::new();
        for (label, why) in list {
            let Some((&born, living)) = self.alive.iter().find(|(_, living)| living.label == *label) else {
                self.note(json!({"ev": "no_such_child", "id": label}));
                continue;
            };
            let living = living.clone();
            let reason = exit_reason(why);
            self.alive.remove(&born);
            self.note_down(&living, &reason);
            news.push(Input::Exited { key: living.key, epoch: living.epoch, reason });
        }
        for input in news {
            self.feed(input);
        }
    }

    /// Puts a call (or a stop) into the mailbox.
    fn ask(&mut self, op: &Op) {
        if op.op == "stop" {
            return self.feed(Input::Stop);
        }
        let id = || ChildId::from(op.id.as_deref().unwrap_or(""));
        let mut target = Target::Plain;
        let call = match op.op.as_str() {
            "start_child" => Call::Start(Box::new(self.new_child(op))),
            "terminate_child" if self.strategy == Strategy::Dynamic => {
                let (call, addressed) = self.terminate_by_pid(op.id.as_deref().unwrap_or(""));
                target = addressed;
                call
            }
            "terminate_child" => Call::Terminate { id: id(), only: None },
            "restart_child" => Call::Restart(id()),
            "delete_child" => Call::Delete(id()),
            "get_childspec" => Call::Rules(id()),
            "which" => Call::Which,
            // OTP counts dynamic children without looking whether they live; we would.
            "count" if self.strategy == Strategy::Dynamic && self.view == View::Otp => Call::Which,
            "count" => Call::Count,
            other => panic!("no such operation: {other}"),
        };
        let ticket = self.next_call;
        self.next_call += 1;
        self.calls.insert(ticket, (op.op.clone(), target));
        self.feed(Input::Call { ticket: Ticket(ticket), call });
    }

    fn new_child(&mut self, op: &Op) -> Spec<Label> {
        match (&op.spec, &op.label, &self.template) {
            (Some(child), _, _) => {
                self.set_script(&child.id, &child.start, &child.stop);
                spec(child.id.as_str(), child.rules(), &child.id)
            }
            (None, Some(label), Some(template)) => {
                let rules = template.rules();
                let start = op.start.clone().unwrap_or_else(|| vec!["ok".to_owned()]);
                self.set_script(label, &start, op.stop.as_deref().unwrap_or("shutdown"));
                self.next_dynamic += 1;
                spec(&format!("{label}#{}", self.next_dynamic), rules, label)
            }
            _ => panic!("start_child without a spec or a label"),
        }
    }

    /// OTP addresses dynamic children by pid: that of the one alive, or else the last one known. We do so by their ids.
    fn terminate_by_pid(&self, label: &str) -> (Call<Label>, Target) {
        let alive = self.alive.values().find(|living| living.label == label);
        let pid = match alive {
            Some(living) => self.core.id(living.key).cloned().map(|id| (id, living.epoch)),
            None => self.last_incarnation.get(label).cloned(),
        };
        match pid {
            Some((id, _)) if self.view == View::Ours => (Call::Terminate { id, only: None }, Target::Plain),
            None if self.view == View::Ours => (Call::Terminate { id: "(none)".into(), only: None }, Target::Plain),
            Some((id, epoch)) => (Call::Terminate { id, only: Some(epoch) }, Target::Pid),
            None => (Call::Terminate { id: "(none)".into(), only: None }, Target::NoPid),
        }
    }

    fn set_script(&mut self, label: &str, start: &[String], stop: &str) {
        let script = Script { start: start.to_vec(), stop: stop.to_owned(), tries: 0 };
        self.scripts.insert(label.to_owned(), script);
    }

    fn feed(&mut self, input: Input<Label>) {
        let mut effects = Vec::new();
        self.core.step(self.now, input, &mut effects);
        effects.retain(|effect| self.view == View::Ours || !self.reaches_into_a_start(effect));
        self.todo.extend(effects);
    }

    /// Goes on until nothing moves any more; time passes only when nothing else can happen.
    fn settle(&mut self) {
        loop {
            while let Some(effect) = self.todo.pop_front() {
                self.carry_out(effect);
            }
            if self.ended == Ended::Yes || !self.core.is_busy() {
                return;
            }
            let deadline = self.core.next_deadline().expect("a machine that is busy waits for something");
            self.now = self.now.max(deadline);
            self.feed(Input::Wake);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { key, epoch } => self.start(key, epoch),
            Effect::Stop { key, epoch } => {
                if let Some((born, living)) = self.living(key, epoch) {
                    self.note(json!({"ev": "sig", "id": living.label}));
                    match living.stop.as_str() {
                        "hang" => {}
                        why => self.die(born, exit_reason(why)),
                    }
                }
            }
            Effect::Kill { key, epoch } => {
                if let Some((born, _)) = self.living(key, epoch) {
                    self.die(born, ExitReason::Killed);
                }
            }
            Effect::Reply { ticket: Ticket(ticket), answer } => {
                let (op, target) = self.calls.remove(&ticket).expect("an answer to a call that was made");
                let answer = self.answer(&op, target, &answer);
                self.note(json!({"ev": "reply", "n": ticket, "op": op, "r": answer}));
            }
            Effect::Event { child: Some(child), kind: EventKind::ChildRemoved, .. } => {
                if self.restarting.remove(&child) {
                    self.never_uncounted += 1;
                }
            }
            Effect::Event { child: Some(child), kind: EventKind::Report(report), .. } => {
                if report.context == ReportContext::StartError && self.strategy == Strategy::Dynamic {
                    self.restarting.insert(child.clone());
                }
                let id = match &self.template {
                    Some(template) => template.id.clone(),
                    None => child.to_string(),
                };
                let why = match report.reason {
                    ReportReason::Exit(reason) => why(&reason),
                    other => other.to_string(),
                };
                self.note(json!({"ev": "report", "what": report.context.as_str(), "id": id, "why": why}));
            }
            Effect::Event { .. } => {}
            Effect::Booted => self.note(json!({"ev": "up"})),
            Effect::Exit(exit) => self.end(&exit),
        }
    }

    fn start(&mut self, key: Key, epoch: Epoch) {
        let label = self.core.payload_mut(key).expect("a child that is to be started").clone();
        if let Some(id) = self.core.id(key) {
            self.restarting.remove(id);
        }
        let script = self.scripts.get_mut(&label).expect("a script for every child");
        script.tries += 1;
        let try_number = script.tries;
        let outcome = script.start[try_number.min(script.start.len()) - 1].clone();
        let stop = script.stop.clone();
        self.note(json!({"ev": "start", "id": label, "try": try_number, "out": outcome}));
        for op in std::mem::take(&mut self.during) {
            self.ask(&op);
        }
        let hears_of_stop = self.hears_of_stop(key, epoch);
        match outcome.as_str() {
            "ok" => {
                let id = self.core.id(key).expect("a child that is to be started").clone();
                self.last_incarnation.insert(label.clone(), (id, epoch));
                self.alive.insert(self.born, Living { key, epoch, label, try_number, stop });
                self.born += 1;
                if hears_of_stop {
                    self.todo.push_back(Effect::Stop { key, epoch });
                }
                self.feed(Input::Started { key, epoch });
            }
            "ignore" => self.feed(Input::Ignored { key, epoch }),
            "error" => self.feed(Input::Exited { key, epoch, reason: failed(FailureKind::StartFailed, "start_error") }),
            "raise" => self.feed(Input::Exited { key, epoch, reason: failed(FailureKind::StartFailed, "raised") }),
            other => panic!("no such outcome: {other}"),
        }
    }

    /// Whether a stop that waits has reached into the start in progress, so that the child ends as soon as it has started.
    fn hears_of_stop(&mut self, key: Key, epoch: Epoch) -> bool {
        if self.view == View::Ours && self.core.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            // A child that is to be killed at once: whether it has started by then is up to the scheduler.
            self.note(json!({"ev": "start_or_kill"}));
        }
        let is_for_it = |effect: &Effect| match effect {
            Effect::Stop { key: other, epoch: of } => (*other, *of) == (key, epoch),
            _ => false,
        };
        let before = self.todo.len();
        self.todo.retain(|effect| !is_for_it(effect));
        self.todo.len() < before
    }

    /// While a stop waits, a subtree that is still starting is told of it. OTP lets it finish, and so does this world.
    fn reaches_into_a_start(&self, effect: &Effect) -> bool {
        let Effect::Stop { key, .. } = effect else { return false };
        let child = self.core.id(*key).and_then(|id| self.core.child(id.as_str()));
        child.is_some_and(|child| child.state == ChildState::Starting)
    }

    fn living(&self, key: Key, epoch: Epoch) -> Option<(u64, Living)> {
        let found = self.alive.iter().find(|(_, living)| living.key == key && living.epoch == epoch);
        found.map(|(&born, living)| (born, living.clone()))
    }

    fn die(&mut self, born: u64, reason: ExitReason) {
        if let Some(living) = self.alive.remove(&born) {
            self.note_down(&living, &reason);
            self.feed(Input::Exited { key: living.key, epoch: living.epoch, reason });
        }
    }

    fn end(&mut self, exit: &SupervisorExit) {
        self.ended = Ended::Yes;
        match exit {
            SupervisorExit::StartFailed { child, reason } => {
                let why = format!("failed_to_start_child:{child}:{}", why(reason));
                self.note(json!({"ev": "start_failed", "why": why}));
            }
            SupervisorExit::Stopped
            | SupervisorExit::IntensityExceeded { .. }
            | SupervisorExit::Escalated { .. }
            | SupervisorExit::AutoShutdown { .. }
            | SupervisorExit::Killed => self.note(json!({"ev": "sup_down", "why": "shutdown"})),
        }
        for (ticket, (op, _)) in std::mem::take(&mut self.calls) {
            self.note(json!({"ev": "reply", "n": ticket, "op": op, "r": "exit:shutdown"}));
        }
    }

    fn answer(&self, op: &str, target: Target, answer: &Answer) -> Value {
        match (answer, target) {
            (Answer::Done, _) => json!("ok"),
            (Answer::Started { .. }, _) => json!("ok:pid"),
            (Answer::Ignored, _) => json!("ok:undefined"),
            (Answer::Rules(_), _) => json!("ok:spec"),
            (Answer::Children(children), _) if op == "count" => self.count_dynamic(children),
            (Answer::Children(children), _) => self.list(children),
            (Answer::Counts(counts), _) => json!({
                "specs": counts.specs, "active": counts.active,
                "supervisors": counts.supervisors, "workers": counts.workers,
            }),
            // A pid that lives no more is fine with OTP; something that is no pid is not.
            (Answer::Refused(Refusal::NotFound), Target::Pid) => json!("ok"),
            (Answer::Refused(Refusal::NotFound), Target::NoPid) => json!("error:simple_one_for_one"),
            (Answer::Refused(refused), _) => json!(format!(
                "error:{}",
                match refused {
                    Refusal::NotFound => "not_found".to_owned(),
                    Refusal::Running => "running".to_owned(),
                    Refusal::Restarting => "restarting".to_owned(),
                    Refusal::AlreadyStarted => "already_started".to_owned(),
                    Refusal::AlreadyPresent => "already_present".to_owned(),
                    Refusal::Dynamic => "simple_one_for_one".to_owned(),
                    Refusal::Invalid(invalid) => refusal(invalid).to_owned(),
                    Refusal::Failed(reason) => why(reason),
                    Refusal::MaxChildren | Refusal::Stuck | Refusal::NotSuspended(_) | Refusal::Temporary =>
                        format!("{refused:?}"),
                }
            )),
        }
    }

    fn list(&self, children: &[ChildStatus]) -> Value {
        let rows = children.iter().map(|child| {
            let state = match child.state {
                ChildState::Down => "undefined",
                ChildState::Waiting { .. } | ChildState::Suspended { .. } => "restarting",
                ChildState::Starting
                | ChildState::Up
                | ChildState::Ready
                | ChildState::Stopping
                | ChildState::Stuck => "pid",
            };
            if self.strategy != Strategy::Dynamic {
                return (child.id.to_string(), state);
            }
            // OTP lists dynamic children by pid, which means a label only while it lives.
            let has_started = state == "pid" && child.state != ChildState::Starting;
            let living = self.alive.values().find(|living| {
                has_started && living.epoch == child.epoch && self.core.id(living.key) == Some(&child.id)
            });
            (living.map_or("?".to_owned(), |living| living.label.clone()), state)
        });
        let mut rows: Vec<_> = rows.collect();
        if self.strategy == Strategy::Dynamic {
            rows.sort();
        }
        json!(rows)
    }

    /// OTP counts one spec, the template.
    fn count_dynamic(&self, children: &[ChildStatus]) -> Value {
        let all = children.len();
        let active = children.iter().filter(|child| !matches!(child.state, ChildState::Waiting { .. })).count();
        let active = i64::try_from(active).unwrap_or(i64::MAX) - i64::try_from(self.never_uncounted).unwrap_or(0);
        let (supervisors, workers) = match self.template.as_ref().map(|template| template.rules().kind) {
            Some(ChildKind::Supervisor) => (all, 0),
            Some(ChildKind::Worker) | None => (0, all),
        };
        json!({"specs": 1, "active": active, "supervisors": supervisors, "workers": workers})
    }

    fn note(&mut self, event: Value) {
        self.events.push(event);
    }

    fn note_down(&mut self, living: &Living, reason: &ExitReason) {
        self.note(json!({"ev": "down", "id": living.label, "try": living.try_number, "why": why(reason)}));
    }
}

pub(crate) fn op(name: &str) -> Op {
    serde_json::from_value(json!({"op": name})).expect("an operation")
}

fn spec(id: &str, rules: ChildRules, label: &str) -> Spec<Label> {
    Spec { id: id.into(), rules, policy: None, after: Epoch::NEVER, payload: label.to_owned() }
}

pub(crate) fn refusal(invalid: &InvalidSpec) -> &'static str {
    match invalid {
        InvalidSpec::DuplicateId(_) => "duplicate_child_name",
        InvalidSpec::SignificantPermanent(_) | InvalidSpec::SignificantWithoutAutoShutdown(_) => "bad_combination",
        InvalidSpec::ZeroPeriod => "invalid_period",
    }
}

fn failed(kind: FailureKind, message: &str) -> ExitReason {
    ExitReason::Failed(Failure::new(kind, Severity::Transient, message))
}

/// What a child ends with, by the script's word for it.
fn exit_reason(why: &str) -> ExitReason {
    match why {
        "normal" => ExitReason::Normal,
        "shutdown" => ExitReason::Shutdown,
        "shutdown_t" => ExitReason::ShutdownWith("t".into()),
        "crash" => failed(FailureKind::Error, "crash"),
        "kill" => ExitReason::Killed,
        other => panic!("no such end: {other}"),
    }
}

pub(crate) fn why(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Normal => "normal".to_owned(),
        ExitReason::Shutdown => "shutdown".to_owned(),
        ExitReason::ShutdownWith(detail) => format!("shutdown_{detail}"),
        ExitReason::Killed => "killed".to_owned(),
        ExitReason::Failed(failure) => failure.message.to_string(),
    }
}
