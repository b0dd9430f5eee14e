//! Streams as servers write them, and as nobody should.

use proptest::prelude::*;

use super::*;

/// All events of a stream that arrives in these frames.
fn events_of<'a>(limit: usize, frames: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let (mut parser, mut events) = (Parser::new(limit), Vec::new());
    for frame in frames {
        parser.feed(Bytes::copy_from_slice(frame));
        while let Some(event) = parser.next_event() {
            events.push(event);
        }
    }
    events
}

fn events(stream: impl AsRef<[u8]>) -> Vec<Event> {
    events_of(EVENT_LIMIT, [stream.as_ref()])
}

fn data_of(text: &'static str) -> Event {
    Event::Data(Bytes::from_static(text.as_bytes()))
}

fn comment_of(text: &'static str) -> Event {
    Event::Comment(Bytes::from_static(text.as_bytes()))
}

#[test]
fn a_stream_of_mlx_lm_is_comments_then_data_then_done() {
    let stream = ": keepalive 0/7\n\n: keepalive 7/7\n\ndata: {\"a\": 1}\n\ndata: {\"b\": 2}\n\ndata: [DONE]\n\n";
    let expected = [
        comment_of(" keepalive 0/7"),
        comment_of(" keepalive 7/7"),
        data_of("{\"a\": 1}"),
        data_of("{\"b\": 2}"),
        Event::Done,
    ];
    assert_eq!(events(stream), expected);
}

#[test]
fn f57_every_line_end_and_every_way_to_write_data_is_understood() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = ["event: token", "id: 7", "data:no space", "data:  two", "retry: 1", "", "data", "", "data:", ""];
        let stream = stream.map(|line| format!("{line}{end}")).concat();
        assert_eq!(events(stream), [data_of("no space\n two")], "{end:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line_and_stands_nowhere_else() {
    assert_eq!(events("\u{feff}data: a\n\n\u{feff}data: b\n\ndata: c\n\n"), [data_of("a"), data_of("c")]);
}

#[test]
fn other_fields_and_fields_that_only_begin_like_data_are_ignored() {
    assert_eq!(events("database: x\ndat: y\n data: z\n<html>\n\ndata: a\n\n"), [data_of("a")]);
}

#[test]
fn f58_nothing_comes_after_the_first_done() {
    assert_eq!(events("data: a\n\ndata:[DONE]\n\ndata: b\n\ndata: [DONE]\n\n"), [data_of("a"), Event::Done]);
}

#[test]
fn an_event_that_lacks_its_end_never_comes() {
    assert_eq!(events("data: a\n\ndata: b\n"), [data_of("a")]);
    assert_eq!(events("data: [DONE]\n"), []);
}

#[test]
fn f57_a_line_of_5_mb_is_read_and_one_byte_more_is_not() {
    let fits = format!("data:{}\n\n", "x".repeat(EVENT_LIMIT - 5));
    let too_large = fits.replacen("x", "xx", 1);
    for size in [EVENT_LIMIT * 2, 4096] {
        let [Event::Data(data)] = &events_of(EVENT_LIMIT, fits.as_bytes().chunks(size))[..] else {
            panic!("it is one event")
        };
        assert_eq!(data.len(), EVENT_LIMIT - 5);
        let events = events_of(EVENT_LIMIT, too_large.as_bytes().chunks(size));
        assert_eq!(events, [Event::Malformed(Malformed::TooLarge { limit: EVENT_LIMIT })]);
    }
}

#[test]
fn what_lies_in_one_frame_is_not_copied() {
    let frame = Bytes::from_static(b"data: {\"a\": 1}\n\n");
    let mut parser = Parser::default();
    parser.feed(frame.clone());
    let Some(Event::Data(data)) = parser.next_event() else { panic!("there is an event") };
    assert_eq!(data.as_ptr(), frame[6..].as_ptr());
}

#[test]
fn a_frame_that_is_fed_too_early_is_not_lost() {
    let mut parser = Parser::default();
    for frame in ["data: a\n\nda", "ta: b\n", "\n"] {
        parser.feed(Bytes::from_static(frame.as_bytes()));
    }
    assert_eq!([parser.next_event(), parser.next_event()], [Some(data_of("a")), Some(data_of("b"))]);
}

#[test]
fn what_is_written_is_read_back_also_with_line_ends_in_it() {
    assert_eq!(&data(b"{}")[..], b"data: {}\n\n");
    assert_eq!(&comment(b" still here\r\ndata: x")[..], b": still heredata: x\n\n");
    assert_eq!(events(data(b"{\n  \"a\": 1\n}")), [data_of("{\n  \"a\": 1\n}")]);
    assert_eq!(events(&DONE), [Event::Done]);
}

/// Bytes of which many are such that they matter here.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["data: ", "data:", "data", ":", "\n", "\r", "\r\n", "\n\n", "[DONE]", "\u{feff}", "é", "{}"])
            .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_give_the_same_events_however_they_are_split(
        stream in hostile(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        limit in 1usize..64,
    ) {
        let whole = events_of(limit, [&stream[..]]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let frames = cuts.windows(2).map(|ends| &stream[ends[0]..ends[1]]);
        prop_assert_eq!(&events_of(limit, frames), &whole);
        prop_assert_eq!(events_of(limit, stream.chunks(1)), whole);
    }

    #[test]
    fn it_never_holds_more_than_its_limit(stream in hostile(), limit in 1usize..64, size in 1usize..16) {
        let mut parser = Parser::new(limit);
        for frame in stream.chunks(size) {
            parser.feed(Bytes::copy_from_slice(frame));
            while parser.next_event().is_some() {}
            prop_assert!(parser.line.len() + parser.data.len() <= limit + 1);
            prop_assert!(parser.frame.is_empty());
        }
    }
}
