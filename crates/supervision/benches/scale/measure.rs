//! One run: a supervisor with its children, in this process.

use std::time::{Duration, Instant};

use mlx_tree_supervision::{ChildContext, ChildSpec, Intensity, Supervisor, SupervisorHandle};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::mpsc;

use super::{LATENCIES, Way};

/// Which child is up, and its actor.
type News = (usize, ActorRef<()>);

/// Reports each of its incarnations.
struct Child {
    number: usize,
    up: mpsc::UnboundedSender<News>,
}

/// The least that a supervisor can do: it knows which child an actor is, and spawns another one.
struct Bare {
    up: mpsc::UnboundedSender<News>,
}

enum Supervising {
    Bare(ActorRef<()>),
    Ours(SupervisorHandle),
}

// === impl Child ===

impl Actor for Child {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn post_start(&self, myself: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let _ = self.up.send((self.number, myself));
        Ok(())
    }
}

// === impl Bare ===

type Known = std::collections::HashMap<ractor::ActorId, usize>;

impl Bare {
    async fn spawn(&self, number: usize, myself: &ActorRef<()>, known: &mut Known) -> Result<(), ActorProcessingErr> {
        let child = Child { number, up: self.up.clone() };
        let (actor, _) = Actor::spawn_linked(None, child, (), myself.get_cell()).await?;
        known.insert(actor.get_id(), number);
        Ok(())
    }
}

impl Actor for Bare {
    type Msg = ();
    type State = Known;
    type Arguments = usize;

    async fn pre_start(&self, myself: ActorRef<()>, children: usize) -> Result<Known, ActorProcessingErr> {
        let mut known = Known::new();
        for number in 0..children {
            self.spawn(number, &myself, &mut known).await?;
        }
        Ok(known)
    }

    /// Stops all at once.
    async fn handle(&self, myself: ActorRef<()>, (): (), _: &mut Known) -> Result<(), ActorProcessingErr> {
        myself.stop_children_and_wait(None, None).await;
        myself.stop(None);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        known: &mut Known,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, _) | SupervisionEvent::ActorTerminated(cell, ..) => {
                match known.remove(&cell.get_id()) {
                    Some(number) => self.spawn(number, &myself, known).await,
                    None => Ok(()),
                }
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

// === impl Supervising ===

impl Supervising {
    async fn start(way: Way, children: usize, up: &mpsc::UnboundedSender<News>) -> Self {
        let spec = |number: usize| {
            let up = up.clone();
            ChildSpec::actor(number.to_string(), move |_: ChildContext| (Child { number, up: up.clone() }, ()))
        };
        let unlimited = Intensity::new(u32::MAX, Duration::from_secs(1));
        match way {
            Way::OursStatic => {
                let supervisor = Supervisor::one_for_one().intensity(unlimited).children((0..children).map(spec));
                Self::Ours(supervisor.start().await.expect("a supervisor"))
            }
            Way::OursDynamic => {
                let supervisor = Supervisor::dynamic().intensity(unlimited).start().await.expect("a supervisor");
                for number in 0..children {
                    supervisor.start_child(spec(number)).await.expect("a child");
                }
                Self::Ours(supervisor)
            }
            Way::Bare | Way::OtpStatic | Way::OtpDynamic => {
                let (actor, _) = Actor::spawn(None, Bare { up: up.clone() }, children).await.expect("a supervisor");
                Self::Bare(actor)
            }
        }
    }

    async fn stop(self) {
        match self {
            Self::Bare(actor) => {
                actor.send_message(()).expect("a supervisor that runs");
                actor.wait(None).await.expect("an end");
            }
            Self::Ours(handle) => {
                handle.stop().await;
            }
        }
    }
}

/// Measures, and prints a line for each finding.
pub(super) fn run(way: Way, children: usize, threads: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime");
    runtime.block_on(measure(way, children));
}

async fn measure(way: Way, children: usize) {
    let (sender, mut up) = mpsc::unbounded_channel();
    let mut actors: Vec<Option<ActorRef<()>>> = vec![None; children];
    let before = resident_bytes();
    let begin = Instant::now();
    // In a worker, as the bare supervisor's own spawns are.
    let supervising = tokio::spawn(async move { Supervising::start(way, children, &sender).await });
    let supervising = supervising.await.expect("a start");
    hear(&mut up, children, &mut actors).await;
    say("start_us", begin.elapsed().as_secs_f64() * 1e6 / children as f64);
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        say("bytes", after.saturating_sub(before) as f64 / children as f64);
    }

    let mut latencies = Vec::with_capacity(LATENCIES);
    for n in 0..LATENCIES {
        let begin = Instant::now();
        kill(&actors, n * 7919 % children);
        hear(&mut up, 1, &mut actors).await;
        latencies.push(begin.elapsed());
    }
    latencies.sort();
    for (name, at) in [("restart_p50_us", LATENCIES / 2), ("restart_p99_us", LATENCIES * 99 / 100)] {
        say(name, latencies[at].as_secs_f64() * 1e6);
    }

    for many in [1_000, 10_000].into_iter().filter(|&many| many < children).chain([children]) {
        let begin = Instant::now();
        (0..many).for_each(|number| kill(&actors, number));
        hear(&mut up, many, &mut actors).await;
        say(&format!("kill_{many}_ms"), begin.elapsed().as_secs_f64() * 1e3);
    }

    let begin = Instant::now();
    supervising.stop().await;
    say("stop_ms", begin.elapsed().as_secs_f64() * 1e3);
}

fn kill(actors: &[Option<ActorRef<()>>], number: usize) {
    actors[number].as_ref().expect("a child that is up").kill();
}

/// Waits for so many children.
async fn hear(up: &mut mpsc::UnboundedReceiver<News>, many: usize, actors: &mut [Option<ActorRef<()>>]) {
    for _ in 0..many {
        let (number, actor) = up.recv().await.expect("a child");
        actors[number] = Some(actor);
    }
}

fn say(name: &str, value: f64) {
    println!("{name} {value:.3}");
}

/// `None` where there is no `/proc`.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
