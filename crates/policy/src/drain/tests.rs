//! Planned ends as stories, and the promises that hold for all of them.

use super::*;
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_secs(30);
const SHUT: Scene = Scene { life: Life::Serves, door: Door::Shut, in_flight: 1 };

fn at(seconds: u64) -> Monotonic {
    Monotonic::new(Duration::from_secs(seconds))
}

fn begun(word: Word, stand: Stand) -> Drain {
    Drain::begin(word, stand, LIMIT, at(0)).expect("there is something to do")
}

#[test]
fn a_server_that_serves_finishes_what_it_has_and_no_more() {
    let drain = begun(Word::Restart, Stand::Serving);
    assert!(!drain.is_ripe(SHUT, at(0)), "it works on something");
    assert!(!drain.is_ripe(Scene { door: Door::Open, in_flight: 0, ..SHUT }, at(1)), "something may be on its way");
    assert!(drain.is_ripe(Scene { in_flight: 0, ..SHUT }, at(1)));
    assert!(!drain.is_ripe(SHUT, at(29)) && drain.is_ripe(SHUT, at(30)), "it has as long as was said");
}

#[test]
fn one_that_has_nothing_to_finish_is_not_waited_for() {
    for (word, stand) in [
        (Word::Restart, Stand::Suspect),
        (Word::Restart, Stand::Starting),
        (Word::Restart, Stand::Down),
        (Word::Recycle, Stand::Starting),
        (Word::Drain, Stand::Down),
        (Word::Stop, Stand::Serving),
    ] {
        assert!(begun(word, stand).is_ripe(SHUT, at(0)), "{word:?} of one that is {stand:?}");
    }
    assert!(!begun(Word::Drain, Stand::Suspect).is_ripe(SHUT, at(0)), "a doubt may be unfounded");
    assert_eq!(Drain::begin(Word::Recycle, Stand::Down, LIMIT, at(0)), None, "it comes back afresh anyway");
    assert_eq!(Drain::begin(Word::Start, Stand::Serving, LIMIT, at(0)), None);
}

#[test]
fn an_operator_who_says_restart_again_does_not_want_to_wait() {
    let mut drain = begun(Word::Recycle, Stand::Serving);
    assert_eq!(drain.on_word(Word::Restart), Course::Goes);
    assert!(!drain.is_ripe(SHUT, at(1)), "the first word of an operator joins what is under way");
    assert_eq!(drain.on_word(Word::Recycle), Course::Goes);
    assert!(!drain.is_ripe(SHUT, at(1)), "and nobody in person is in a hurry");
    assert_eq!(drain.on_word(Word::Restart), Course::Goes);
    assert!(drain.is_ripe(SHUT, at(1)));
}

#[test]
fn the_last_word_holds() {
    let mut drain = begun(Word::Restart, Stand::Serving);
    assert_eq!((drain.on_word(Word::Drain), drain.aim()), (Course::Goes, Aim::Stop));
    assert_eq!((drain.on_word(Word::Drain), drain.aim()), (Course::Goes, Aim::Stop));
    assert!(!drain.is_ripe(SHUT, at(1)), "a second drain joins the first");
    assert_eq!((drain.on_word(Word::Restart), drain.aim()), (Course::Goes, Aim::Restart));
    assert!(!drain.is_ripe(SHUT, at(1)), "a change of mind is no hurry");
    assert_eq!((drain.on_word(Word::Start), drain.aim()), (Course::Goes, Aim::Restart));
    assert_eq!((drain.on_word(Word::Stop), drain.aim()), (Course::Goes, Aim::Stop));
    assert!(drain.is_ripe(SHUT, at(1)));
    assert_eq!(begun(Word::Drain, Stand::Serving).on_word(Word::Start), Course::CalledOff);
}

#[test]
fn one_that_goes_down_meanwhile_is_not_waited_for() {
    let drain = begun(Word::Drain, Stand::Serving);
    assert!(drain.is_ripe(Scene { life: Life::Over, door: Door::Open, in_flight: 3 }, at(1)));
}

fn words() -> impl Strategy<Value = Word> {
    prop_oneof![Just(Word::Restart), Just(Word::Recycle), Just(Word::Drain), Just(Word::Stop), Just(Word::Start)]
}

proptest! {
    /// Whatever is said, it ends when it was said to end at the latest; no word makes it longer; and what comes of it is what
    /// the last one wanted who wanted anything.
    #[test]
    fn no_word_makes_it_longer_and_the_last_one_holds(
        said in proptest::collection::vec((words(), 0_u64..10), 0..20),
    ) {
        let (mut drain, mut now) = (begun(Word::Recycle, Stand::Serving), 0);
        let (mut aim, mut ripe) = (Aim::Restart, false);
        for (word, pause) in said {
            now += pause;
            if drain.on_word(word) == Course::CalledOff {
                prop_assert_eq!((word, aim), (Word::Start, Aim::Stop), "only a start of one that was to stop");
                return Ok(());
            }
            aim = match word {
                Word::Restart => Aim::Restart,
                Word::Drain | Word::Stop => Aim::Stop,
                Word::Recycle | Word::Start => aim,
            };
            prop_assert_eq!(drain.aim(), aim);
            let is = drain.is_ripe(SHUT, at(now));
            prop_assert!(is || !ripe, "what is ripe stays so");
            prop_assert!(is || now < LIMIT.as_secs());
            ripe = is;
        }
        prop_assert!(drain.is_ripe(SHUT, at(30)));
    }
}
