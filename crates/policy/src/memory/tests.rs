//! Stories of servers that need more and more memory, and the promises that hold for all of them.

use super::*;
use proptest::prelude::*;

const LIMITS: MemoryLimits = MemoryLimits {
    soft: Some(100),
    hard: Some(200),
    patience: Duration::from_secs(60),
    every: Duration::from_secs(600),
};

fn at(seconds: u64) -> Monotonic {
    Monotonic::new(Duration::from_secs(seconds))
}

fn reading(epoch: u64, bytes: u64) -> MemoryReading {
    MemoryReading { epoch, stage: Stage::Serving, bytes, in_flight: 0, last_use: Monotonic::ORIGIN }
}

/// A watch that takes a second of readings for true, and what it has said at which second.
fn said(readings: impl IntoIterator<Item = (u64, MemoryReading)>) -> Vec<(u64, Option<Limit>, MemoryAct)> {
    let mut watch = MemoryWatch::new(Duration::from_secs(1));
    let verdicts = readings.into_iter().map(|(second, reading)| {
        let MemoryVerdict { news, act } = watch.on_reading(&LIMITS, reading, at(second));
        (second, news, act)
    });
    verdicts.filter(|(_, news, act)| news.is_some() || *act != MemoryAct::Nothing).collect()
}

#[test]
fn an_idle_server_above_its_soft_limit_is_restarted_once_and_its_next_life_is_another_story() {
    let life = |epoch| move |(second, bytes)| (second, reading(epoch, bytes));
    let first = [(10, 90), (11, 110), (12, 120), (13, 120), (14, 130)].map(life(1));
    assert_eq!(said(first), [(12, Some(Limit::Soft), MemoryAct::Recycle)]);
    let second = [(20, 90), (21, 120), (22, 120), (23, 120), (620, 120)].map(life(2));
    let both = said(first.into_iter().chain(second));
    assert_eq!(
        both[1..],
        [(22, Some(Limit::Soft), MemoryAct::Nothing), (620, None, MemoryAct::Recycle)],
        "not so soon"
    );
}

#[test]
fn a_peak_is_no_reason() {
    assert_eq!(said([(1, reading(1, 90)), (2, reading(1, 500)), (3, reading(1, 90)), (4, reading(1, 500))]), []);
}

#[test]
fn one_that_works_is_left_in_peace_until_patience_is_over() {
    let busy = |second| (second, MemoryReading { in_flight: 1, last_use: at(second), ..reading(1, 120) });
    let seconds = [5, 6, 30, 65, 66, 70].map(busy);
    let all = said([(4, reading(1, 50))].into_iter().chain(seconds));
    assert_eq!(all, [(6, Some(Limit::Soft), MemoryAct::Nothing), (66, None, MemoryAct::Recycle)]);
    let between = (8, MemoryReading { last_use: at(7), ..reading(1, 120) });
    let later = (9, MemoryReading { last_use: at(7), ..reading(1, 120) });
    let all = said([(4, reading(1, 50)), busy(5), busy(6), between, later]);
    assert_eq!(all[1..], [(9, None, MemoryAct::Recycle)], "and not between two requests of one conversation");
}

#[test]
fn a_restart_that_cannot_help_is_not_tried() {
    let all = said((10..2_000).map(|second| (second, reading(1, 120))));
    assert_eq!(all, [(11, Some(Limit::Soft), MemoryAct::Nothing)], "it was above it from the beginning");
}

#[test]
fn around_its_limit_it_is_one_story() {
    let bytes = [90, 110, 110, 95, 110, 110, 90, 110, 110];
    let busy = |(n, bytes)| (n, MemoryReading { in_flight: 1, last_use: at(n), ..reading(1, bytes) });
    let all = said((1..).zip(bytes).map(busy));
    let told: Vec<u64> = all.iter().map(|(second, _, _)| *second).collect();
    assert_eq!(told, [3, 9], "a tenth below it, it begins anew");
}

#[test]
fn above_its_hard_limit_it_is_ended_whatever_it_does() {
    for stage in [Stage::Loading, Stage::Serving, Stage::Leaving] {
        let over = |second| (second, MemoryReading { stage, in_flight: 3, last_use: at(second), ..reading(1, 300) });
        assert_eq!(said([1, 2, 3, 4].map(over)), [(2, Some(Limit::Hard), MemoryAct::End)], "{stage:?}: and told once");
    }
}

#[test]
fn one_that_was_to_be_restarted_is_ended_all_the_same() {
    let all = said([90, 120, 120, 300, 300, 300].into_iter().zip(1..).map(|(bytes, n)| (n, reading(1, bytes))));
    assert_eq!(all, [(3, Some(Limit::Soft), MemoryAct::Recycle), (5, Some(Limit::Hard), MemoryAct::End)]);
}

#[test]
fn what_a_load_takes_is_not_held_against_the_soft_limit() {
    let loading = |second| (second, MemoryReading { stage: Stage::Loading, ..reading(1, 150) });
    let all = said([1, 2, 3].map(loading).into_iter().chain([(4, reading(1, 80)), (5, reading(1, 80))]));
    assert_eq!(all, []);
}

proptest! {
    /// Whatever is read: each life is told to go at most twice (once softly, once for good), soft restarts keep their distance,
    /// and nothing is done about a reading that is below the limits.
    #[test]
    fn no_story_of_readings_is_a_loop(
        story in proptest::collection::vec((0_u64..20, 0_u64..3, 0_u64..300, 0_u32..2, any::<bool>()), 0..200),
    ) {
        let mut watch = MemoryWatch::new(Duration::from_secs(1));
        let (mut now, mut epoch) = (0, 0);
        let (mut soft, mut lives) = (Vec::new(), std::collections::BTreeMap::<u64, (u32, u32)>::new());
        for (pause, next, bytes, in_flight, loading) in story {
            now += pause;
            epoch += u64::from(next == 0);
            let stage = if loading { Stage::Loading } else { Stage::Serving };
            let reading = MemoryReading { stage, in_flight, ..reading(epoch, bytes) };
            let act = watch.on_reading(&LIMITS, reading, at(now)).act;
            let (recycled, ended) = lives.entry(epoch).or_default();
            match act {
                MemoryAct::Nothing => {}
                MemoryAct::Recycle => {
                    prop_assert!(bytes > 90 && !loading);
                    *recycled += 1;
                    soft.push(now);
                }
                MemoryAct::End => {
                    prop_assert!(bytes > 180);
                    *ended += 1;
                }
            }
        }
        prop_assert!(lives.values().all(|(recycled, ended)| *recycled <= 1 && *ended <= 1), "{lives:?}");
        prop_assert!(soft.windows(2).all(|two| two[1] - two[0] >= 600), "{soft:?}");
    }
}
