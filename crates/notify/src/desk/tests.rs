//! Stories of one target, told in virtual time, and what holds for every one of them.

use mlx_tree_api::{Kind, Language, Level};
use proptest::prelude::*;

use super::*;
use crate::{Environment, Sink};

/// A desk, and what it has sent by when.
struct Story {
    desk: Desk,
    begin: Instant,
    now: Instant,
    seq: u64,
    sent: Vec<(u64, Message)>,
}

fn target(level: Level, min_interval: u64) -> Target {
    Target {
        name: "ops".to_owned(),
        sink: Sink::Desktop,
        level,
        events: Vec::new(),
        min_interval: Duration::from_secs(min_interval),
        environment: Environment::default(),
    }
}

impl Story {
    fn of(target: Target) -> Self {
        let source = Source { host: "studio".to_owned(), pid: 7, version: "0.1.0".to_owned(), language: Language::En };
        let begin = Instant::now();
        Self { desk: Desk::new(target, source), begin, now: begin, seq: 0, sent: Vec::new() }
    }

    fn new() -> Self {
        Self::of(target(Level::Error, 30))
    }

    fn hears(&mut self, child: &str, kind: Kind) {
        self.seq += 1;
        let event = Event { seq: self.seq, at: String::new(), child: child.to_owned(), epoch: 1, server: None, kind };
        self.desk.hear(&event, self.now);
        self.works();
    }

    /// Lets time pass, moment by moment of interest.
    fn passes(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Next::Wait(until) = self.desk.next(self.now) {
            if until > end {
                break;
            }
            assert!(until > self.now, "it would spin");
            self.now = until;
            self.works();
        }
        self.now = end;
    }

    fn works(&mut self) {
        while let Next::Send(message) = self.desk.next(self.now) {
            self.sent.push(((self.now - self.begin).as_secs(), *message));
            self.desk.sent(self.now);
        }
    }

    /// What has been sent: when, the event and its standing, how often, how many in words and how many as a number.
    fn told(&self) -> Vec<String> {
        let line = |(at, message): &(u64, Message)| {
            let Message { notice, others, more } = message;
            let times = if notice.count > 1 { format!(" x{}", notice.count) } else { String::new() };
            let rest = if others.is_empty() { String::new() } else { format!(", {} behind it", others.len()) };
            let more = if *more == 0 { String::new() } else { format!(", {more} more") };
            format!("{at} s: {} {}{times}{rest}{more}", notice.event, notice.standing.as_str())
        };
        self.sent.iter().map(line).collect()
    }
}

fn opened(reason: &str) -> Kind {
    Kind::BreakerOpened { reason: reason.to_owned(), open_for_s: Some(60.0) }
}

fn closed() -> Kind {
    Kind::BreakerClosed { reason: "recovered".to_owned() }
}

fn exited(reason: &str) -> Kind {
    let (reason, message) = (reason.to_owned(), String::new());
    Kind::ServerExited { reason, code: None, signal: Some(9), message, cause: None }
}

fn quarantined(request: u64) -> Kind {
    Kind::RequestQuarantined { request: request.to_string(), for_s: 60.0 }
}

#[test]
fn an_alarm_is_told_at_once_and_so_is_its_end() {
    let mut story = Story::new();
    story.hears("breaker", closed());
    story.hears("breaker", opened("5 failures"));
    story.passes(60);
    story.hears("breaker", Kind::BreakerHalfOpened);
    story.hears("breaker", closed());
    story.hears("breaker", closed());
    assert_eq!(story.told(), ["0 s: breaker.opened raised", "60 s: breaker.closed recovered"]);
}

#[test]
fn the_same_alarm_again_is_a_number_ten_minutes_later() {
    let mut story = Story::new();
    let rejected = || Kind::ConfigRejected { reason: "line 3".to_owned() };
    for _ in 0..5 {
        story.hears("tree", rejected());
        story.passes(10);
    }
    story.passes(1000);
    story.hears("tree", rejected());
    story.passes(2000);
    // The window began anew with the number, and then nothing came any more.
    assert_eq!(
        story.told(),
        ["0 s: config.rejected raised", "600 s: config.rejected raised x4", "1200 s: config.rejected raised"]
    );
}

#[test]
fn an_alarm_that_was_over_is_news_when_it_comes_back() {
    let mut story = Story::new();
    for _ in 0..2 {
        story.hears("breaker", opened("5 failures"));
        story.passes(31);
        story.hears("breaker", closed());
        story.passes(31);
    }
    let told = ["0 s: breaker.opened", "31 s: breaker.closed", "62 s: breaker.opened", "93 s: breaker.closed"];
    assert!(story.told().iter().zip(told).all(|(line, start)| line.starts_with(start)), "{:?}", story.told());
    assert_eq!(story.sent.len(), 4);
}

#[test]
fn what_comes_within_the_interval_is_one_message_in_order() {
    let mut story = Story::new();
    for request in 0..20 {
        story.hears("gateway", quarantined(request));
    }
    story.passes(100);
    assert_eq!(
        story.told(),
        ["0 s: request.quarantined raised", "30 s: request.quarantined raised, 7 behind it, 11 more"]
    );
    let (_, second) = &story.sent[1];
    let texts: Vec<&str> = second.others.iter().map(|notice| notice.text.as_str()).collect();
    assert!(second.notice.text.contains("Request 1 ") && texts[0].contains("Request 2 "), "{texts:?}");
}

#[test]
fn another_interval_holds_for_what_waits_already() {
    let mut story = Story::of(target(Level::Error, 3600));
    story.hears("breaker", opened("5 failures"));
    story.hears("gateway", quarantined(1));
    story.passes(20);
    story.desk.retarget(target(Level::Error, 30));
    story.passes(20);
    assert_eq!(story.told(), ["0 s: breaker.opened raised", "30 s: request.quarantined raised"]);
}

#[test]
fn one_exit_is_no_alarm_and_three_in_ten_minutes_are_one() {
    let mut story = Story::new();
    story.hears("server", exited("killed"));
    story.passes(700);
    for _ in 0..4 {
        story.hears("server", exited("killed"));
        story.passes(60);
    }
    // It serves again, and so it did each time before: that is no recovery.
    story.hears("server", Kind::ServerReady { pid: 1, url: String::new(), took_s: 1.0 });
    story.passes(1000);
    assert_eq!(story.told(), ["820 s: server.exited raised", "1420 s: server.exited raised"]);
    assert!(story.sent[0].1.notice.text.contains("3 times in 10 minutes"), "{:?}", story.sent[0]);
    assert_eq!(story.sent[0].1.notice.level, Level::Error);
}

#[test]
fn who_wants_warnings_is_told_of_every_exit_and_of_its_end() {
    let mut story = Story::of(target(Level::Warn, 0));
    story.hears("server", exited("killed"));
    story.hears("coder/server", exited("killed"));
    story.hears("server", Kind::ServerReady { pid: 1, url: String::new(), took_s: 1.0 });
    assert_eq!(story.told(), ["0 s: server.exited raised", "0 s: server.exited raised", "0 s: server.ready recovered"]);
}

#[test]
fn events_can_be_named_one_by_one_or_as_a_group() {
    let events = vec!["server.ready".to_owned(), "gateway.*".to_owned()];
    let mut story = Story::of(Target { events, ..target(Level::Error, 0) });
    story.hears("server", Kind::ServerReady { pid: 1, url: String::new(), took_s: 1.0 });
    story.hears("gateway", Kind::GatewayListening { url: String::new() });
    story.hears("server", Kind::ServerWoken);
    assert_eq!(story.told(), ["0 s: server.ready raised", "0 s: gateway.listening raised"]);
}

#[test]
fn nothing_is_told_about_telling() {
    let mut story = Story::of(Target { events: vec!["notify.*".to_owned()], ..target(Level::Debug, 0) });
    story.hears("notify", Kind::NotifyUndelivered { to: "ops".to_owned(), reason: "gone".to_owned() });
    story.passes(10_000);
    assert!(story.sent.is_empty(), "{:?}", story.told());
}

#[test]
fn only_the_hard_limit_and_only_an_end_that_nobody_asked_for_need_a_human() {
    let mut story = Story::of(target(Level::Error, 0));
    let high = |limit: &str| Kind::ServerMemoryHigh { memory_bytes: 2, limit_bytes: 1, limit: limit.to_owned() };
    story.hears("server", high("soft"));
    story.hears("tree", Kind::TreeStopped { reason: "stopped on request".to_owned() });
    story.hears("server", high("hard"));
    story.hears("tree", Kind::TreeStopped { reason: "gave up".to_owned() });
    assert_eq!(story.told(), ["0 s: server.memory_high raised", "0 s: tree.stopped raised"]);
}

#[test]
fn the_last_words_wait_for_no_interval_and_hold_what_was_only_counted() {
    let mut story = Story::new();
    for _ in 0..3 {
        story.hears("tree", Kind::ConfigRejected { reason: "line 3".to_owned() });
    }
    story.hears("breaker", opened("5 failures"));
    let last = story.desk.last_words().expect("two notices");
    assert_eq!((last.notice.event.as_str(), last.others[0].count), ("breaker.opened", 2));
    assert_eq!(story.desk.last_words(), None);
}

#[test]
fn a_story_of_an_evening_reads_like_this() {
    let mut story = Story::new();
    story.hears("breaker", opened("5 failures in a row"));
    story.hears("gateway", quarantined(17));
    story.passes(40);
    let lines = |message: &Message| [vec![message.title(&story.desk.source)], message.lines(Language::En)].concat();
    let told: Vec<String> = story.sent.iter().flat_map(|(_, message)| lines(message)).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    mlx-tree · studio: the server keeps failing, restarts are held back
    [SUPERVISOR] Circuit breaker OPEN: no restarts for 60s (5 failures in a row)
    `mlx-tree why` says what it died of; `mlx-tree reset` tries again at once
    mlx-tree · studio: a request took the server down twice
    [GATEWAY] Request 17 took the server down twice and is refused for 60s
    look at what its client sends; others are served
    ");
}

/// What may happen.
fn happening() -> impl Strategy<Value = (String, Kind, u64)> {
    let kind = prop_oneof![
        (0..3_u8).prop_map(|n| opened(&n.to_string())),
        Just(closed()),
        (0..200_u64).prop_map(quarantined),
        (0..3_u8).prop_map(|n| exited(&n.to_string())),
        Just(Kind::ServerReady { pid: 1, url: String::new(), took_s: 1.0 }),
        Just(Kind::ConfigRejected { reason: "x".to_owned() }),
        Just(Kind::ConfigReloaded { changes: Vec::new() }),
        Just(Kind::ServerLoading),
    ];
    let child = prop_oneof![Just("server".to_owned()), Just("coder/server".to_owned())];
    (child, kind, prop_oneof![4 => 0..3_u64, 1 => 0..2_000_u64])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Never more than the limit, and nothing that was wanted is missing: each is in words or in a number.
    #[test]
    fn the_limit_holds_and_everything_is_told(story in proptest::collection::vec(happening(), 0..150), interval in 1..120_u64) {
        let mut desk = Story::of(target(Level::Info, interval));
        let mut wanted = 0;
        for (child, kind, pause) in story {
            wanted += u32::from(kind.level() != Level::Debug);
            desk.hears(&child, kind);
            desk.passes(pause);
        }
        desk.passes(100_000);
        for pair in desk.sent.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= interval, "{:?}", desk.told());
        }
        let told: u32 = desk.sent.iter().map(|(_, message)| {
            message.notice.count + message.others.iter().map(|it| it.count).sum::<u32>() + message.more
        }).sum();
        prop_assert_eq!(told, wanted, "{:?}", desk.told());
        prop_assert!(desk.desk.is_empty());
    }

    /// What is told later happened later.
    #[test]
    fn the_order_is_kept(pauses in proptest::collection::vec(0..9_u64, 0..150)) {
        let mut desk = Story::new();
        for (request, pause) in (0..).zip(pauses) {
            desk.hears("gateway", quarantined(request));
            desk.passes(pause);
        }
        desk.passes(100);
        let told = desk.sent.iter().flat_map(|(_, message)| std::iter::once(&message.notice).chain(&message.others));
        let order: Vec<u64> = told.filter_map(|notice| notice.id.split('-').nth(1)?.parse().ok()).collect();
        prop_assert!(order.is_sorted(), "{order:?}");
    }
}
