//! The ResidencyActor: starts servers when they are wanted, puts them to sleep when they are idle or in the way, and keeps all
//! of them within the memory that there is. What to do is decided by [`mlx_tree_policy::residency`].
//!
//! *Architecture Invariant:* it has no state of its own that would be missed. What it decides by (places, requests in flight,
//! wants) is read from where it lives, so another one goes on where a crashed one ended.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_api::Kind;
use mlx_tree_policy::residency::{Lodger, Order, Place, Residency, ResidencyConfig, Tenancy};
use mlx_tree_supervision::{ChildContext, ChildSpec, Restart};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::RESIDENCY;
use crate::availability::{Reach, Turn, Wish};
use crate::clock::Clock;
use crate::server::ServerPhase;
use crate::task::AbortOnDrop;
use crate::tree::{MemoryPlan, Server, Stay, after_a_bug};

/// How long a want lasts after the last request that told of it. Longer than a request is held.
const WANT_LASTS: Duration = Duration::from_secs(120);

/// Before an order that could not be carried out is thought of again.
const PAUSE: Duration = Duration::from_secs(1);

/// Who decides which servers are in memory, as a child of the tree.
pub(crate) struct ResidencyActor;

/// What it is started with.
pub(crate) struct ResidencyArguments {
    context: ChildContext,
    servers: Arc<[Arc<Server>]>,
    memory: watch::Receiver<MemoryPlan>,
}

/// What reaches it, all of it from its own tasks.
pub(crate) enum ResidencyMessage {
    /// Something about this server has changed.
    Changed(usize),
    /// The order about this server has been carried out, or could not be.
    Done(usize),
    /// What they may take together, or what one of them needs, is another now.
    Retuned,
    /// A time has come.
    Tick,
}

/// Its state.
pub(crate) struct ResidencyState {
    servers: Arc<[Arc<Server>]>,
    memory: watch::Receiver<MemoryPlan>,
    clock: Clock,
    house: Residency,
    heard: Vec<Option<Instant>>,
    alarm: Option<AbortOnDrop>,
    _followers: Vec<AbortOnDrop>,
}

/// The child, if any server of these sleeps.
pub(crate) fn child_spec(servers: &[Arc<Server>], memory: watch::Receiver<MemoryPlan>) -> Option<ChildSpec> {
    let servers: Arc<[Arc<Server>]> = servers.into();
    servers.iter().any(|server| server.sleeps()).then(|| {
        ChildSpec::actor(RESIDENCY, move |context| {
            (ResidencyActor, ResidencyArguments { context, servers: Arc::clone(&servers), memory: memory.clone() })
        })
        .restart(Restart::Permanent)
        .backoff(after_a_bug())
    })
}

impl Actor for ResidencyActor {
    type Msg = ResidencyMessage;
    type State = ResidencyState;
    type Arguments = ResidencyArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ResidencyMessage>,
        arguments: ResidencyArguments,
    ) -> Result<ResidencyState, ActorProcessingErr> {
        let ResidencyArguments { context, servers, memory } = arguments;
        let clock = servers[0].blueprint.clock;
        let lodgers = servers.iter().map(|server| lodger(server));
        let mut house = Residency::new(config(*memory.borrow()), lodgers, clock.now());
        // Before anything is decided: whoever is there already takes room.
        for (who, server) in servers.iter().enumerate() {
            house.on_place(who, server.place());
        }
        let mut followers: Vec<_> =
            servers.iter().enumerate().map(|(who, server)| follow(who, server, &myself)).collect();
        followers.extend(servers.iter().map(|server| retuned(server.stay.subscribe(), &myself)));
        followers.push(retuned(memory.clone(), &myself));
        context.ready();
        let heard = vec![None; servers.len()];
        Ok(ResidencyState { servers, memory, clock, house, heard, alarm: None, _followers: followers })
    }

    async fn handle(
        &self,
        myself: ActorRef<ResidencyMessage>,
        message: ResidencyMessage,
        state: &mut ResidencyState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ResidencyMessage::Changed(who) => state.look(who),
            ResidencyMessage::Done(who) => {
                state.house.on_done(who, state.servers[who].place());
                state.look(who);
            }
            ResidencyMessage::Retuned => state.retune(),
            ResidencyMessage::Tick => {}
        }
        state.decide(&myself);
        Ok(())
    }
}

// === impl ResidencyState ===

impl ResidencyState {
    /// Whoever does not fit any more is put to sleep when it is in the way, as ever.
    fn retune(&mut self) {
        self.house.set_config(config(*self.memory.borrow()));
        for (who, server) in self.servers.iter().enumerate() {
            self.house.set_lodger(who, lodger(server));
        }
    }

    fn look(&mut self, who: usize) {
        let server = &self.servers[who];
        let usage = server.activity.usage();
        self.house.on_place(who, server.place());
        self.house.on_use(who, usage.in_flight, self.clock.point(usage.last_use));
        let wanted = *server.wanted.borrow();
        if let Some(at) = wanted.filter(|_| wanted != self.heard[who]) {
            self.heard[who] = wanted;
            self.house.on_want(who, self.clock.point(at));
        }
    }

    fn decide(&mut self, myself: &ActorRef<ResidencyMessage>) {
        let now = self.clock.now();
        let waiting = self.house.waiting();
        for order in self.house.decide(now) {
            match order {
                Order::Start(who) => self.wake(myself, who),
                Order::Stop(who) => {
                    let reason = match waiting.filter(|other| *other != who) {
                        Some(other) => format!("it makes room for {}", self.servers[other].name),
                        None => "nobody has asked for it for a while".to_owned(),
                    };
                    self.put_to_sleep(myself, who, reason);
                }
                Order::Yield(who) => self.turn(who, Turn::Yields),
                Order::Resume(who) => self.turn(who, Turn::Keeps),
            }
        }
        let (alarm, myself) = (self.house.next_wake(now), myself.clone());
        self.alarm = alarm.map(|at| {
            let at = self.clock.at(at);
            AbortOnDrop(tokio::spawn(async move {
                // A little later than due: tokio's timers have a granularity of a millisecond, and early is too early.
                sleep_until(at + Duration::from_millis(1)).await;
                let _ = myself.send_message(ResidencyMessage::Tick);
            }))
        });
    }

    fn wake(&self, myself: &ActorRef<ResidencyMessage>, who: usize) {
        self.tell(who, Kind::ServerWoken);
        let (server, myself) = (Arc::clone(&self.servers[who]), myself.clone());
        tokio::spawn(async move {
            if let Err(error) = server.wake().await {
                tracing::info!(target: "mlx_tree::residency", server = %server.name, %error, "it is not started");
            }
            let _ = myself.send_message(ResidencyMessage::Done(who));
        });
    }

    fn put_to_sleep(&self, myself: &ActorRef<ResidencyMessage>, who: usize, reason: String) {
        self.tell(who, Kind::ServerPutToSleep { reason });
        let (server, myself) = (Arc::clone(&self.servers[who]), myself.clone());
        tokio::spawn(async move {
            if let Err(error) = server.sleep().await {
                tracing::warn!(target: "mlx_tree::residency", server = %server.name, %error, "it is not put to sleep");
                sleep(PAUSE).await;
            }
            let _ = myself.send_message(ResidencyMessage::Done(who));
        });
    }

    fn turn(&self, who: usize, turn: Turn) {
        self.servers[who].turn.send_replace(turn);
    }

    fn tell(&self, who: usize, kind: Kind) {
        let blueprint = &self.servers[who].blueprint;
        let epoch = blueprint.view.borrow().epoch;
        blueprint.bus.emit(&blueprint.label, epoch, kind);
    }
}

const fn config(memory: MemoryPlan) -> ResidencyConfig {
    let MemoryPlan { budget, min_stay, turn } = memory;
    ResidencyConfig { budget, min_stay, turn, want_lasts: WANT_LASTS }
}

fn lodger(server: &Server) -> Lodger {
    let Stay { idle_stop, memory, limits: _ } = *server.stay.borrow();
    Lodger { need: memory, tenancy: if server.sleeps() { Tenancy::Guest } else { Tenancy::Fixed }, idle_stop }
}

/// Tells of each change of a number.
fn retuned<T: Send + Sync + 'static>(
    mut numbers: watch::Receiver<T>,
    myself: &ActorRef<ResidencyMessage>,
) -> AbortOnDrop {
    let myself = myself.clone();
    numbers.mark_unchanged();
    AbortOnDrop(tokio::spawn(async move {
        while numbers.changed().await.is_ok() && myself.send_message(ResidencyMessage::Retuned).is_ok() {}
    }))
}

/// Tells of every change that may matter. Many changes at once are one message.
fn follow(who: usize, server: &Arc<Server>, myself: &ActorRef<ResidencyMessage>) -> AbortOnDrop {
    let (mut availability, mut view) = (server.availability.subscribe(), server.blueprint.view.subscribe());
    let (mut wanted, mut usage) = (server.wanted.subscribe(), server.activity.watch());
    let myself = myself.clone();
    AbortOnDrop(tokio::spawn(async move {
        while myself.send_message(ResidencyMessage::Changed(who)).is_ok() {
            tokio::select! {
                changed = availability.changed() => if changed.is_err() { return },
                changed = view.changed() => if changed.is_err() { return },
                changed = wanted.changed() => if changed.is_err() { return },
                changed = usage.changed() => if changed.is_err() { return },
            }
        }
    }))
}

// === impl Server ===

impl Server {
    /// Where it is, as far as memory goes: from the facts themselves, since what is published of them may be a moment old.
    fn place(&self) -> Place {
        let wish = *self.wish.borrow();
        let (view, process) = {
            let view = self.blueprint.view.borrow();
            (view.phase, view.process.is_some())
        };
        let gone = |place| if process { Place::Coming } else { place };
        match self.reach_now() {
            Reach::Ready { .. } | Reach::Yielding { .. } | Reach::Finishing { .. } => match view {
                ServerPhase::Ready { since } => Place::There { since },
                ServerPhase::Absent | ServerPhase::Starting | ServerPhase::Loading | ServerPhase::Stopping => {
                    Place::Coming
                }
            },
            Reach::Starting { .. } | Reach::Recycling { .. } => Place::Coming,
            Reach::Waiting { .. } => match wish {
                Wish::Restart => Place::Coming,
                Wish::Run | Wish::Sleep | Wish::Stop => Place::Failing,
            },
            Reach::BreakerOpen { .. } => match wish {
                Wish::Sleep => gone(Place::Away),
                Wish::Run | Wish::Restart | Wish::Stop => Place::Failing,
            },
            Reach::Asleep => gone(Place::Away),
            Reach::Stopped { .. } => match wish {
                Wish::Stop => gone(Place::Barred),
                Wish::Run | Wish::Restart | Wish::Sleep => gone(Place::Away),
            },
            Reach::Draining => Place::Barred,
        }
    }
}
