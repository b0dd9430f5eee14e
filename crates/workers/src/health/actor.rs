//! The HealthActor: puts the questions, and tells the owner what the answers amount to. It never ends a process itself.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mlx_tree_api::{Kind, Probe};
use mlx_tree_policy::{HealthThreshold, Monotonic};
use mlx_tree_process::Identity;
use mlx_tree_supervision::{ChildContext, Slot};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use reqwest::Client;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::liveness::{Action, Finding, Liveness, Progress, Spans, Standing};
use super::progress::{HealthView, Meter, Served, processor_time};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::server::probe::{self, ProbeError};
use crate::server::{Recipes, ServerMessage, ServerPhase, ServerView};
use crate::task::AbortOnDrop;

/// The watcher as a child of the tree.
pub struct HealthActor;

/// The numbers that it goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthNumbers {
    /// From one check to the next.
    pub interval: Duration,
    /// One check.
    pub timeout: Duration,
    /// Misses in a row that mean down.
    pub failure_threshold: NonZeroU32,
    /// One canary.
    pub canary_timeout: Duration,
    /// When to ask for canaries, and when to stop waiting for one.
    pub spans: Spans,
}

/// What may show that a server works, beside what it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The processor time that its group uses.
    ProcessorTime,
    /// Nothing: its group uses processor time whether it works or not.
    AnswersOnly,
}

/// What it is started with.
pub struct HealthArguments {
    /// Its place in the tree.
    pub context: ChildContext,
    /// The server's name.
    pub name: Arc<str>,
    /// What its events are stamped with: what the server's are.
    pub label: Arc<str>,
    /// The numbers, as they are now and as they change.
    pub numbers: watch::Receiver<HealthNumbers>,
    /// How the server is judged: as what it was started.
    pub recipes: Recipes,
    /// The server's process, on the control path.
    pub server: watch::Receiver<ServerView>,
    /// Where to send a verdict.
    pub owner: Slot<ServerMessage>,
    /// What its clients receive.
    pub served: Served,
    /// Talks to the server.
    pub client: Client,
    /// What the world is told about its health.
    pub view: watch::Sender<HealthView>,
    /// The observation path.
    pub bus: Bus,
    /// The tree's clock.
    pub clock: Clock,
}

/// What reaches the HealthActor. Answers carry the epoch that they are about; old ones are dropped.
pub enum HealthMessage {
    /// The server's process has changed.
    Server(ServerView),
    /// The numbers have been changed.
    Retuned,
    /// It is time for a check of this incarnation.
    Tick(u64),
    /// A check is over.
    Checked {
        /// The incarnation.
        epoch: u64,
        /// The answer.
        answer: Result<(), ProbeError>,
        /// The processor time that its group has used, where it can be read.
        cpu: Option<Duration>,
    },
    /// A canary is over.
    Canary {
        /// The incarnation.
        epoch: u64,
        /// The answer.
        answer: Result<(), ProbeError>,
    },
    /// The server wrote something alarming.
    Alarm {
        /// The incarnation.
        epoch: u64,
        /// The line.
        line: String,
        /// Until this is dropped, no further line is told.
        rung: OwnedSemaphorePermit,
    },
    /// Panics, as a bug would: see [`crate::tree::Part`].
    #[cfg(feature = "test-util")]
    Panic,
}

/// Its state.
pub struct HealthState {
    arguments: Arc<HealthArguments>,
    liveness: Liveness,
    meter: Meter,
    watched: Option<Watched>,
    announced: bool,
    last_ok: Option<Monotonic>,
    last_error: Option<String>,
    _follow: AbortOnDrop,
    _tune: AbortOnDrop,
}

/// The incarnation that is being watched.
struct Watched {
    epoch: u64,
    url: String,
    process: Identity,
    tick: AbortOnDrop,
}

impl Actor for HealthActor {
    type Msg = HealthMessage;
    type State = HealthState;
    type Arguments = HealthArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<HealthMessage>,
        arguments: HealthArguments,
    ) -> Result<HealthState, ActorProcessingErr> {
        let mut server = arguments.server.clone();
        server.mark_changed();
        let (mut numbers, tuned) = (arguments.numbers.clone(), myself.clone());
        numbers.mark_unchanged();
        let tune = AbortOnDrop(tokio::spawn(async move {
            while numbers.changed().await.is_ok() && tuned.send_message(HealthMessage::Retuned).is_ok() {}
        }));
        let follow = AbortOnDrop(tokio::spawn(async move {
            while server.changed().await.is_ok() {
                let view = server.borrow_and_update().clone();
                if myself.send_message(HealthMessage::Server(view)).is_err() {
                    return;
                }
            }
        }));
        let numbers = *arguments.numbers.borrow();
        let threshold = HealthThreshold::new(numbers.failure_threshold, numbers.interval);
        let liveness = Liveness::new(threshold, numbers.failure_threshold.get(), numbers.spans);
        arguments.context.ready();
        Ok(HealthState {
            arguments: Arc::new(arguments),
            liveness,
            meter: Meter::default(),
            watched: None,
            announced: false,
            last_ok: None,
            last_error: None,
            _follow: follow,
            _tune: tune,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<HealthMessage>,
        message: HealthMessage,
        state: &mut HealthState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HealthMessage::Server(view) => state.on_server(&myself, view),
            HealthMessage::Retuned => state.on_retuned(&myself),
            HealthMessage::Tick(epoch) => state.on_tick(&myself, epoch),
            HealthMessage::Checked { epoch, answer, cpu } => state.on_checked(&myself, epoch, &answer, cpu),
            HealthMessage::Canary { epoch, answer } => state.on_canary(&myself, epoch, &answer),
            HealthMessage::Alarm { epoch, line, rung: _rung } => state.on_alarm(&myself, epoch, &line),
            #[cfg(feature = "test-util")]
            HealthMessage::Panic => panic!("{}", crate::tree::Part::WORDS),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<HealthMessage>, state: &mut HealthState) -> Result<(), ActorProcessingErr> {
        state.arguments.view.send_replace(HealthView::unwatched());
        Ok(())
    }
}

// === impl HealthState ===

impl HealthState {
    fn on_server(&mut self, myself: &ActorRef<HealthMessage>, view: ServerView) {
        let ready = matches!(view.phase, ServerPhase::Ready { .. });
        match (ready, view.process, view.url) {
            (true, Some(process), Some(url)) => {
                if self.watched.as_ref().is_some_and(|watched| watched.epoch == view.epoch) {
                    return;
                }
                let tick = self.tick_later(myself, view.epoch);
                self.watched = Some(Watched { epoch: view.epoch, url, process, tick });
                let now = self.arguments.clock.now();
                self.liveness.on_ready(now);
                self.last_ok = Some(now);
                self.last_error = None;
                if !std::mem::replace(&mut self.announced, true) {
                    self.emit(Kind::HealthMonitoring);
                }
                self.look(view.epoch);
            }
            _ => {
                self.watched = None;
                self.liveness.on_gone();
            }
        }
        self.publish();
    }

    /// Checks go by the new numbers; the next one comes when it is due by them.
    fn on_retuned(&mut self, myself: &ActorRef<HealthMessage>) {
        let numbers = self.numbers();
        self.liveness.retune(numbers.failure_threshold, numbers.interval, numbers.spans);
        if let Some(epoch) = self.watched.as_ref().map(|watched| watched.epoch) {
            let tick = self.tick_later(myself, epoch);
            if let Some(watched) = &mut self.watched {
                watched.tick = tick;
            }
        }
    }

    fn numbers(&self) -> HealthNumbers {
        *self.arguments.numbers.borrow()
    }

    fn on_tick(&mut self, myself: &ActorRef<HealthMessage>, epoch: u64) {
        let tick = self.tick_later(myself, epoch);
        let Some(watched) = self.watched.as_mut().filter(|watched| watched.epoch == epoch) else { return };
        watched.tick = tick;
        let (arguments, myself) = (Arc::clone(&self.arguments), myself.clone());
        let (url, process) = (watched.url.clone(), watched.process.clone());
        tokio::spawn(async move {
            let timeout = arguments.numbers.borrow().timeout;
            let recipe = arguments.recipes.running();
            let asked = probe::health(&arguments.client, &url, &recipe.profile, timeout);
            let answer = probe::measured(&arguments.bus, &arguments.name, Some(Probe::Health), asked).await;
            let cpu = match recipe.evidence() {
                Evidence::ProcessorTime => processor_time(&process).await,
                Evidence::AnswersOnly => None,
            };
            let _ = myself.send_message(HealthMessage::Checked { epoch, answer, cpu });
        });
    }

    fn on_checked(
        &mut self,
        myself: &ActorRef<HealthMessage>,
        epoch: u64,
        answer: &Result<(), ProbeError>,
        cpu: Option<Duration>,
    ) {
        if !self.watches(epoch) {
            return;
        }
        let now = self.arguments.clock.now();
        self.note(answer, now);
        let progress = self.meter.look(epoch, cpu, &self.arguments.served, now);
        let outcome = self.liveness.on_check(answer, progress, now);
        self.carry_out(myself, epoch, outcome);
    }

    fn on_canary(&mut self, myself: &ActorRef<HealthMessage>, epoch: u64, answer: &Result<(), ProbeError>) {
        if !self.watches(epoch) {
            return;
        }
        let now = self.arguments.clock.now();
        self.note(answer, now);
        let outcome = self.liveness.on_canary(answer, now);
        self.carry_out(myself, epoch, outcome);
    }

    fn on_alarm(&mut self, myself: &ActorRef<HealthMessage>, epoch: u64, line: &str) {
        if self.watches(epoch) {
            let outcome = self.liveness.on_alarm(line, self.arguments.clock.now());
            self.carry_out(myself, epoch, outcome);
        }
    }

    fn carry_out(
        &mut self,
        myself: &ActorRef<HealthMessage>,
        epoch: u64,
        (action, finding): (Action, Option<Finding>),
    ) {
        if let Some(finding) = finding {
            self.tell(finding);
        }
        match action {
            Action::None => {}
            Action::AskCanary => self.ask_canary(myself, epoch),
            Action::Down(why) => {
                self.last_error = Some(why.clone());
                if let Some(owner) = self.arguments.owner.actor() {
                    let _ = owner.send_message(ServerMessage::Unhealthy { epoch, why });
                }
            }
        }
        self.publish();
    }

    fn ask_canary(&self, myself: &ActorRef<HealthMessage>, epoch: u64) {
        let Some(watched) = &self.watched else { return };
        let (arguments, myself, url) = (Arc::clone(&self.arguments), myself.clone(), watched.url.clone());
        tokio::spawn(async move {
            let timeout = arguments.numbers.borrow().canary_timeout;
            let recipe = arguments.recipes.running();
            let what = recipe.profile.canary.told_as(Probe::Canary);
            let asked = probe::canary(&arguments.client, &url, &recipe.profile, timeout);
            let answer = probe::measured(&arguments.bus, &arguments.name, what, asked).await;
            let _ = myself.send_message(HealthMessage::Canary { epoch, answer });
        });
    }

    fn tell(&self, finding: Finding) {
        let reason = self.last_error.clone().unwrap_or_default();
        self.emit(match finding {
            Finding::Missed(streak) => {
                let threshold = self.numbers().failure_threshold.get();
                Kind::HealthFailed { streak, threshold, reason }
            }
            Finding::Busy => Kind::HealthBusy { reason },
            Finding::Suspected(reason) => Kind::HealthSuspected { reason },
            Finding::Recovered(after) => Kind::HealthRecovered { after },
        });
    }

    /// Takes the first reading of a fresh incarnation's processor time, to compare the next one with.
    fn look(&mut self, epoch: u64) {
        let now = self.arguments.clock.now();
        let _: Progress = self.meter.look(epoch, None, &self.arguments.served, now);
    }

    fn note(&mut self, answer: &Result<(), ProbeError>, now: Monotonic) {
        match answer {
            Ok(()) => self.last_ok = Some(now),
            Err(error) => self.last_error = Some(error.to_string()),
        }
    }

    fn publish(&self) {
        let view = HealthView {
            standing: self.liveness.standing(),
            failures: self.liveness.streak(),
            last_ok: self.last_ok.filter(|_| self.liveness.standing() != Standing::Unwatched),
            last_error: self.last_error.clone(),
        };
        self.arguments.view.send_if_modified(|current| {
            let changed = *current != view;
            *current = view;
            changed
        });
    }

    /// Arms the next tick. Re-armed at each one rather than repeated, so that ticks missed in a laptop's sleep are not made
    /// up for in a burst.
    fn tick_later(&self, myself: &ActorRef<HealthMessage>, epoch: u64) -> AbortOnDrop {
        let (interval, myself) = (self.numbers().interval, myself.clone());
        AbortOnDrop(tokio::spawn(async move {
            tokio::time::sleep(interval).await;
            let _ = myself.send_message(HealthMessage::Tick(epoch));
        }))
    }

    fn watches(&self, epoch: u64) -> bool {
        self.watched.as_ref().is_some_and(|watched| watched.epoch == epoch)
    }

    fn emit(&self, kind: Kind) {
        let epoch = self.watched.as_ref().map_or(0, |watched| watched.epoch);
        self.arguments.bus.emit(&self.arguments.label, epoch, kind);
    }
}
