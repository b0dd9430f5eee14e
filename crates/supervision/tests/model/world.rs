//! The machine, its policies and their driver, and the children around them: one event at a time, and what must hold after it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mlx_tree_policy::{BreakerConfig, BreakerState, RestartPolicy, RestartPolicyConfig, Standing};
use mlx_tree_supervision::core::{Call, ChildRules, Config, Effect, Input, Key, QueryOrder, Spec, Supervisor, Ticket};
use mlx_tree_supervision::{
    AutoShutdown, Backoff, ChildId, ChildKind, ChildState, Decision, Epoch, ExitReason, Failure, FailureKind,
    Intensity, JitterSeed, Monotonic, OnIntensityExceeded, Readiness, Restart, Severity, Shutdown, Significance,
    Strategy, SupervisorPhase,
};

use crate::fingerprint;

/// One child of a walk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) readiness: Readiness,
    pub(crate) policy: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// OTP's rules.
    Plain,
    /// A [`RestartPolicy`] with its breaker, and the driver that resumes the trial.
    Breaker,
}

/// What can happen. A number is a child's place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    Starts(usize),
    DoesNotStart(usize),
    IsReady(usize),
    Crashes(usize),
    /// No retry can cure this.
    FailsForGood(usize),
    EndsNormally(usize),
    /// It ends because it was asked to or killed.
    EndsAsAsked(usize),
    /// Time passes until the next timer, of the machine or of a breaker.
    Timer,
    Terminate(usize),
    Restart(usize),
    Suspend(usize),
    Resume(usize),
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Starting,
    Running,
    Told,
    Killed,
}

#[derive(Debug)]
struct Living {
    epoch: Epoch,
    life: Life,
}

/// Whether somebody has asked for something, after which a child may be down for that reason alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Silent,
    Spoke,
}

/// How it has ended, if it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    NotYet,
    Stopping,
    Ended,
}

pub(crate) struct World {
    core: Supervisor<usize>,
    plans: Vec<Plan>,
    policies: BTreeMap<usize, Arc<Mutex<RestartPolicy>>>,
    now: Monotonic,
    alive: BTreeMap<Key, (usize, Living)>,
    answers_due: usize,
    pub(crate) operator: Operator,
    pub(crate) end: End,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Who needs no answer. A driver that waits for a suspension asks with the place of its child.
const OPERATOR: Ticket = Ticket(u64::MAX);

// === impl World ===

impl World {
    pub(crate) fn new(strategy: Strategy, plans: &[Plan]) -> Self {
        let config = Config {
            strategy,
            intensity: Intensity::new(2, Duration::from_secs(5)),
            auto_shutdown: AutoShutdown::Never,
            max_children: usize::MAX,
            kill_grace: Duration::from_secs(5),
            queries: QueryOrder::AtOnce,
        };
        let policies: BTreeMap<_, _> = plans
            .iter()
            .enumerate()
            .filter(|(_, plan)| plan.policy == Policy::Breaker)
            .map(|(place, _)| (place, Arc::new(Mutex::new(a_policy()))))
            .collect();
        let specs = plans.iter().enumerate().map(|(place, plan)| Spec {
            id: NAMES[place].into(),
            rules: ChildRules {
                restart: plan.restart,
                shutdown: plan.shutdown,
                kind: ChildKind::Worker,
                significance: Significance::Ordinary,
                readiness: plan.readiness,
                on_intensity_exceeded: OnIntensityExceeded::Escalate,
            },
            policy: policies.get(&place).map(|policy| Box::new(policy.clone()) as _),
            after: Epoch::NEVER,
            payload: place,
        });
        let core = Supervisor::new(config, specs.collect()).expect("specs that agree");
        let mut world = Self {
            core,
            plans: plans.to_vec(),
            policies,
            now: Monotonic::ORIGIN,
            alive: BTreeMap::new(),
            answers_due: 0,
            operator: Operator::Silent,
            end: End::NotYet,
        };
        world.feed(Input::Boot);
        world
    }

    /// Everything that can happen now, faults and requests included.
    pub(crate) fn possible(&self, may_ask: Operator) -> Vec<Happening> {
        let mut found = Vec::new();
        for &(place, ref living) in self.alive.values() {
            match living.life {
                Life::Starting => found.extend([Happening::Starts(place), Happening::DoesNotStart(place)]),
                Life::Running => {
                    found.push(Happening::Crashes(place));
                    if self.state(place) == Some(ChildState::Up) {
                        found.push(Happening::IsReady(place));
                    }
                    if self.plans[place].policy == Policy::Breaker {
                        found.push(Happening::FailsForGood(place));
                    }
                    if self.plans[place].restart != Restart::Permanent {
                        found.push(Happening::EndsNormally(place));
                    }
                }
                Life::Told | Life::Killed => found.push(Happening::EndsAsAsked(place)),
            }
        }
        if self.next_timer().is_some() {
            found.push(Happening::Timer);
        }
        if self.end == End::NotYet {
            found.push(Happening::Stop);
        }
        if may_ask == Operator::Spoke && self.end == End::NotYet {
            for place in 0..self.plans.len() {
                found.push(Happening::Terminate(place));
                match self.state(place) {
                    Some(ChildState::Down) => found.push(Happening::Restart(place)),
                    Some(ChildState::Waiting { .. } | ChildState::Suspended { .. }) => {
                        found.push(Happening::Resume(place));
                    }
                    _ => found.push(Happening::Suspend(place)),
                }
            }
        }
        found
    }

    pub(crate) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Starts(place) => {
                let Some((key, living)) = self.living(place) else { return };
                let epoch = living.epoch;
                if living.life == Life::Starting {
                    living.life = Life::Running;
                }
                self.feed(Input::Started { key, epoch });
            }
            Happening::DoesNotStart(place) => self.ends(place, failed(FailureKind::StartFailed, Severity::Transient)),
            Happening::IsReady(place) => {
                let Some((key, living)) = self.living(place) else { return };
                let epoch = living.epoch;
                self.feed(Input::Ready { key, epoch });
            }
            Happening::Crashes(place) => self.ends(place, failed(FailureKind::Error, Severity::Transient)),
            Happening::FailsForGood(place) => self.ends(place, failed(FailureKind::Error, Severity::Permanent)),
            Happening::EndsNormally(place) => self.ends(place, ExitReason::Normal),
            Happening::EndsAsAsked(place) => {
                let killed = self.living(place).is_some_and(|(_, living)| living.life == Life::Killed);
                self.ends(place, if killed { ExitReason::Killed } else { ExitReason::Shutdown });
            }
            Happening::Timer => self.next_timer().into_iter().for_each(|at| self.pass_time(at)),
            Happening::Terminate(place) => self.ask(Call::Terminate { id: NAMES[place].into(), only: None }),
            Happening::Restart(place) => self.ask(Call::Restart(NAMES[place].into())),
            Happening::Suspend(place) => {
                self.ask(Call::Suspend { id: NAMES[place].into(), reason: "asked".into(), until: None });
            }
            Happening::Resume(place) => self.ask(Call::Resume(NAMES[place].into())),
            Happening::Stop => {
                if self.end == End::Ended {
                    return;
                }
                self.end = End::Stopping;
                self.feed(Input::Stop);
            }
        }
    }

    /// What must hold in every state.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.end == End::Ended {
            // A child that no kill could reach is the only one that may be left.
            let left = self.alive.values().find(|(_, living)| living.life != Life::Killed);
            return left.map_or(Ok(()), |left| Err(format!("left behind: {left:?}")));
        }
        for (place, plan) in self.plans.iter().enumerate() {
            if plan.restart != Restart::Temporary && self.state(place).is_none() {
                return Err(format!("{} is lost", NAMES[place]));
            }
        }
        for (key, (place, living)) in &self.alive {
            let child = self.core.id(*key).and_then(|id| self.core.child(id.as_str()));
            let is_known = child.as_ref().is_some_and(|child| {
                let runs = !matches!(
                    child.state,
                    ChildState::Down | ChildState::Waiting { .. } | ChildState::Suspended { .. }
                );
                child.epoch == living.epoch && runs
            });
            if !is_known {
                return Err(format!("{} runs, and is known as {child:?}", NAMES[*place]));
            }
        }
        let awaits_answer = self.alive.values().any(|(_, living)| living.life != Life::Running);
        if self.core.is_busy() && !awaits_answer && self.core.next_deadline().is_none() {
            return Err("busy, and nothing to wait for".to_owned());
        }
        let idle = !self.core.is_busy() && self.core.phase() == SupervisorPhase::Running;
        if idle && self.end == End::Stopping {
            return Err("asked to stop, and does nothing".to_owned());
        }
        if idle && self.answers_due > 0 {
            return Err("a request without an answer".to_owned());
        }
        let due = self.core.next_deadline();
        for child in self.core.children().filter(|_| idle) {
            match child.state {
                ChildState::Waiting { until } if due.is_none_or(|due| due > until) => {
                    return Err(format!("{} waits, and no timer will wake it", child.id));
                }
                ChildState::Starting | ChildState::Stopping if !awaits_answer => {
                    return Err(format!("{} is {:?} of nobody", child.id, child.state));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// From here on nothing fails: what starts succeeds and becomes ready, what is asked to stop ends, timers go off.
    pub(crate) fn come_to_rest(&mut self) -> Result<(), String> {
        for _ in 0..200 {
            if self.end == End::Ended {
                return Ok(());
            }
            let next = self.alive.values().find_map(|&(place, ref living)| match living.life {
                Life::Starting => Some(Happening::Starts(place)),
                Life::Told | Life::Killed => Some(Happening::EndsAsAsked(place)),
                Life::Running => (self.state(place) == Some(ChildState::Up)).then_some(Happening::IsReady(place)),
            });
            match next {
                Some(next) => self.happen(next),
                None if self.next_timer().is_some() => self.happen(Happening::Timer),
                None => return self.check(),
            }
            self.check()?;
        }
        match self.operator {
            // A member that an operator holds down makes the trials of its group run out, one after the other.
            Operator::Spoke if self.end == End::NotYet => Ok(()),
            Operator::Spoke | Operator::Silent => Err("it does not come to rest".to_owned()),
        }
    }

    /// From here on nobody does anything but die when killed.
    pub(crate) fn only_kills_work(&mut self) -> Result<(), String> {
        for _ in 0..200 {
            if self.end == End::Ended {
                return Ok(());
            }
            let killed = self.alive.values().find(|(_, living)| living.life == Life::Killed).map(|&(place, _)| place);
            match killed {
                Some(place) => self.happen(Happening::EndsAsAsked(place)),
                None if self.next_timer().is_some() => self.happen(Happening::Timer),
                None => return Err("nobody will ever be killed".to_owned()),
            }
            self.check()?;
        }
        Err("it does not end".to_owned())
    }

    /// When all has come to rest and nobody had asked for anything: every permanent child is up.
    pub(crate) fn is_well(&self) -> Result<(), String> {
        for place in (0..self.plans.len()).filter(|&place| self.plans[place].restart == Restart::Permanent) {
            let state = self.state(place);
            if state != Some(ChildState::Ready) {
                return Err(format!("{} ends up as {state:?}", NAMES[place]));
            }
        }
        Ok(())
    }

    /// A suspension that nobody asked for shows when it ends.
    pub(crate) fn suspensions_are_due(&self) -> Result<(), String> {
        let endless = self.core.children().find(|child| {
            matches!(child.state, ChildState::Suspended { until: None, .. }) && self.operator == Operator::Silent
        });
        endless.map_or(Ok(()), |child| Err(format!("{} is suspended, nobody knows until when", child.id)))
    }

    /// Tells states apart that can behave differently from here on.
    pub(crate) fn fingerprint(&self) -> (u64, u64) {
        let (due, operator, end) = (self.answers_due, self.operator, self.end);
        let text = format!("{:?}{:?}{:?}{due:?}{operator:?}{end:?}", self.core, self.policies, self.alive);
        fingerprint::of(&text, self.now)
    }

    fn feed(&mut self, input: Input<usize>) {
        let (mut effects, mut answered) = (Vec::new(), Vec::new());
        self.core.step(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Spawn { key, epoch } => {
                    let place = *self.core.payload_mut(key).expect("a child that is to be started");
                    let twin = self.alive.values().find(|(other, _)| *other == place);
                    assert!(twin.is_none(), "{} is to run twice: {twin:?}", NAMES[place]);
                    self.alive.insert(key, (place, Living { epoch, life: Life::Starting }));
                }
                Effect::Stop { key, epoch } => self.tell(key, epoch, Life::Told),
                Effect::Kill { key, epoch } => self.tell(key, epoch, Life::Killed),
                Effect::Reply { ticket: Ticket(place), .. } => {
                    self.answers_due -= 1;
                    answered.extend(usize::try_from(place).ok());
                }
                Effect::Exit(_) => self.end = End::Ended,
                Effect::Event { .. } | Effect::Booted => {}
            }
        }
        for place in answered {
            self.suspended(place);
        }
    }

    /// A driver hears that its child is suspended. Meanwhile the policy may have changed its mind, for the child was ready and
    /// stable after all while the request waited; nobody else would resume it then.
    fn suspended(&mut self, place: usize) {
        let standing = self.policies.get(&place).map(|policy| policy.lock().expect("no panic").standing(self.now));
        if self.end == End::NotYet && standing == Some(Standing::Free) {
            self.call(OPERATOR, Call::Resume(NAMES[place].into()));
        }
    }

    fn tell(&mut self, key: Key, epoch: Epoch, life: Life) {
        let (_, living) = self.alive.get_mut(&key).expect("a stop for somebody");
        assert_eq!(living.epoch, epoch, "a stop for an older incarnation");
        living.life = life;
    }

    fn ask(&mut self, call: Call<usize>) {
        self.operator = Operator::Spoke;
        self.call(OPERATOR, call);
    }

    fn call(&mut self, ticket: Ticket, call: Call<usize>) {
        self.answers_due += 1;
        self.feed(Input::Call { ticket, call });
    }

    fn ends(&mut self, place: usize, reason: ExitReason) {
        let Some((key, living)) = self.living(place) else { return };
        let epoch = living.epoch;
        self.alive.remove(&key);
        self.feed(Input::Exited { key, epoch, reason });
    }

    fn living(&mut self, place: usize) -> Option<(Key, &mut Living)> {
        self.alive.iter_mut().find(|(_, (other, _))| *other == place).map(|(&key, (_, living))| (key, living))
    }

    fn state(&self, place: usize) -> Option<ChildState> {
        self.core.child(NAMES[place]).map(|child| child.state)
    }

    fn next_timer(&self) -> Option<Monotonic> {
        let breakers = self.policies.values().filter_map(|policy| policy.lock().expect("no panic").next_wake());
        // While it stops, nobody resumes anybody.
        let breakers = breakers.filter(|_| self.end == End::NotYet);
        breakers.chain(self.core.next_deadline()).min()
    }

    /// The machine hears of its timers, and each breaker's driver does its work.
    fn pass_time(&mut self, at: Monotonic) {
        self.now = self.now.max(at);
        self.feed(Input::Wake);
        if self.end != End::NotYet {
            return;
        }
        for (place, policy) in self.policies.clone() {
            let id = ChildId::from(NAMES[place]);
            let mut policy = policy.lock().expect("no panic");
            if policy.next_wake().is_none_or(|wake| wake > self.now) {
                continue;
            }
            let call = match policy.breaker() {
                BreakerState::Closed => None,
                BreakerState::Open { .. } => policy.half_open(self.now).ok().map(|_| (OPERATOR, Call::Resume(id))),
                BreakerState::HalfOpen { .. } => match policy.expire_trial(self.now) {
                    Some(Decision::Suspend { until, reason }) => {
                        Some((Ticket(place as u64), Call::Suspend { id, reason: reason.into(), until }))
                    }
                    // No other answer to an expired trial is known.
                    Some(_) | None => None,
                },
            };
            drop(policy);
            call.into_iter().for_each(|(ticket, call)| self.call(ticket, call));
        }
    }
}

/// Two restarts in 10 s, delays of 1 s to 4 s, open after the second restart in a row has failed.
fn a_policy() -> RestartPolicy {
    let seconds = Duration::from_secs;
    let config = RestartPolicyConfig {
        intensity: Intensity::new(2, seconds(10)),
        backoff: Backoff::new(seconds(1), seconds(4), 0.0).expect("numbers that make sense"),
        breaker: BreakerConfig {
            failure_threshold: 2,
            open_for: seconds(5),
            open_growth: 2.0,
            open_max: seconds(20),
            probation: seconds(2),
            half_open_deadline: seconds(8),
        },
        stable_after: seconds(4),
    };
    RestartPolicy::new(config, JitterSeed(0)).expect("numbers that make sense together")
}

fn failed(kind: FailureKind, severity: Severity) -> ExitReason {
    ExitReason::Failed(Failure::new(kind, severity, "failed"))
}
