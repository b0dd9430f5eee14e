//! child_adm*, child_specs*, sup_flags, code_change*: what can be asked of a supervisor, and what it is told.

use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, MockChild, MockMessage};
use mlx_tree_supervision::{
    AutoShutdown, ChildCounts, ChildKind, DeleteChildError, Intensity, InvalidSpec, Restart, RestartChildError,
    Shutdown, Significance, Slot, StartChildError, StartError, StartedChild, Strategy, Supervisor, TerminateChildError,
};
use ractor::{ActorRef, ActorStatus};

use crate::util::*;

/// The whole life of a child by request, and every answer on the way.
#[tokio::test(start_paused = true)]
async fn child_adm() {
    let (supervisor, mut events) = start(Supervisor::one_for_one().child(steady("c"))).await;
    let counts = async || {
        let ChildCounts { specs, active, .. } = supervisor.count_children().await.unwrap();
        (specs, active)
    };
    // Started once, and not twice.
    add(&supervisor, steady("a")).await;
    let again = supervisor.start_child(steady("a")).await;
    assert!(matches!(again, Err(StartChildError::AlreadyStarted)), "{again:?}");
    assert_eq!(counts().await, (2, 2));
    // While it runs it can be neither restarted nor deleted.
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Running)));
    assert_eq!(supervisor.delete_child("a").await, Err(DeleteChildError::Running));
    // Terminated, and its spec is kept; doing it twice is fine.
    for _ in 0..2 {
        supervisor.terminate_child("a").await.unwrap();
        assert_eq!(states(&supervisor).await, "c:ready a:down");
    }
    assert_eq!(counts().await, (2, 1));
    assert!(matches!(supervisor.start_child(steady("a")).await, Err(StartChildError::AlreadyPresent)));
    // Started again, in its place.
    assert!(matches!(supervisor.restart_child("a").await, Ok(StartedChild::Running { epoch, .. }) if epoch.get() == 2));
    later(MS(1)).await;
    assert_eq!(states(&supervisor).await, "c:ready a:ready");
    // Terminated and deleted, and then nobody knows it.
    supervisor.terminate_child("a").await.unwrap();
    supervisor.delete_child("a").await.unwrap();
    assert_eq!(states(&supervisor).await, "c:ready");
    assert_eq!(counts().await, (1, 1));
    assert_eq!(supervisor.terminate_child("a").await, Err(TerminateChildError::NotFound));
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::NotFound)));
    assert_eq!(supervisor.delete_child("a").await, Err(DeleteChildError::NotFound));
    assert_eq!(supervisor.child_rules("a").await.unwrap(), None);
    // It can come again, and is new.
    add(&supervisor, steady("a")).await;
    assert_eq!(epochs(&supervisor).await, "c1 a1");
    // None of it was a failure.
    assert!(reports(events.events()).is_empty());
    assert_eq!(supervisor.snapshot().await.unwrap().restarts_in_window, 0);
    supervisor.stop().await;
    assert!(matches!(supervisor.start_child(steady("b")).await, Err(StartChildError::SupervisorGone)));
}

#[tokio::test(start_paused = true)]
async fn child_adm_simple() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    let first = add(&supervisor, steady("a")).await;
    let second = add(&supervisor, steady("b")).await;
    assert_ne!(first.get_id(), second.get_id());
    assert_eq!(supervisor.count_children().await.unwrap().active, 2);
    assert!(matches!(supervisor.start_child(steady("a")).await, Err(StartChildError::AlreadyStarted)));
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Dynamic)));
    assert_eq!(supervisor.delete_child("a").await, Err(DeleteChildError::Dynamic));
    assert_eq!(supervisor.terminate_child("nobody").await, Err(TerminateChildError::NotFound));
    supervisor.terminate_child("a").await.unwrap();
    assert_eq!(supervisor.terminate_child("a").await, Err(TerminateChildError::NotFound));
    later(MS(1)).await;
    assert_eq!(states(&supervisor).await, "b:ready");
    assert_eq!(first.get_status(), ActorStatus::Stopped);
}

/// Every valid combination is accepted, every invalid one is refused.
#[tokio::test(start_paused = true)]
async fn child_specs() {
    let restarts = [Restart::Permanent, Restart::Transient, Restart::Temporary];
    let shutdowns = [Shutdown::Kill, Shutdown::Infinity, Shutdown::Timeout(S(0)), Shutdown::Timeout(S(5))];
    let auto_shutdowns = [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];
    for auto_shutdown in auto_shutdowns {
        for restart in restarts {
            for shutdown in shutdowns {
                for kind in [ChildKind::Worker, ChildKind::Supervisor] {
                    let spec = || steady("a").restart(restart).shutdown(shutdown).kind(kind);
                    let supervisor = || Supervisor::one_for_one().auto_shutdown(auto_shutdown);
                    let plain = supervisor().child(spec()).start().await.unwrap();
                    plain.kill_now().await;
                    let significant = supervisor().child(spec().significant()).start().await;
                    let is_valid = restart != Restart::Permanent && auto_shutdown != AutoShutdown::Never;
                    assert_eq!(significant.is_ok(), is_valid, "{auto_shutdown:?} {restart:?}");
                    if let Ok(supervisor) = significant {
                        supervisor.kill_now().await;
                    }
                }
            }
        }
    }
}

/// What was accepted can be read back as it was given; what is refused leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn child_specs_map() {
    let shutdowns = [Shutdown::Kill, Shutdown::Infinity, Shutdown::Timeout(S(0)), Shutdown::Timeout(MS(1234))];
    for auto_shutdown in [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let (supervisor, _) = start(Supervisor::one_for_one().auto_shutdown(auto_shutdown)).await;
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            for shutdown in shutdowns {
                for kind in [ChildKind::Worker, ChildKind::Supervisor] {
                    let spec = || steady("a").restart(restart).shutdown(shutdown).kind(kind);
                    let given = [spec(), spec().significant()];
                    for spec in given {
                        let rules = spec.rules();
                        let is_significant = rules.significance == Significance::Significant;
                        let answer = supervisor.start_child(spec).await;
                        let read = supervisor.child_rules("a").await.unwrap();
                        match answer {
                            Ok(StartedChild::Running { .. }) => assert_eq!(read, Some(rules)),
                            Err(StartChildError::Invalid(InvalidSpec::SignificantPermanent(_))) => {
                                assert!(is_significant && restart == Restart::Permanent && read.is_none());
                                continue;
                            }
                            Err(StartChildError::Invalid(InvalidSpec::SignificantWithoutAutoShutdown(_))) => {
                                assert!(is_significant && auto_shutdown == AutoShutdown::Never && read.is_none());
                                continue;
                            }
                            other => panic!("{other:?}"),
                        }
                        let is_allowed = restart != Restart::Permanent && auto_shutdown != AutoShutdown::Never;
                        assert!(is_allowed || !is_significant, "{rules:?} {auto_shutdown:?}");
                        supervisor.terminate_child("a").await.unwrap();
                        // A temporary one is forgotten already.
                        let forgotten = restart == Restart::Temporary;
                        assert_eq!(supervisor.delete_child("a").await.is_err(), forgotten);
                    }
                }
            }
        }
        assert_eq!(supervisor.count_children().await.unwrap(), ChildCounts::default());
        supervisor.stop().await;
    }
}

/// What OTP passes on of a start is here the incarnation and its actor: whoever asks for a start is told whom it got.
#[tokio::test(start_paused = true)]
async fn extra_return() {
    for supervisor in [Supervisor::one_for_one(), Supervisor::one_for_all(), Supervisor::rest_for_one()] {
        let (supervisor, _) = start(supervisor).await;
        let slot = Slot::new();
        let mut seen = Vec::new();
        let first = supervisor.start_child(MockChild::spec_in(&slot, "a", [])).await.unwrap();
        supervisor.terminate_child("a").await.unwrap();
        assert!(slot.current().is_none());
        let second = supervisor.restart_child("a").await.unwrap();
        for answer in [first, second] {
            let StartedChild::Running { epoch, actor } = answer else { panic!("it was ignored") };
            seen.push((epoch.get(), actor));
        }
        later(MS(1)).await;
        assert_eq!((seen[0].0, seen[1].0), (1, 2));
        assert_ne!(seen[0].1.get_id(), seen[1].1.get_id());
        assert_eq!(seen[0].1.get_status(), ActorStatus::Stopped);
        let (epoch, actor) = slot.current().unwrap();
        assert_eq!((epoch.get(), actor.get_id()), (2, seen[1].1.get_id()));
        supervisor.stop().await;
    }
}

/// OTP's hot upgrade takes new specs and leaves the running children alone. Here a spec is replaced under its name: what runs
/// by the old one is ended, its siblings are not touched, and the new rules hold.
#[tokio::test(start_paused = true)]
async fn code_change() {
    let (supervisor, mut events) =
        start(Supervisor::rest_for_one().child(steady("a")).child(MockChild::spec("b", [])).child(steady("c"))).await;
    supervisor.terminate_child("b").await.unwrap();
    supervisor.delete_child("b").await.unwrap();
    let new = MockChild::spec("b", [Act::ExitNormalAfter(S(1))]).restart(Restart::Transient);
    add(&supervisor, new).await;
    // A new child stands after the others.
    assert_eq!(epochs(&supervisor).await, "a1 c1 b1");
    later(S(2)).await;
    // It ends by its new rules, and takes nobody along.
    assert_eq!(states(&supervisor).await, "a:ready c:ready b:down");
    assert_eq!(epochs(&supervisor).await, "a1 c1 b1");
    assert!(reports(events.events()).is_empty());
    supervisor.stop().await;
}

/// In a dynamic supervisor the running children keep the spec that they were started by, whatever comes later.
#[tokio::test(start_paused = true)]
async fn code_change_simple() {
    let (supervisor, _) = start(Supervisor::dynamic().intensity(patient())).await;
    let old: ActorRef<MockMessage> = add(&supervisor, steady("old")).await.into();
    let new: ActorRef<MockMessage> = add(&supervisor, steady("new").restart(Restart::Temporary)).await.into();
    old.send_message(MockMessage::Crash).unwrap();
    new.send_message(MockMessage::Crash).unwrap();
    later(MS(1)).await;
    assert_eq!(epochs(&supervisor).await, "old2");
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sup_flags() {
    let faulty = Supervisor::one_for_one().intensity(Intensity::new(0, S(0))).start().await;
    assert!(matches!(faulty, Err(StartError::Invalid(InvalidSpec::ZeroPeriod))));
    // Of all strategies, with the least intensity and the shortest period that there is.
    let new = [Supervisor::one_for_one, Supervisor::one_for_all, Supervisor::rest_for_one, Supervisor::dynamic];
    for new in new {
        for period in [Duration::from_nanos(1), S(1), S(3600)] {
            let supervisor = new().intensity(Intensity::new(0, period)).start().await.unwrap();
            supervisor.stop().await;
        }
    }
    // OTP's defaults.
    let supervisor = Supervisor::new(Strategy::default()).start().await.unwrap();
    let status = supervisor.snapshot().await.unwrap();
    assert_eq!((status.strategy, status.intensity), (Strategy::OneForOne, Intensity::new(1, S(5))));
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn order_of_children() {
    let ids = ["zulu", "alpha", "mike", "bravo"];
    let (supervisor, mut events) = start(Supervisor::one_for_one().children(ids.map(steady))).await;
    supervisor.stop().await;
    let story = events.outline();
    let of = |verb: &str| -> Vec<String> {
        let lines = story.iter().filter_map(|line| line.strip_prefix(verb));
        lines.map(|line| line.trim_end_matches("#1").to_owned()).collect()
    };
    assert_eq!(of("started "), ids);
    assert_eq!(of("stopped "), ["bravo", "mike", "alpha", "zulu"]);
}
