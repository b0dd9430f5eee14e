//! Real actors on real threads, ended in every way at once: whatever comes of it, no incarnation runs beside another, and a
//! stop ends them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mlx_tree_supervision::{
    ChildContext, ChildSpec, Intensity, Readiness, Restart, Shutdown, Slot, Strategy, Supervisor, SupervisorExit,
};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus};

const CHILDREN: usize = 8;

/// How often an incarnation has been seen beside another one, and how many there were.
#[derive(Default)]
struct Tally {
    running: [AtomicU32; CHILDREN],
    together: AtomicU32,
    incarnations: AtomicU32,
}

/// Ends in the way that it is told.
struct Victim {
    number: usize,
    tally: Arc<Tally>,
    context: ChildContext,
}

/// Counts an incarnation for as long as its state lives.
struct Present(usize, Arc<Tally>);

impl Present {
    fn new(number: usize, tally: &Arc<Tally>) -> Self {
        tally.incarnations.fetch_add(1, Ordering::SeqCst);
        if tally.running[number].fetch_add(1, Ordering::SeqCst) > 0 {
            tally.together.fetch_add(1, Ordering::SeqCst);
        }
        Self(number, tally.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.1.running[self.0].fetch_sub(1, Ordering::SeqCst);
    }
}

impl Actor for Victim {
    type Msg = u32;
    type State = Option<Present>;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<u32>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        tokio::task::yield_now().await;
        let nth = self.context.epoch().get();
        if nth > 1 && nth.is_multiple_of(7) {
            return Err("every seventh does not start".into());
        }
        self.context.ready();
        Ok(Some(Present::new(self.number, &self.tally)))
    }

    async fn handle(
        &self,
        myself: ActorRef<u32>,
        how: u32,
        present: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        // ractor may tell the supervisor of an end before it drops the state, so the child itself ends its presence.
        present.take();
        match how % 4 {
            0 => Err("told to fail".into()),
            1 => panic!("told to panic"),
            2 => {
                myself.stop(None);
                Ok(())
            }
            _ => {
                myself.kill();
                std::future::pending().await
            }
        }
    }

    async fn post_stop(&self, _: ActorRef<u32>, present: &mut Self::State) -> Result<(), ActorProcessingErr> {
        tokio::task::yield_now().await;
        present.take();
        Ok(())
    }
}

async fn chaos(strategy: Strategy, seed: u32) {
    let tally = Arc::new(Tally::default());
    let slots: Vec<Slot<u32>> = (0..CHILDREN).map(|_| Slot::new()).collect();
    let mut supervisor = Supervisor::new(strategy).intensity(Intensity::new(u32::MAX, Duration::from_secs(1)));
    for (number, slot) in slots.iter().enumerate() {
        let tally = tally.clone();
        let spec = ChildSpec::actor_in(slot, number.to_string(), move |context| {
            (Victim { number, tally: tally.clone(), context }, ())
        });
        let readiness = if number.is_multiple_of(2) {
            Readiness::Started
        } else {
            Readiness::Explicit { start_timeout: Duration::from_secs(60) }
        };
        supervisor = supervisor.child(
            spec.restart(Restart::Permanent).readiness(readiness).shutdown(Shutdown::Timeout(Duration::from_secs(60))),
        );
    }
    let supervisor = supervisor.start().await.unwrap();

    let mut seen: Vec<ActorCell> = Vec::new();
    let mut chance = seed;
    for _ in 0..300 {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = (chance >> 8) as usize % CHILDREN;
        if let Some(actor) = slots[number].actor() {
            seen.push(actor.get_cell());
            let _ = actor.send_message(chance >> 16);
        }
        match (chance >> 24) % 16 {
            0 => {
                let _ = supervisor.terminate_child(number.to_string()).await;
                let _ = supervisor.restart_child(number.to_string()).await;
            }
            1 => {
                let _ = supervisor.suspend_child(number.to_string(), "chaos").await;
                let _ = supervisor.resume_child(number.to_string()).await;
            }
            2 => {
                let _ = supervisor.count_children().await;
            }
            _ => tokio::task::yield_now().await,
        }
    }
    let exit = tokio::time::timeout(Duration::from_secs(60), supervisor.stop()).await.expect("it stops");
    assert!(matches!(exit, SupervisorExit::Stopped), "{exit}");
    assert!(tally.incarnations.load(Ordering::SeqCst) > 20, "something happened");
    for cell in &seen {
        cell.wait(Some(Duration::from_secs(10))).await.expect("nothing is left behind");
        assert_eq!(cell.get_status(), ActorStatus::Stopped);
    }
    assert!(supervisor.status().borrow().children.iter().all(|child| child.state.as_str() == "down"));
    let together = tally.together.load(Ordering::SeqCst);
    assert_eq!(together, 0, "{together} of {} ran beside another", tally.incarnations.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_for_one_survives_chaos() {
    chaos(Strategy::OneForOne, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_for_all_survives_chaos() {
    chaos(Strategy::OneForAll, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rest_for_one_survives_chaos() {
    chaos(Strategy::RestForOne, 3).await;
}
