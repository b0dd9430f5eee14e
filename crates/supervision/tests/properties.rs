//! Whatever happens to the machine, in whatever order: no child is lost, none runs twice, and it comes to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mlx_tree_supervision::core::{
    Answer, Call, ChildRules, Config, Effect, Input, Key, QueryOrder, Spec, Supervisor, Ticket,
};
use mlx_tree_supervision::{
    AutoShutdown, ChildCounts, ChildId, ChildKind, ChildState, Decide, Decision, Epoch, ExitReason, Failure,
    FailureKind, Intensity, Monotonic, OnIntensityExceeded, Readiness, Restart, Severity, Shutdown, Significance,
    Strategy, SupervisorPhase,
};
use proptest::prelude::*;

const IDS: [&str; 4] = ["a", "b", "c", "d"];

/// A policy that goes round its decisions.
#[derive(Debug, Clone)]
struct Rounds {
    decisions: Vec<u8>,
    at: usize,
    second_milestone_of: u64,
}

impl Decide for Rounds {
    fn on_failure(&mut self, _: mlx_tree_policy::Failure<'_>, now: Monotonic) -> Decision {
        let decision = self.decisions[self.at % self.decisions.len()];
        self.at += 1;
        match decision {
            0..100 => Decision::Restart { after: Duration::ZERO },
            100..220 => Decision::Restart { after: Duration::from_millis(u64::from(decision) * 10) },
            220..228 => Decision::RestartGroup { after: Duration::ZERO },
            228..236 => Decision::RestartGroup { after: Duration::from_millis(u64::from(decision) * 10) },
            236..240 => Decision::Stop,
            240..250 => Decision::Suspend { until: Some(now), reason: "suspended".to_owned() },
            250.. => Decision::Escalate,
        }
    }

    fn on_ready(&mut self, _: u64, _: Monotonic) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn on_stable(&mut self, epoch: u64, _: Monotonic) -> Option<Duration> {
        let second = epoch != self.second_milestone_of;
        self.second_milestone_of = epoch;
        second.then_some(Duration::from_secs(2))
    }
}

#[derive(Debug, Clone)]
struct Plan {
    rules: ChildRules,
    policy: Option<Rounds>,
}

impl Plan {
    fn may_stop_others_or_itself(&self) -> bool {
        self.policy.iter().flat_map(|policy| &policy.decisions).any(|decision| (220..240).contains(decision))
    }
}

/// What happens next; the numbers choose among what is possible at that moment.
#[derive(Debug, Clone)]
enum Happening {
    StartSucceeds(u8),
    StartFails(u8),
    StartIsIgnored(u8),
    Ready(u8),
    Ends(u8, u8),
    /// Something about an incarnation that is no more.
    Stale(u8),
    Time(u16),
    Ask(u8, u8, Plan),
    Stop,
    KillNow,
}

/// How far an incarnation has got, as the world knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Starting,
    Up,
}

struct World {
    core: Supervisor<()>,
    now: Monotonic,
    alive: BTreeMap<Key, (Epoch, Life)>,
    /// Those that have been told to stop or killed.
    told: BTreeSet<Key>,
    past: Vec<(Key, Epoch)>,
    asked: BTreeSet<u64>,
    next_ticket: u64,
    /// Children that may rest for another reason than that they were forgotten.
    excused: BTreeSet<ChildId>,
    /// Some child may be stopped by its policy, or take all others with it, so any may rest.
    all_excused: bool,
    exited: bool,
}

impl World {
    fn new(config: Config, plans: &[Plan]) -> Option<Self> {
        let specs = plans.iter().zip(IDS).map(|(plan, id)| spec(id, plan)).collect();
        let core = Supervisor::new(config, specs).ok()?;
        let mut world = Self {
            core,
            now: Monotonic::ORIGIN,
            alive: BTreeMap::new(),
            told: BTreeSet::new(),
            past: Vec::new(),
            asked: BTreeSet::new(),
            next_ticket: 0,
            excused: BTreeSet::new(),
            all_excused: plans.iter().any(Plan::may_stop_others_or_itself),
            exited: false,
        };
        world.feed(Input::Boot);
        Some(world)
    }

    fn feed(&mut self, input: Input<()>) {
        let mut effects = Vec::new();
        self.core.step(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Spawn { key, epoch } => {
                    let other = self.alive.insert(key, (epoch, Life::Starting));
                    assert!(other.is_none(), "two incarnations of {:?}: {other:?} and {epoch}", self.core.id(key));
                }
                Effect::Stop { key, epoch } | Effect::Kill { key, epoch } => {
                    assert_eq!(self.alive.get(&key).map(|(epoch, _)| *epoch), Some(epoch), "a stop for nobody");
                    self.told.insert(key);
                }
                Effect::Reply { ticket, answer } => {
                    assert!(self.asked.remove(&ticket.0), "an answer that nobody waits for: {answer:?}");
                }
                Effect::Exit(_) => self.exited = true,
                Effect::Event { .. } | Effect::Booted => {}
            }
        }
        self.check();
    }

    fn check(&self) {
        if self.exited {
            // It hears nothing any more, and a child that no kill reached may still run.
            return;
        }
        let children: Vec<_> = self.core.children().collect();
        let mut counts = ChildCounts { specs: children.len(), ..ChildCounts::default() };
        for child in &children {
            match child.kind {
                ChildKind::Worker => counts.workers += 1,
                ChildKind::Supervisor => counts.supervisors += 1,
            }
        }
        counts.active = self.core.counts().active;
        assert_eq!(self.core.counts(), counts);
        assert!(counts.active <= self.alive.len());
        for (&key, &(epoch, _)) in &self.alive {
            let id = self.core.id(key).unwrap_or_else(|| panic!("{key:?} runs and is not known"));
            let child = self.core.child(id.as_str()).expect("a child that is known by its key");
            assert_eq!(child.epoch, epoch, "{id} runs in an older incarnation");
            assert!(
                !matches!(child.state, ChildState::Down | ChildState::Waiting { .. } | ChildState::Suspended { .. }),
                "{id} runs while it is said to be {:?}",
                child.state
            );
        }
        for (child, other) in children.iter().zip(children.iter().skip(1)) {
            assert_ne!(child.id, other.id);
        }
    }

    fn pick(&self, choice: u8, wanted: &[Life]) -> Option<(Key, Epoch)> {
        let fitting: Vec<_> = self.alive.iter().filter(|(_, (_, life))| wanted.contains(life)).collect();
        let &(&key, &(epoch, _)) = fitting.get(usize::from(choice) % fitting.len().max(1))?;
        Some((key, epoch))
    }

    fn end(&mut self, key: Key, epoch: Epoch, reason: ExitReason) {
        self.alive.remove(&key);
        self.told.remove(&key);
        self.past.push((key, epoch));
        self.feed(Input::Exited { key, epoch, reason });
    }

    fn start_succeeds(&mut self, key: Key, epoch: Epoch) {
        self.alive.insert(key, (epoch, Life::Up));
        self.feed(Input::Started { key, epoch });
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::StartSucceeds(choice) => {
                if let Some((key, epoch)) = self.pick(*choice, &[Life::Starting]) {
                    self.start_succeeds(key, epoch);
                }
            }
            Happening::StartFails(choice) => {
                if let Some((key, epoch)) = self.pick(*choice, &[Life::Starting]) {
                    self.excuse(key);
                    self.end(key, epoch, failed(FailureKind::StartFailed));
                }
            }
            Happening::StartIsIgnored(choice) => {
                if let Some((key, epoch)) = self.pick(*choice, &[Life::Starting]) {
                    self.excuse(key);
                    self.alive.remove(&key);
                    self.told.remove(&key);
                    self.feed(Input::Ignored { key, epoch });
                }
            }
            Happening::Ready(choice) => {
                if let Some((key, epoch)) = self.pick(*choice, &[Life::Starting, Life::Up]) {
                    self.feed(Input::Ready { key, epoch });
                }
            }
            Happening::Ends(choice, how) => {
                if let Some((key, epoch)) = self.pick(*choice, &[Life::Up]) {
                    let reason = match how % 5 {
                        0 => ExitReason::Normal,
                        1 => ExitReason::Shutdown,
                        2 => ExitReason::Killed,
                        _ => failed(FailureKind::Error),
                    };
                    self.end(key, epoch, reason);
                }
            }
            Happening::Stale(choice) => {
                if let Some(&(key, epoch)) = self.past.get(usize::from(*choice) % self.past.len().max(1)) {
                    self.feed(Input::Started { key, epoch });
                    self.feed(Input::Ready { key, epoch });
                    self.feed(Input::Ignored { key, epoch });
                    self.feed(Input::Exited { key, epoch, reason: ExitReason::Killed });
                }
            }
            Happening::Time(millis) => {
                self.now = self.now + Duration::from_millis(u64::from(*millis));
                self.feed(Input::Wake);
            }
            Happening::Ask(what, whom, plan) => self.ask(*what, IDS[usize::from(*whom) % IDS.len()], plan),
            Happening::Stop => self.feed(Input::Stop),
            Happening::KillNow => {
                self.asked.clear();
                self.feed(Input::KillNow);
            }
        }
    }

    fn excuse(&mut self, key: Key) {
        if let Some(id) = self.core.id(key) {
            self.excused.insert(id.clone());
        }
    }

    fn ask(&mut self, what: u8, whom: &str, plan: &Plan) {
        let id = ChildId::from(whom);
        self.all_excused |= plan.may_stop_others_or_itself();
        let call = match what % 9 {
            0 => Call::Start(Box::new(spec(whom, plan))),
            1 => Call::Terminate { id, only: None },
            2 => Call::Restart(id),
            3 => Call::Delete(id),
            4 => Call::Resume(id),
            5 => Call::Suspend { id, reason: "asked".into(), until: None },
            6 => Call::Which,
            7 => Call::Count,
            _ => Call::Terminate { id, only: Some(Epoch::new(1)) },
        };
        if !matches!(call, Call::Which | Call::Count) {
            self.excused.insert(ChildId::from(whom));
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.asked.insert(ticket);
        self.feed(Input::Call { ticket: Ticket(ticket), call });
    }

    /// From here on all goes well: what starts succeeds, what is asked to stop ends, and time passes.
    fn come_to_rest(&mut self) {
        for _ in 0..10_000 {
            if self.exited {
                return;
            }
            let starting = self.pick(0, &[Life::Starting]);
            let leaving = self.alive.iter().find(|(key, _)| self.told.contains(key));
            if let Some((key, (epoch, _))) = leaving.map(|(&key, &life)| (key, life)) {
                self.end(key, epoch, ExitReason::Shutdown);
            } else if let Some((key, epoch)) = starting {
                self.start_succeeds(key, epoch);
                self.feed(Input::Ready { key, epoch });
            } else if let Some(deadline) = self.core.next_deadline() {
                self.now = self.now.max(deadline);
                self.feed(Input::Wake);
            } else {
                assert!(!self.core.is_busy(), "busy, and nothing to wait for");
                return;
            }
            // A child that was up but not ready in time would be stopped for ever; here it becomes ready.
            for (key, (epoch, _)) in self.alive.clone() {
                self.feed(Input::Ready { key, epoch });
            }
        }
        panic!("it does not come to rest");
    }
}

fn spec(id: &str, plan: &Plan) -> Spec<()> {
    let policy = plan.policy.clone().map(|policy| Box::new(policy) as Box<dyn Decide>);
    Spec { id: id.into(), rules: plan.rules, policy, after: Epoch::NEVER, payload: () }
}

fn failed(kind: FailureKind) -> ExitReason {
    ExitReason::Failed(Failure::new(kind, Severity::Transient, "failed"))
}

fn a_plan() -> impl Strategy_<Value = Plan> {
    let restart = prop_oneof![Just(Restart::Permanent), Just(Restart::Transient), Just(Restart::Temporary)];
    let shutdown = prop_oneof![
        Just(Shutdown::Timeout(Duration::from_millis(500))),
        Just(Shutdown::Infinity),
        Just(Shutdown::Kill),
        Just(Shutdown::Timeout(Duration::ZERO)),
    ];
    let kind = prop_oneof![Just(ChildKind::Worker), Just(ChildKind::Supervisor)];
    let readiness = prop_oneof![
        2 => Just(Readiness::Started),
        1 => Just(Readiness::Explicit { start_timeout: Duration::from_millis(700) }),
    ];
    let exceeded = prop_oneof![Just(OnIntensityExceeded::Escalate), Just(OnIntensityExceeded::Suspend)];
    let policy = proptest::option::of(proptest::collection::vec(any::<u8>(), 1..6));
    (restart, shutdown, kind, readiness, exceeded, policy, any::<bool>()).prop_map(
        |(restart, shutdown, kind, readiness, on_intensity_exceeded, policy, significant)| {
            let significance = if significant && restart != Restart::Permanent {
                Significance::Significant
            } else {
                Significance::Ordinary
            };
            let rules = ChildRules { restart, shutdown, kind, significance, readiness, on_intensity_exceeded };
            Plan { rules, policy: policy.map(|decisions| Rounds { decisions, at: 0, second_milestone_of: 0 }) }
        },
    )
}

fn a_happening() -> impl Strategy_<Value = Happening> {
    prop_oneof![
        8 => any::<u8>().prop_map(Happening::StartSucceeds),
        2 => any::<u8>().prop_map(Happening::StartFails),
        1 => any::<u8>().prop_map(Happening::StartIsIgnored),
        2 => any::<u8>().prop_map(Happening::Ready),
        6 => (any::<u8>(), any::<u8>()).prop_map(|(choice, how)| Happening::Ends(choice, how)),
        1 => any::<u8>().prop_map(Happening::Stale),
        4 => (0_u16..3000).prop_map(Happening::Time),
        // Long enough that a kill without effect leaves a child stuck.
        1 => (5000_u16..7000).prop_map(Happening::Time),
        4 => (any::<u8>(), any::<u8>(), a_plan()).prop_map(|(what, whom, plan)| Happening::Ask(what, whom, plan)),
    ]
}

fn a_config() -> impl Strategy_<Value = Config> {
    let strategy = prop_oneof![
        Just(Strategy::OneForOne),
        Just(Strategy::OneForAll),
        Just(Strategy::RestForOne),
        Just(Strategy::Dynamic)
    ];
    let auto_shutdown =
        prop_oneof![Just(AutoShutdown::Never), Just(AutoShutdown::AnySignificant), Just(AutoShutdown::AllSignificant)];
    let queries = prop_oneof![Just(QueryOrder::AtOnce), Just(QueryOrder::InTurn)];
    (strategy, auto_shutdown, queries, prop_oneof![0_u32..4, Just(1000)], 1_u64..4, 1_usize..6).prop_map(
        |(strategy, auto_shutdown, queries, max_restarts, period, max_children)| Config {
            strategy,
            intensity: Intensity::new(max_restarts, Duration::from_secs(period)),
            auto_shutdown,
            max_children,
            kill_grace: Duration::from_secs(2),
            queries,
        },
    )
}

use proptest::strategy::Strategy as Strategy_;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_child_is_lost_none_runs_twice_and_all_comes_to_rest(
        config in a_config(),
        plans in proptest::collection::vec(a_plan(), 0..4),
        happenings in proptest::collection::vec(a_happening(), 0..60),
        end in prop_oneof![Just(Happening::Stop), Just(Happening::KillNow)],
    ) {
        let Some(mut world) = World::new(config, &plans) else { return Ok(()) };
        for happening in &happenings {
            world.happen(happening);
        }
        world.come_to_rest();
        if !world.exited {
            prop_assert!(world.asked.is_empty(), "calls without an answer: {:?}", world.asked);
            prop_assert_eq!(world.core.phase(), SupervisorPhase::Running);
            for child in world.core.children() {
                let is_settled = matches!(
                    child.state,
                    ChildState::Ready | ChildState::Up | ChildState::Down | ChildState::Suspended { .. }
                );
                prop_assert!(is_settled, "{} rests as {:?}", child.id, child.state);
                // Only one for one: in a group, a sibling can have been the reason.
                if config.strategy == Strategy::OneForOne && !world.all_excused && child.state == ChildState::Down {
                    prop_assert!(
                        world.excused.contains(&child.id) || child.restart != Restart::Permanent,
                        "{} was forgotten", child.id
                    );
                }
            }
        }
        world.happen(&end);
        world.come_to_rest();
        prop_assert!(world.exited, "it does not end");
        // Only a child that no kill reached in time can be left behind.
        prop_assert!(world.alive.keys().all(|key| world.told.contains(key)), "left behind: {:?}", world.alive);
    }

    #[test]
    fn a_stop_at_any_moment_ends_everything(
        config in a_config(),
        plans in proptest::collection::vec(a_plan(), 0..4),
        happenings in proptest::collection::vec(a_happening(), 0..30),
        after in proptest::collection::vec(a_happening(), 0..30),
        end in prop_oneof![Just(Happening::Stop), Just(Happening::KillNow)],
    ) {
        let Some(mut world) = World::new(config, &plans) else { return Ok(()) };
        for happening in happenings.iter().chain([&end]).chain(&after) {
            world.happen(happening);
        }
        world.come_to_rest();
        prop_assert!(world.exited, "it does not end");
    }
}

#[test]
fn a_stuck_temporary_child_does_not_keep_its_group_down() {
    let plan = |restart, shutdown| Plan {
        rules: ChildRules {
            restart,
            shutdown,
            kind: ChildKind::Worker,
            significance: Significance::Ordinary,
            readiness: Readiness::Started,
            on_intensity_exceeded: OnIntensityExceeded::Escalate,
        },
        policy: None,
    };
    let config = Config {
        strategy: Strategy::OneForAll,
        intensity: Intensity::new(1, Duration::from_secs(1)),
        auto_shutdown: AutoShutdown::Never,
        max_children: usize::MAX,
        kill_grace: Duration::from_secs(2),
        queries: QueryOrder::AtOnce,
    };
    let plans = [plan(Restart::Temporary, Shutdown::Kill), plan(Restart::Permanent, Shutdown::Kill)];
    let mut world = World::new(config, &plans).unwrap();
    let happenings = [
        Happening::StartSucceeds(0),
        Happening::StartSucceeds(0),
        Happening::Ends(1, 3),
        // The kill of the temporary child has no effect.
        Happening::Time(2000),
        Happening::StartSucceeds(0),
    ];
    for happening in &happenings {
        world.happen(happening);
    }
    assert_eq!(world.core.child("a").unwrap().state, ChildState::Stuck);
    assert_eq!(world.core.child("b").unwrap().state, ChildState::Ready);
}

#[test]
fn queries_are_answered_while_an_operation_is_in_progress() {
    let rules = ChildRules {
        restart: Restart::Permanent,
        shutdown: Shutdown::Infinity,
        kind: ChildKind::Worker,
        significance: Significance::Ordinary,
        readiness: Readiness::Started,
        on_intensity_exceeded: OnIntensityExceeded::Escalate,
    };
    let config = Config {
        strategy: Strategy::OneForOne,
        intensity: Intensity::default(),
        auto_shutdown: AutoShutdown::Never,
        max_children: usize::MAX,
        kill_grace: Duration::from_secs(5),
        queries: QueryOrder::AtOnce,
    };
    let mut core = Supervisor::new(config, vec![spec("a", &Plan { rules, policy: None })]).unwrap();
    let mut effects = Vec::new();
    core.step(Monotonic::ORIGIN, Input::Boot, &mut effects);
    assert!(core.is_busy());
    effects.clear();
    core.step(Monotonic::ORIGIN, Input::Call { ticket: Ticket(7), call: Call::Count }, &mut effects);
    assert!(matches!(effects[..], [Effect::Reply { ticket: Ticket(7), answer: Answer::Counts(_) }]), "{effects:?}");
}
