//! What supervision costs: the latency of a restart and the memory of a child, beside bare ractor, and what of it is the
//! machine's.
//!
//! ```text
//! cargo run --release -p mlx-tree-supervision --example cost
//! ```
#![allow(clippy::print_stdout)]

use std::future::Future;
use std::time::{Duration, Instant};

use mlx_tree_supervision::core::{self, Config, Effect, Input, QueryOrder, Spec};
use mlx_tree_supervision::{AutoShutdown, ChildSpec, Epoch, ExitReason, Intensity, Monotonic, Strategy, Supervisor};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::mpsc;

const RESTARTS: u32 = 20_000;
const CHILDREN: usize = 50_000;

/// Reports each of its incarnations, and fails when told to.
struct Child {
    started: mpsc::UnboundedSender<ActorRef<()>>,
}

impl Actor for Child {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn post_start(&self, myself: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let _ = self.started.send(myself);
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("told to".into())
    }
}

/// The least that a supervisor can do.
struct Bare {
    started: mpsc::UnboundedSender<ActorRef<()>>,
}

impl Bare {
    async fn spawn(&self, myself: &ActorRef<()>) -> Result<(), ActorProcessingErr> {
        let child = Child { started: self.started.clone() };
        Actor::spawn_linked(None, child, (), myself.get_cell()).await?;
        Ok(())
    }
}

impl Actor for Bare {
    type Msg = ();
    type State = ();
    type Arguments = usize;

    async fn pre_start(&self, myself: ActorRef<()>, children: usize) -> Result<(), ActorProcessingErr> {
        for _ in 0..children {
            self.spawn(&myself).await?;
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(..) | SupervisionEvent::ActorTerminated(..) => self.spawn(&myself).await,
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

fn ours(children: usize, started: &mpsc::UnboundedSender<ActorRef<()>>) -> Supervisor {
    let specs = (0..children).map(|n| {
        let started = started.clone();
        ChildSpec::actor(n.to_string(), move |_| (Child { started: started.clone() }, ()))
    });
    Supervisor::one_for_one().intensity(Intensity::new(u32::MAX, Duration::from_secs(1))).children(specs)
}

/// The mean time from telling a child to fail to its next incarnation.
async fn latency(started: &mut mpsc::UnboundedReceiver<ActorRef<()>>) -> Duration {
    let mut child = started.recv().await.expect("a child");
    let begin = Instant::now();
    for _ in 0..RESTARTS {
        child.send_message(()).expect("a child that runs");
        child = started.recv().await.expect("a child");
    }
    begin.elapsed() / RESTARTS
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

async fn latencies() {
    let (sender, mut started) = mpsc::unbounded_channel();
    let (bare, _) = Actor::spawn(None, Bare { started: sender.clone() }, 1).await.expect("a supervisor");
    let floor = latency(&mut started).await;
    bare.stop_and_wait(None, None).await.expect("an end");
    let supervisor = ours(1, &sender).start().await.expect("a supervisor");
    let with = latency(&mut started).await;
    supervisor.stop().await;
    println!("restart: bare ractor {floor:?}, supervised {with:?} ({:.2}x)", with.as_secs_f64() / floor.as_secs_f64());
}

/// The memory of many children. One way in each process, since freed memory is not given back.
async fn memory(way: &str) {
    let (sender, mut started) = mpsc::unbounded_channel();
    let before = resident_kib();
    let begin = Instant::now();
    let mut refs = Vec::with_capacity(CHILDREN);
    let supervisor = match way {
        "bare" => {
            Actor::spawn(None, Bare { started: sender.clone() }, CHILDREN).await.expect("a supervisor");
            None
        }
        _ => Some(ours(CHILDREN, &sender).start().await.expect("a supervisor")),
    };
    let took = begin.elapsed();
    for _ in 0..CHILDREN {
        refs.push(started.recv().await.expect("a child"));
    }
    println!(
        "{way}: {CHILDREN} children start in {took:?}, {} bytes each",
        (resident_kib() - before) * 1024 / CHILDREN
    );
    let Some(supervisor) = supervisor else { return };
    let begin = Instant::now();
    for child in &refs[..1000] {
        child.send_message(()).expect("a child that runs");
        started.recv().await.expect("a child");
    }
    println!("{way}: a restart among them takes {:?}", begin.elapsed() / 1000);
    let begin = Instant::now();
    supervisor.stop().await;
    println!("{way}: they stop in {:?}", begin.elapsed());
}

/// What the machine alone takes for a restart, of one child after the other.
fn machine(children: usize) -> Duration {
    let config = Config {
        strategy: Strategy::OneForOne,
        intensity: Intensity::new(u32::MAX, Duration::from_secs(1)),
        auto_shutdown: AutoShutdown::Never,
        max_children: usize::MAX,
        kill_grace: Duration::from_secs(5),
        queries: QueryOrder::AtOnce,
    };
    let rules = ChildSpec::supervisor("any", |_| Supervisor::one_for_one()).rules();
    // As large as what the actor around the machine keeps with each child.
    let specs = (0..children).map(|n| Spec {
        id: n.to_string().into(),
        rules,
        policy: None,
        after: Epoch::NEVER,
        payload: [0_u64; 8],
    });
    let mut supervisor = core::Supervisor::new(config, specs.collect()).expect("specs that agree");
    let (mut effects, mut running) = (Vec::new(), Vec::with_capacity(children));
    supervisor.step(Monotonic::ORIGIN, Input::Boot, &mut effects);
    let spawned = |effects: &mut Vec<Effect>| {
        effects.drain(..).find_map(|effect| match effect {
            Effect::Spawn { key, epoch } => Some((key, epoch)),
            _ => None,
        })
    };
    while let Some((key, epoch)) = spawned(&mut effects) {
        running.push((key, epoch));
        supervisor.step(Monotonic::ORIGIN, Input::Started { key, epoch }, &mut effects);
    }
    let rounds = 10 * RESTARTS;
    let begin = Instant::now();
    for round in 0..rounds {
        let now = Monotonic::new(begin.elapsed());
        let (key, epoch) = &mut running[round as usize * 7919 % children];
        supervisor.step(now, Input::Exited { key: *key, epoch: *epoch, reason: ExitReason::Killed }, &mut effects);
        (*key, *epoch) = spawned(&mut effects).expect("a restart");
        supervisor.step(now, Input::Started { key: *key, epoch: *epoch }, &mut effects);
        effects.clear();
    }
    begin.elapsed() / rounds
}

fn run(threads: usize, what: impl Future<Output = ()> + Send + 'static) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::spawn(what).await.expect("a measurement") });
}

fn main() {
    if let Some(way) = std::env::args().nth(1) {
        return run(2, async move { memory(&way).await });
    }
    for threads in [1, 2] {
        println!("--- {threads} worker thread(s)");
        run(threads, latencies());
    }
    for children in [1, 1_000, 10_000, 100_000] {
        println!("the machine's part of a restart among {children} children: {:?}", machine(children));
    }
    for way in ["bare", "supervised"] {
        let program = std::env::current_exe().expect("a program");
        std::process::Command::new(program).arg(way).status().expect("a second process");
    }
}
