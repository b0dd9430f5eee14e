//! The scripted world once more, with actors: the same scripts, the same words, the supervisor as its users have it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use mlx_tree_supervision::{
    ChildContext, ChildId, ChildSpec, ChildState, ChildStatus, DeleteChildError, Epoch, RestartChildError,
    Significance, StartChildError, StartError, StartedChild, Strategy, SupervisedExit, Supervisor, SupervisorHandle,
    TerminateChildError,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::case::{Case, Child, Op};
use crate::log::{Answering, Log, plain};
use crate::world::{op, refusal, why};

/// Everything but the supervisor and its children.
#[derive(Clone)]
struct Stage(Arc<Mutex<Set>>, Arc<Mutex<Log>>);

struct Set {
    strategy: Strategy,
    template: Option<Child>,
    scripts: HashMap<String, Script>,
    /// The children that live, in the order of their birth.
    alive: BTreeMap<u64, Living>,
    last_incarnation: HashMap<String, ChildId>,
    born: u64,
    during: Vec<Op>,
    next_call: u64,
    next_dynamic: u64,
}

struct Script {
    start: Vec<String>,
    stop: String,
    tries: usize,
}

#[derive(Clone)]
struct Living {
    id: ChildId,
    epoch: Epoch,
    label: String,
    try_number: usize,
    actor: ActorRef<Crash>,
    end: Arc<OnceLock<String>>,
}

/// The one thing that a child can be told: to fail.
struct Crash;

/// A child that plays one line of its script.
struct Scripted {
    stage: Stage,
    context: ChildContext,
    label: String,
    try_number: usize,
    outcome: String,
    stop: String,
    during: Mutex<Vec<Op>>,
    /// Its place in the order of births, once it has started.
    born: OnceLock<u64>,
    /// How it ends; if nobody says, it was killed.
    end: Arc<OnceLock<String>>,
}

/// Plays a case; answers what was observed.
pub(crate) async fn play(case: &Case) -> Vec<Value> {
    let strategy = case.sup.strategy();
    let is_dynamic = strategy == Strategy::Dynamic;
    let (sender, said) = broadcast::channel(4096);
    let template = case.children.first().filter(|_| is_dynamic).cloned();
    let set = Set {
        strategy,
        template: template.clone(),
        scripts: HashMap::new(),
        alive: BTreeMap::new(),
        last_incarnation: HashMap::new(),
        born: 0,
        during: Vec::new(),
        next_call: 1,
        next_dynamic: 0,
    };
    let log = Log::new(template.map(|template| template.id), said);
    let stage = Stage(Arc::new(Mutex::new(set)), Arc::new(Mutex::new(log)));
    for child in &case.children {
        stage.set().set_script(&child.id, &child.start, &child.stop);
    }
    let supervisor = || {
        Supervisor::new(strategy)
            .intensity(case.sup.intensity())
            .auto_shutdown(case.sup.auto_shutdown())
            .events_into(sender.clone())
    };
    let children = case.children.iter().map(|child| stage.spec(&child.id, child, &child.id));
    // OTP starts no child from the template of a dynamic supervisor, but looks at it.
    let started = if is_dynamic { starts_with(case) } else { supervisor().children(children).start().await.map(Some) };
    let started = match started {
        Ok(Some(handle)) => Ok(handle),
        Ok(None) => supervisor().start().await,
        Err(error) => Err(error),
    };
    match started {
        Ok(handle) => stage.run(case, &handle).await,
        Err(StartError::Invalid(invalid)) => {
            stage.log().start_failed(&format!("start_spec:{}", refusal(&invalid)));
        }
        Err(StartError::Child { child, reason }) => {
            stage.log().start_failed(&format!("failed_to_start_child:{child}:{}", plain(&why(&reason))));
        }
        Err(other) => panic!("{other}"),
    }
    // Whoever has asked reads the answer.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let empty = Log::new(None, broadcast::channel(1).1);
    std::mem::replace(&mut *stage.log(), empty).into_events()
}

fn starts_with(case: &Case) -> Result<Option<SupervisorHandle>, StartError> {
    use mlx_tree_supervision::core::{Config, QueryOrder, Spec, Supervisor as Machine};
    let config = Config {
        strategy: case.sup.strategy(),
        intensity: case.sup.intensity(),
        auto_shutdown: case.sup.auto_shutdown(),
        max_children: usize::MAX,
        kill_grace: std::time::Duration::ZERO,
        queries: QueryOrder::AtOnce,
    };
    let specs = case.children.iter().map(|child| Spec {
        id: child.id.as_str().into(),
        rules: child.rules(),
        policy: None,
        after: Epoch::NEVER,
        payload: (),
    });
    Machine::new(config, specs.collect())?;
    Ok(None)
}

// === impl Stage ===

impl Stage {
    fn set(&self) -> MutexGuard<'_, Set> {
        self.0.lock().unwrap()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.1.lock().unwrap()
    }

    async fn run(&self, case: &Case, handle: &SupervisorHandle) {
        self.settle(handle).await;
        let (which, stop) = (op("which"), op("stop"));
        let mut number = 0;
        for op in case.ops.iter().chain([&which, &stop]) {
            if self.log().has_ended() {
                return;
            }
            if op.op == "advance" {
                tokio::time::advance(std::time::Duration::from_secs(op.s.unwrap_or(0))).await;
                continue;
            }
            number += 1;
            self.set().during.clone_from(&op.during);
            self.log().note(json!({"ev": "op", "k": number, "op": op.op}));
            match op.op.as_str() {
                "exit" => {
                    let (id, why) = (op.id.as_deref().unwrap_or(""), op.why.as_deref().unwrap_or("normal"));
                    self.die_together(&[(id.to_owned(), why.to_owned())]);
                }
                "exits" => self.die_together(&op.list),
                _ => self.ask(op, handle),
            }
            self.settle(handle).await;
        }
    }

    /// Waits until nothing moves any more: a request that changes nothing is answered when all that came before it is done.
    /// The second one comes after what was asked during a start that the first one waited for.
    async fn settle(&self, handle: &SupervisorHandle) {
        let mut answers = 0;
        loop {
            match handle.terminate_child("(nobody)").await {
                Err(TerminateChildError::NotFound) => answers += 1,
                Err(TerminateChildError::SupervisorGone) => {
                    handle.closed().await;
                    return;
                }
                other => panic!("{other:?}"),
            }
            let children = handle.which_children().await.unwrap_or_default();
            let moves = |child: &ChildStatus| {
                matches!(child.state, ChildState::Waiting { .. } | ChildState::Starting | ChildState::Stopping)
            };
            if answers > 1 && !children.iter().any(moves) {
                return;
            }
        }
    }

    /// All are told before the supervisor hears of the first: nothing else runs meanwhile, so they are as good as dead.
    fn die_together(&self, list: &[(String, String)]) {
        for (label, why) in list {
            let mut set = self.set();
            let Some((&born, living)) = set.alive.iter().find(|(_, living)| living.label == *label) else {
                drop(set);
                self.log().note(json!({"ev": "no_such_child", "id": label}));
                continue;
            };
            let living = living.clone();
            set.alive.remove(&born);
            drop(set);
            let end = if why == "kill" { "killed" } else { why };
            self.log().note(json!({"ev": "down", "id": label, "try": living.try_number, "why": end}));
            living.end.set(end.to_owned()).expect("nobody dies twice");
            match why.as_str() {
                "normal" => living.actor.stop(None),
                "shutdown" => living.actor.stop(Some("shutdown".to_owned())),
                "shutdown_t" => living.actor.stop(Some("shutdown: t".to_owned())),
                "crash" => living.actor.send_message(Crash).expect("it lives"),
                "kill" => living.actor.kill(),
                other => panic!("no such end: {other}"),
            }
        }
    }

    fn ask(&self, op: &Op, handle: &SupervisorHandle) {
        let handle = handle.clone();
        if op.op == "stop" {
            // It is sent with the first poll, and dropping the future does not take it back.
            let mut stop = Box::pin(async move { handle.stop().await });
            let _ = stop.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            return;
        }
        let id = ChildId::from(op.id.as_deref().unwrap_or(""));
        let (stage, ticket) = (self.clone(), self.set().ticket());
        let begin = |answer| Answering::begin(&self.1, ticket, &op.op, answer);
        match op.op.as_str() {
            "start_child" => {
                let spec = self.new_child(op);
                begin(boxed(async move { started(handle.start_child(spec).await) }));
            }
            "terminate_child" => {
                let id = self.set().whom(&id);
                begin(boxed(async move {
                    Some(json!(match handle.terminate_child(id).await {
                        Ok(()) => "ok",
                        Err(TerminateChildError::NotFound) => "error:not_found",
                        Err(TerminateChildError::Stuck) => "error:stuck",
                        Err(TerminateChildError::SupervisorGone) => return None,
                    }))
                }));
            }
            "restart_child" => begin(boxed(async move { restarted(handle.restart_child(id).await) })),
            "delete_child" => begin(boxed(async move {
                Some(json!(match handle.delete_child(id).await {
                    Ok(()) => "ok",
                    Err(DeleteChildError::NotFound) => "error:not_found",
                    Err(DeleteChildError::Running) => "error:running",
                    Err(DeleteChildError::Restarting) => "error:restarting",
                    Err(DeleteChildError::Dynamic) => "error:simple_one_for_one",
                    Err(DeleteChildError::SupervisorGone) => return None,
                }))
            })),
            "get_childspec" => begin(boxed(async move {
                let rules = handle.child_rules(id).await.ok()?;
                Some(json!(if rules.is_some() { "ok:spec" } else { "error:not_found" }))
            })),
            "which" => begin(boxed(async move {
                let children = handle.which_children().await.ok()?;
                Some(stage.set().list(&children))
            })),
            "count" => begin(boxed(async move {
                let counts = handle.count_children().await.ok()?;
                Some(json!({
                    "specs": counts.specs, "active": counts.active,
                    "supervisors": counts.supervisors, "workers": counts.workers,
                }))
            })),
            other => panic!("no such operation: {other}"),
        }
    }

    fn new_child(&self, op: &Op) -> ChildSpec {
        let mut set = self.set();
        let (id, child, label) = match (&op.spec, &op.label, set.template.clone()) {
            (Some(child), _, _) => {
                set.set_script(&child.id, &child.start, &child.stop);
                (child.id.clone(), child.clone(), child.id.clone())
            }
            (None, Some(label), Some(template)) => {
                let start = op.start.clone().unwrap_or_else(|| vec!["ok".to_owned()]);
                set.set_script(label, &start, op.stop.as_deref().unwrap_or("shutdown"));
                set.next_dynamic += 1;
                (format!("{label}#{}", set.next_dynamic), template, label.clone())
            }
            _ => panic!("start_child without a spec or a label"),
        };
        drop(set);
        self.spec(&id, &child, &label)
    }

    fn spec(&self, id: &str, child: &Child, label: &str) -> ChildSpec {
        let (stage, label, rules) = (self.clone(), label.to_owned(), child.rules());
        let make = move |context| (stage.next_incarnation(&label, context), ());
        let spec = ChildSpec::actor(id, make).restart(rules.restart).shutdown(rules.shutdown).kind(rules.kind);
        match rules.significance {
            Significance::Ordinary => spec,
            Significance::Significant => spec.significant(),
        }
    }

    fn next_incarnation(&self, label: &str, context: ChildContext) -> Scripted {
        let mut set = self.set();
        let script = set.scripts.get_mut(label).expect("a script for every child");
        script.tries += 1;
        let try_number = script.tries;
        let outcome = script.start[try_number.min(script.start.len()) - 1].clone();
        let stop = script.stop.clone();
        let during = Mutex::new(std::mem::take(&mut set.during));
        drop(set);
        self.log().note(json!({"ev": "start", "id": label, "try": try_number, "out": outcome}));
        Scripted {
            stage: self.clone(),
            context,
            label: label.to_owned(),
            try_number,
            outcome,
            stop,
            during,
            born: OnceLock::new(),
            end: Arc::default(),
        }
    }
}

type Answer = std::pin::Pin<Box<dyn Future<Output = Option<Value>> + Send>>;

fn boxed(answer: impl Future<Output = Option<Value>> + Send + 'static) -> Answer {
    Box::pin(answer)
}

fn running(child: &StartedChild) -> Option<Value> {
    Some(json!(match child {
        StartedChild::Running { .. } => "ok:pid",
        StartedChild::Ignored => "ok:undefined",
    }))
}

fn started(answer: Result<StartedChild, StartChildError>) -> Option<Value> {
    let refused = match answer {
        Ok(child) => return running(&child),
        Err(StartChildError::SupervisorGone) => return None,
        Err(StartChildError::AlreadyStarted) => "already_started".to_owned(),
        Err(StartChildError::AlreadyPresent) => "already_present".to_owned(),
        Err(StartChildError::MaxChildren) => "max_children".to_owned(),
        Err(StartChildError::Invalid(invalid)) => refusal(&invalid).to_owned(),
        Err(StartChildError::Failed(reason)) => plain(&why(&reason)).to_owned(),
    };
    Some(json!(format!("error:{refused}")))
}

fn restarted(answer: Result<StartedChild, RestartChildError>) -> Option<Value> {
    let refused = match answer {
        Ok(child) => return running(&child),
        Err(RestartChildError::SupervisorGone) => return None,
        Err(RestartChildError::NotFound) => "not_found".to_owned(),
        Err(RestartChildError::Running) => "running".to_owned(),
        Err(RestartChildError::Restarting) => "restarting".to_owned(),
        Err(RestartChildError::Dynamic) => "simple_one_for_one".to_owned(),
        Err(RestartChildError::Failed(reason)) => plain(&why(&reason)).to_owned(),
    };
    Some(json!(format!("error:{refused}")))
}

// === impl Set ===

impl Set {
    fn set_script(&mut self, label: &str, start: &[String], stop: &str) {
        let script = Script { start: start.to_vec(), stop: stop.to_owned(), tries: 0 };
        self.scripts.insert(label.to_owned(), script);
    }

    fn ticket(&mut self) -> u64 {
        self.next_call += 1;
        self.next_call - 1
    }

    /// A dynamic child is known by its label: the one alive, or else the last one known.
    fn whom(&self, id: &ChildId) -> ChildId {
        if self.strategy != Strategy::Dynamic {
            return id.clone();
        }
        let alive = self.alive.values().find(|living| living.label == id.as_str()).map(|living| &living.id);
        alive.or_else(|| self.last_incarnation.get(id.as_str())).cloned().unwrap_or_else(|| "(none)".into())
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
            let has_started = state == "pid" && child.state != ChildState::Starting;
            let is_it = |living: &&Living| living.epoch == child.epoch && living.id == child.id && has_started;
            (self.alive.values().find(is_it).map_or("?".to_owned(), |living| living.label.clone()), state)
        });
        let mut rows: Vec<_> = rows.collect();
        if self.strategy == Strategy::Dynamic {
            rows.sort();
        }
        json!(rows)
    }
}

// === impl Scripted ===

impl Actor for Scripted {
    type Msg = Crash;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Crash>, (): ()) -> Result<(), ActorProcessingErr> {
        let during = std::mem::take(&mut *self.during.lock().unwrap());
        if !during.is_empty() {
            let supervisor = self.context.supervisor();
            during.iter().for_each(|op| self.stage.ask(op, supervisor));
            // A question is answered at once, after all that was sent before it has been taken in.
            let _ = supervisor.snapshot().await;
        }
        match self.outcome.as_str() {
            "ok" => {
                let mut set = self.stage.set();
                let (id, epoch) = (self.context.id().clone(), self.context.epoch());
                set.last_incarnation.insert(self.label.clone(), id.clone());
                let (label, end) = (self.label.clone(), self.end.clone());
                let living = Living { id, epoch, label, try_number: self.try_number, actor: myself, end };
                let born = set.born;
                set.alive.insert(born, living);
                set.born += 1;
                self.born.set(born).expect("it starts once");
                Ok(())
            }
            "ignore" => Err(SupervisedExit::ignore().into()),
            "error" => Err("start_error".into()),
            "raise" => panic!("raised"),
            other => panic!("no such outcome: {other}"),
        }
    }

    async fn handle(&self, _: ActorRef<Crash>, _: Crash, (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("crash".into())
    }

    async fn post_stop(&self, _: ActorRef<Crash>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        if self.end.get().is_some() {
            // It ends by itself.
            return Ok(());
        }
        self.stage.log().note(json!({"ev": "sig", "id": self.label}));
        match self.stop.as_str() {
            "hang" => std::future::pending().await,
            "crash" => {
                self.end.set("crash".to_owned()).expect("it ends once");
                Err("crash".into())
            }
            other => {
                self.end.set(other.to_owned()).expect("it ends once");
                Ok(())
            }
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let Some(born) = self.born.get() else { return };
        if self.stage.set().alive.remove(born).is_none() {
            // It was told to end, and that is noted.
            return;
        }
        let why = self.end.get().map_or("killed", String::as_str);
        let down = json!({"ev": "down", "id": self.label, "try": self.try_number, "why": why});
        self.stage.log().note(down);
    }
}
