//! A child that can always be spoken to: what becomes of messages while it is down. On a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mlx_tree_supervision::{
    BackoffPolicy, ChildContext, ChildSpec, Decide, ExitRules, JitterSeed, Monotonic, Reset, Restart, RestartMode,
    Sent, Slot, Stable, StableError, Supervisor, SupervisorHandle, Unavailable, Undelivered,
};
use proptest::prelude::*;
use ractor::{Actor, ActorProcessingErr, ActorRef};

const S: fn(u64) -> Duration = Duration::from_secs;

/// Notes what it hears, and with which incarnation it did.
struct Listener {
    heard: Heard,
    epoch: u64,
    policy: Option<Arc<Mutex<BackoffPolicy>>>,
    /// How long it takes to end when it is asked to.
    lingers: Duration,
}

type Heard = Arc<Mutex<Vec<(u64, u32)>>>;

#[derive(Debug, PartialEq, Eq)]
enum Say {
    Word(u32),
    Crash,
    End,
    /// Akka's manual reset: the child says that all is well.
    AllIsWell,
}

impl Actor for Listener {
    type Msg = Say;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Say>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<Say>, message: Say, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match message {
            Say::Word(word) => self.heard.lock().unwrap().push((self.epoch, word)),
            Say::Crash => return Err("crash".into()),
            Say::End => myself.stop(None),
            Say::AllIsWell => {
                if let Some(policy) = &self.policy {
                    policy.lock().unwrap().reset();
                }
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Say>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        tokio::time::sleep(self.lingers).await;
        Ok(())
    }
}

/// One listener that waits so long before each restart.
struct Scene {
    supervisor: SupervisorHandle,
    slot: Slot<Say>,
    heard: Heard,
}

impl Scene {
    async fn with(policy: impl Decide, restart: Restart) -> Self {
        Self::lingering(S(0), policy, restart).await
    }

    async fn lingering(lingers: Duration, policy: impl Decide, restart: Restart) -> Self {
        let (slot, heard) = (Slot::new(), Heard::default());
        let noted = heard.clone();
        let child = ChildSpec::actor_in(&slot, "listener", move |context: ChildContext| {
            (Listener { heard: noted.clone(), epoch: context.epoch().get(), policy: None, lingers }, ())
        });
        let supervisor = Supervisor::one_for_one().child(child.policy(policy).restart(restart)).start().await.unwrap();
        Self { supervisor, slot, heard }
    }

    async fn backing_off(delay: Duration) -> Self {
        Self::with(BackoffPolicy::new(delay, Reset::Manual, JitterSeed(1)), Restart::Permanent).await
    }

    async fn stable(&self, stash: usize) -> Stable<Say> {
        Stable::with_stash(&self.supervisor, &self.slot, "listener", stash).await.unwrap()
    }

    fn heard(&self) -> Vec<(u64, u32)> {
        self.heard.lock().unwrap().clone()
    }
}

/// Lets everything that is due now happen.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn words(words: impl IntoIterator<Item = u32>) -> impl Iterator<Item = Say> {
    words.into_iter().map(Say::Word)
}

#[tokio::test(start_paused = true)]
async fn while_it_backs_off_a_message_is_given_back_with_the_time_to_try_again() {
    let scene = Scene::backing_off(S(30)).await;
    let listener = scene.stable(0).await;
    assert!(matches!(listener.send(Say::Word(1)), Ok(Sent::Delivered(epoch)) if epoch.get() == 1));
    assert_eq!(listener.unavailable(), None);
    tokio::time::sleep(S(10)).await;
    listener.send(Say::Crash).unwrap();
    tokio::time::sleep(S(12)).await;
    let why = Unavailable::BackingOff { until: Monotonic::new(S(40)), retry_after: S(18) };
    assert_eq!(listener.unavailable(), Some(why.clone()));
    let undelivered = listener.send(Say::Word(2)).unwrap_err();
    assert_eq!(undelivered, Undelivered { message: Say::Word(2), why });
    tokio::time::sleep(S(19)).await;
    listener.send(undelivered.message).unwrap();
    a_moment().await;
    assert_eq!(scene.heard(), [(1, 1), (2, 2)]);
    scene.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_stashed_reaches_the_next_incarnation_in_order_and_before_what_comes_later() {
    let scene = Scene::backing_off(S(30)).await;
    let listener = scene.stable(3).await;
    listener.send(Say::Crash).unwrap();
    a_moment().await;
    for word in words(1..=3) {
        assert_eq!(listener.send(word), Ok(Sent::Stashed));
    }
    // The fourth is one too many, and not lost.
    assert!(matches!(listener.send(Say::Word(4)), Err(Undelivered { message: Say::Word(4), .. })));
    assert_eq!(listener.stashed(), 3);
    scene.slot.watch().wait_for(Option::is_some).await.unwrap();
    // Whether or not the stash has been delivered by now, this comes after it.
    assert!(matches!(listener.send(Say::Word(5)), Ok(Sent::Delivered(_))));
    a_moment().await;
    assert_eq!(scene.heard(), [(2, 1), (2, 2), (2, 3), (2, 5)]);
    assert_eq!(listener.stashed(), 0);
    scene.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_stash_is_delivered_without_anybody_sending_more() {
    let scene = Scene::backing_off(S(30)).await;
    let listener = scene.stable(3).await;
    listener.send(Say::Crash).unwrap();
    a_moment().await;
    listener.clone().send(Say::Word(1)).unwrap();
    tokio::time::sleep(S(31)).await;
    assert_eq!(scene.heard(), [(2, 1)]);
    scene.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stash_outlives_a_suspension_and_can_be_taken_back() {
    let rules = ExitRules::new(RestartMode::No);
    let scene =
        Scene::with(BackoffPolicy::new(S(1), Reset::Manual, JitterSeed(1)).with_exit_rules(rules), Restart::Permanent)
            .await;
    let listener = scene.stable(3).await;
    listener.send(Say::Crash).unwrap();
    a_moment().await;
    assert!(matches!(listener.unavailable(), Some(Unavailable::Suspended { retry_after: None, .. })));
    for word in words(1..=2) {
        assert_eq!(listener.send(word), Ok(Sent::Stashed));
    }
    assert_eq!(listener.take_stash(), [Say::Word(1), Say::Word(2)]);
    listener.send(Say::Word(3)).unwrap();
    scene.supervisor.resume_child("listener").await.unwrap();
    a_moment().await;
    assert_eq!(scene.heard(), [(2, 3)]);
    scene.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_takes_its_time_to_end_is_given_no_more_messages() {
    let policy = BackoffPolicy::new(S(1), Reset::Manual, JitterSeed(1));
    let scene = Scene::lingering(S(4), policy, Restart::Permanent).await;
    let listener = scene.stable(2).await;
    let supervisor = scene.supervisor.clone();
    let suspended = tokio::spawn(async move { supervisor.suspend_child("listener", "maintenance").await });
    tokio::time::sleep(S(1)).await;
    for word in words(1..=2) {
        assert_eq!(listener.send(word), Ok(Sent::Stashed));
    }
    assert!(matches!(listener.send(Say::Word(3)), Err(Undelivered { why: Unavailable::Stopping, .. })));
    suspended.await.unwrap().unwrap();
    scene.supervisor.resume_child("listener").await.unwrap();
    a_moment().await;
    assert_eq!(scene.heard(), [(2, 1), (2, 2)]);
    scene.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_a_child_that_is_done() {
    let scene = Scene::with(BackoffPolicy::new(S(1), Reset::Manual, JitterSeed(1)), Restart::Transient).await;
    let listener = scene.stable(3).await;
    listener.send(Say::End).unwrap();
    a_moment().await;
    assert_eq!(listener.send(Say::Word(1)), Err(Undelivered { message: Say::Word(1), why: Unavailable::Down }));
    scene.supervisor.stop().await;
    assert_eq!(listener.unavailable(), Some(Unavailable::Gone));
    assert!(matches!(listener.send(Say::Word(2)), Err(Undelivered { why: Unavailable::Gone, .. })));
}

#[tokio::test(start_paused = true)]
async fn there_is_no_address_of_a_child_that_is_not_there() {
    let scene = Scene::backing_off(S(1)).await;
    let unknown = Stable::new(&scene.supervisor, &scene.slot, "nobody").await.unwrap_err();
    assert_eq!(unknown, StableError::NoSuchChild("nobody".into()));
    scene.supervisor.stop().await;
    let gone = Stable::new(&scene.supervisor, &scene.slot, "listener").await.unwrap_err();
    assert_eq!(gone, StableError::SupervisorGone);
}

#[tokio::test(start_paused = true)]
async fn the_time_to_try_again_is_right_on_a_clock_with_another_origin() {
    let (slot, heard) = (Slot::new(), Heard::default());
    let child = ChildSpec::actor_in(&slot, "listener", move |context: ChildContext| {
        (Listener { heard: heard.clone(), epoch: context.epoch().get(), policy: None, lingers: S(0) }, ())
    });
    let supervisor = Supervisor::one_for_one()
        .clock_starts_at(Monotonic::new(S(1_000_000)))
        .child(child.policy(BackoffPolicy::new(S(30), Reset::Manual, JitterSeed(1))))
        .start()
        .await
        .unwrap();
    let listener = Stable::new(&supervisor, &slot, "listener").await.unwrap();
    listener.send(Say::Crash).unwrap();
    tokio::time::sleep(S(10)).await;
    assert_eq!(listener.unavailable().unwrap().retry_after(), Some(S(20)));
    supervisor.stop().await;
}

/// Akka's `withManualReset`: the child itself tells its policy that all is well.
#[tokio::test(start_paused = true)]
async fn a_child_can_reset_its_own_backoff() {
    let policy = BackoffPolicy::new(mlx_tree_supervision::Backoff::default(), Reset::Manual, JitterSeed(1));
    let policy = Arc::new(Mutex::new(policy));
    let (slot, shared) = (Slot::new(), policy.clone());
    let child = ChildSpec::actor_in(&slot, "listener", move |context: ChildContext| {
        let policy = Some(shared.clone());
        (Listener { heard: Heard::default(), epoch: context.epoch().get(), policy, lingers: S(0) }, ())
    });
    let supervisor = Supervisor::one_for_one().child(child.policy(policy.clone())).start().await.unwrap();
    let listener = Stable::with_stash(&supervisor, &slot, "listener", 10).await.unwrap();
    let mut delays = Vec::new();
    for message in [Say::Crash, Say::Crash, Say::AllIsWell, Say::Crash] {
        let crashes = message == Say::Crash;
        listener.send(message).unwrap();
        a_moment().await;
        if crashes {
            delays.push(listener.unavailable().unwrap().retry_after().unwrap().as_secs_f64().round());
            supervisor.wait_ready("listener").await.unwrap();
        }
    }
    assert_eq!(delays, [2.0, 4.0, 2.0]);
    supervisor.stop().await;
}

/// What somebody does, and how long after the thing before it.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Say,
    Crash,
    Suspend,
    Resume,
    Pass(u16),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => Just(Deed::Say),
        2 => Just(Deed::Crash),
        1 => Just(Deed::Suspend),
        1 => Just(Deed::Resume),
        4 => (0_u16..3000).prop_map(Deed::Pass),
    ];
    prop::collection::vec(deed, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every word is heard once and in order, or given back and never heard.
    #[test]
    fn whatever_happens_the_words_stay_in_order(deeds in deeds(), stash in 0_usize..6) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let scene = Scene::backing_off(S(1)).await;
            let listener = scene.stable(stash).await;
            let (mut given_back, mut taken) = (Vec::new(), Vec::new());
            for (word, deed) in (0..).zip(deeds) {
                match deed {
                    Deed::Say => match listener.send(Say::Word(word)) {
                        Ok(_) => taken.push(word),
                        Err(_) => given_back.push(word),
                    },
                    // What is in a mailbox goes down with the child; so a crash is waited for.
                    Deed::Crash if listener.unavailable().is_none() => {
                        a_moment().await;
                        let handled = listener.send(Say::Crash).is_ok();
                        assert!(handled);
                        a_moment().await;
                    }
                    Deed::Crash => {}
                    Deed::Suspend => {
                        a_moment().await;
                        scene.supervisor.suspend_child("listener", "test").await.unwrap();
                    }
                    Deed::Resume => drop(scene.supervisor.resume_child("listener").await),
                    Deed::Pass(millis) => tokio::time::sleep(Duration::from_millis(millis.into())).await,
                }
            }
            let _ = scene.supervisor.resume_child("listener").await;
            tokio::time::sleep(S(10)).await;
            let heard: Vec<u32> = scene.heard().into_iter().map(|(_, word)| word).collect();
            assert_eq!(heard, taken, "given back: {given_back:?}");
            scene.supervisor.stop().await;
        });
    }
}
