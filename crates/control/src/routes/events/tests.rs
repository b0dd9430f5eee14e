//! Where a stream of events begins, and how it is written.

use mlx_tree_api::Kind;

use super::*;

const OURS: &str = "r1";

fn remembered(range: std::ops::RangeInclusive<u64>) -> Vec<Arc<Event>> {
    range
        .map(|seq| {
            let kind = Kind::ServerStopped { how: "one\nline".to_owned() };
            Arc::new(Event {
                seq,
                at: "2026-01-01T00:00:00Z".to_owned(),
                child: "server".to_owned(),
                epoch: 1,
                server: None,
                kind,
            })
        })
        .collect()
}

/// What is told after the greeting, in short.
fn begun(past: std::ops::RangeInclusive<u64>, seen: Option<&str>, wanted: &Wanted) -> Vec<String> {
    let told = begin(OURS, remembered(past), seen.and_then(Seen::of).as_ref(), wanted);
    assert!(matches!(told[0], Told::Hello { .. }));
    let short = |told: &Told| match told {
        Told::Hello { .. } => "hello".to_owned(),
        Told::Restarted => "restarted".to_owned(),
        Told::Lost(count) => format!("lost {count}"),
        Told::Event(event) => event.seq.to_string(),
        Told::Heartbeat => "heartbeat".to_owned(),
    };
    told.iter().skip(1).map(short).collect()
}

fn after(after: u64) -> Wanted {
    Wanted { after: Some(after), ..Wanted::default() }
}

#[test]
fn a_reader_goes_on_where_it_was() {
    assert_eq!(begun(1..=3, None, &Wanted::default()), ["1", "2", "3"]);
    assert_eq!(begun(1..=3, None, &after(2)), ["3"]);
    assert!(begun(1..=3, None, &after(3)).is_empty());
    assert_eq!(begun(1..=3, Some("1"), &after(2)), ["2", "3"], "the header is the newer of the two");
}

#[test]
fn a_reader_is_told_how_much_it_has_missed() {
    assert_eq!(begun(5..=6, None, &after(2)), ["lost 2", "5", "6"]);
    assert_eq!(begun(5..=6, None, &after(4)), ["5", "6"], "nothing lies between");
    assert_eq!(begun(5..=6, None, &Wanted::default()), ["5", "6"], "who was never here has lost nothing");
}

#[test]
fn a_reader_of_an_earlier_run_begins_anew() {
    assert_eq!(begun(1..=2, Some("40"), &Wanted::default()), ["restarted", "1", "2"]);
    let wanted = Wanted { run: Some("r0".to_owned()), ..after(1) };
    assert_eq!(begun(1..=2, None, &wanted), ["restarted", "1", "2"], "though we have come further than it was");
    let wanted = Wanted { run: Some("r1".to_owned()), ..after(1) };
    assert_eq!(begun(1..=2, None, &wanted), ["2"]);
}

/// All that a browser sends when it comes back is the last `id`, to the address that it had at first.
#[test]
fn a_browser_comes_back_with_an_id_that_names_the_run() {
    let wanted = Wanted { run: Some("r0".to_owned()), ..after(7) };
    for wanted in [Wanted::default(), wanted] {
        assert_eq!(begun(1..=3, Some("r1-2"), &wanted), ["3"], "{wanted:?}");
        assert_eq!(begun(1..=3, Some("r0-2"), &wanted), ["restarted", "1", "2", "3"], "though we have come further");
    }
    for garbage in ["", "-", "-1", "r1-", "r1", "1e3", "18446744073709551616", "r1-18446744073709551616"] {
        assert_eq!(begun(1..=2, Some(garbage), &Wanted::default()), ["1", "2"], "{garbage:?}");
    }
    assert_eq!(begun(1..=2, Some("r1-18446744073709551615"), &Wanted::default()), ["restarted", "1", "2"]);
}

#[test]
fn the_latest_few_can_be_asked_for() {
    assert_eq!(begun(1..=9, None, &Wanted { lines: Some(2), ..Wanted::default() }), ["8", "9"]);
    assert!(begun(1..=9, None, &Wanted { lines: Some(0), ..Wanted::default() }).is_empty());
}

#[test]
fn an_event_is_one_field_a_line_in_one_form_and_one_line_in_the_other() {
    let event = Told::Event(Arc::clone(&remembered(7..=7)[0]));
    let data = r#"{"seq":7,"at":"2026-01-01T00:00:00Z","child":"server","epoch":1,"event":"server.stopped","how":"one\nline"}"#;
    assert_eq!(Form::Sse.write(&event, OURS), format!("id: r1-7\nevent: server.stopped\ndata: {data}\n\n"));
    assert_eq!(Form::Lines.write(&event, OURS), format!("{data}\n"));
    let hello = Told::Hello { latest: 7 };
    let greeting = "retry: 2000\nevent: hello\ndata: {\"run\":\"r1\",\"latest\":7}\n\n";
    assert_eq!(Form::Sse.write(&hello, OURS), greeting);
    assert_eq!(Form::Sse.write(&Told::Lost(3), OURS), "event: lost\ndata: {\"count\":3}\n\n");
    assert_eq!(Form::Sse.write(&Told::Heartbeat, OURS), ": still here\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_shows_that_it_lives() {
    let (sender, mut live) = broadcast::channel(1);
    assert_eq!(next(&mut live).await, Some(Told::Heartbeat));
    for event in remembered(1..=3) {
        let _ = sender.send(event);
    }
    assert_eq!(next(&mut live).await, Some(Told::Lost(2)));
    drop(sender);
    assert!(matches!(next(&mut live).await, Some(Told::Event(_))));
    assert_eq!(next(&mut live).await, None);
}
