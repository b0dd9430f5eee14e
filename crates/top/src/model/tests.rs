//! What keys and news do.

use super::*;
use crate::view::tests::{event, status};

fn model() -> (Model, Instant) {
    let options = Options { language: Language::En, colors: Colors::None, pointer: Pointer::Off };
    let (mut model, now) = (Model::new(options), Instant::now());
    let _ = model.update(Message::Status(Box::new(status())), now);
    (model, now)
}

fn press(model: &mut Model, key: char) -> Effect {
    model.update(Message::Key(Key::Char(key)), Instant::now())
}

#[test]
fn what_hurts_is_asked_for_twice_and_anything_but_yes_means_no() {
    for (key, verb) in [('S', Verb::Stop), ('r', Verb::Restart), ('d', Verb::Drain), ('R', Verb::Reset)] {
        let (mut model, _) = model();
        assert_eq!(press(&mut model, key), Effect::Draw);
        assert_eq!(press(&mut model, 'n'), Effect::Draw);
        assert_eq!(model.performing, None);
        assert_eq!(press(&mut model, key), Effect::Draw);
        assert_eq!(press(&mut model, 'y'), Effect::Perform(verb));
    }
    let (mut model, _) = model();
    assert_eq!(press(&mut model, 's'), Effect::Perform(Verb::Start));
}

#[test]
fn one_verb_at_a_time_and_none_to_nobody() {
    let (mut model, now) = model();
    assert_eq!(press(&mut model, 'l'), Effect::Perform(Verb::Reload));
    assert_eq!(press(&mut model, 's'), Effect::Draw);
    let _ = model.update(Message::Performed(Verb::Reload, Ok("no change".to_owned())), now);
    assert_eq!(model.note, Some((Note::Good("reload: no change".to_owned()), now)));
    let _ = model.update(Message::Unreachable("gone".to_owned()), now);
    assert_eq!(press(&mut model, 's'), Effect::Draw);
    assert_eq!(press(&mut model, 'q'), Effect::Quit);
}

#[test]
fn a_note_goes_away_by_itself() {
    let (mut model, now) = model();
    let _ = model.update(Message::Performed(Verb::Start, Err("held".to_owned())), now);
    let _ = model.update(Message::Tick, now + NOTE_FOR - Duration::from_secs(1));
    assert!(model.note.is_some());
    let _ = model.update(Message::Tick, now + NOTE_FOR);
    assert!(model.note.is_none());
}

#[test]
fn ctrl_c_and_ctrl_z_are_heard_whatever_is_asked() {
    let (mut model, now) = model();
    let _ = press(&mut model, 'S');
    assert_eq!(model.update(Message::Key(Key::Suspend), now), Effect::Suspend);
    assert_eq!(model.update(Message::Key(Key::Interrupt), now), Effect::Interrupt);
}

#[test]
fn memory_is_bounded_and_routine_is_not_told() {
    let (mut model, now) = model();
    let _ = model.update(event(1, Kind::ServerLoading), now);
    assert!(model.events.is_empty());
    for seq in 0..3000 {
        let _ = model.update(event(seq % 60, Kind::HealthMonitoring), now);
        let _ = model.update(Message::Lines(vec!["x".repeat(5000)]), now);
    }
    assert_eq!((model.events.len(), model.lines.len()), (KEPT, KEPT));
    assert!(model.lines[0].len() <= 1000);
}
