//! Stories of ends, told to the ledger in virtual time.

use mlx_tree_api::{AttemptEnd, RequestOutcome};

use super::case::LINES_BYTES;
use super::*;
use crate::report::{BreakerThen, How, SCHEMA};

/// A report with little in it.
pub(crate) fn report(id: &str) -> Report {
    Report {
        schema: SCHEMA,
        id: id.to_owned(),
        server: "server".to_owned(),
        epoch: 3,
        at: "2026-01-01T12:00:00Z".to_owned(),
        kind: "mlx_lm".to_owned(),
        model: "builtin:tiny".to_owned(),
        pid: Some(4711),
        how: How::Code { code: 1 },
        reason: "exit_code".to_owned(),
        message: "exit code 1".to_owned(),
        cause: None,
        given_up_for: None,
        uptime_s: Some(90.0),
        ready_after_s: Some(1.25),
        usage: None,
        machine: Machine::default(),
        requests: Vec::new(),
        further_requests: 0,
        decision: None,
        breaker: BreakerThen { before: BreakerState::Closed, after: BreakerState::Closed },
        recovery: None,
        last_lines: Vec::new(),
        events: Vec::new(),
        mlx_tree: "0.1.0".to_owned(),
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn subject(child: &str, name: &str) -> Subject {
    let lines: Lines = Arc::new(|epoch, _| vec![format!("a line of {epoch}")]);
    Subject { child: child.to_owned(), name: name.to_owned(), kind: "mlx_lm".into(), model: "m".into(), lines }
}

/// A ledger with one server, and a clock for its events.
struct Story {
    ledger: Ledger,
    seq: u64,
}

impl Story {
    fn new() -> Self {
        Self { ledger: Ledger::new(vec![subject("server", "server"), subject("coder/server", "coder")]), seq: 0 }
    }

    fn tell(&mut self, now: u64, child: &str, epoch: u64, kind: Kind) -> News {
        self.seq += 1;
        let stamp = format!("2026-01-01T00:{:02}:{:02}.5Z", now / 60, now % 60);
        let event = Event { seq: self.seq, at: stamp, child: child.to_owned(), epoch, server: None, kind };
        self.ledger.on_event(&event, at(now))
    }

    fn up(&mut self, now: u64, epoch: u64) {
        let pid = 100 + u32::try_from(epoch).expect("small");
        self.tell(now, "server", epoch, Kind::ServerSpawned { pid, url: String::new() });
        self.tell(now + 1, "server", epoch, Kind::ServerReady { pid, url: String::new(), took_s: 1.0 });
    }

    fn asks(&mut self, now: u64, epoch: u64, request: &str) {
        self.ledger.on_sample(&Sample::AttemptBegan { server: "server", epoch, request }, at(now));
    }

    fn leaves(&mut self, now: u64, epoch: u64, request: &str, end: AttemptEnd) {
        self.ledger.on_sample(&Sample::AttemptEnded { server: "server", epoch, request, end }, at(now));
    }

    fn ends(&mut self, now: u64, request: &str, outcome: RequestOutcome) -> News {
        let (took, waited) = (at(1), at(0));
        let sample = Sample::RequestEnded {
            server: "server",
            request,
            outcome,
            code: None,
            took,
            first_byte: None,
            waited,
            attempts: 1,
        };
        self.ledger.on_sample(&sample, at(now))
    }

    fn down(&mut self, now: u64, epoch: u64, reason: &str, ending: (Option<i32>, Option<i32>)) -> News {
        let (code, signal) = ending;
        let kind = Kind::ServerExited { reason: reason.to_owned(), code, signal, message: "m".to_owned(), cause: None };
        self.tell(now, "server", epoch, kind)
    }

    /// What the recorder's task does.
    fn written(&mut self, now: u64) -> Vec<Report> {
        for (id, lines, epoch) in self.ledger.ungathered() {
            self.ledger.gathered(&id, lines(epoch, 50), &Machine::default());
        }
        self.ledger.take_news(at(now))
    }
}

#[test]
fn a_kill_under_two_requests_is_written_with_what_became_of_each_and_when_it_was_back() {
    let mut story = Story::new();
    story.up(0, 1);
    let used = |memory_bytes, cpu| Sample::Used { server: "server", epoch: 1, memory_bytes, cpu: at(cpu) };
    story.ledger.on_sample(&used(300, 10), at(10));
    story.ledger.on_sample(&used(200, 15), at(20));
    for request in ["one", "two", "whole"] {
        story.asks(22, 1, request);
    }
    story.leaves(23, 1, "whole", AttemptEnd::Answered);
    // Connections break before the end is known.
    story.leaves(25, 1, "one", AttemptEnd::Broken);
    story.leaves(25, 1, "two", AttemptEnd::Broken);
    let (request, code, message) = ("two".to_owned(), "server_restarted".to_owned(), String::new());
    story.tell(25, "gateway", 1, Kind::RequestFailed { request, code, message, cut: true });
    assert_eq!(story.down(25, 1, "killed", (None, Some(9))), News::Some);
    story.tell(25, "server", 1, Kind::RestartGranted { consecutive: 1 });
    story.tell(25, "server", 1, Kind::RestartDelayed { delay_s: 2.0 });

    let first = story.written(26).pop().expect("a report");
    assert_eq!(
        (first.id.as_str(), first.pid, first.how),
        ("20260101T000025-server-1", Some(101), How::Signal { signal: 9 })
    );
    assert_eq!(first.decision, Some(Decision::Restart { delay_s: 2.0, consecutive: 1 }));
    assert_eq!((first.uptime_s, first.ready_after_s, first.recovery), (Some(25.0), Some(1.0), None));
    let usage = first.usage.expect("it was looked at");
    assert_eq!((usage.memory_bytes, usage.peak_bytes, usage.looked_s_before), (200, 300, 5.0));
    assert_eq!(usage.processors, Some(0.5));
    assert_eq!(first.last_lines, ["a line of 1"]);
    assert_eq!(first.events.len(), 6);
    let fates: Vec<_> = first.requests.iter().map(|it| (it.request.as_str(), it.for_s, it.way, it.outcome)).collect();
    assert_eq!(fates, [("one", 3.0, Way::Not, Outcome::Open), ("two", 3.0, Way::Not, Outcome::Cut)]);
    assert!(story.written(26).is_empty(), "nothing is new");

    story.up(27, 2);
    story.tell(28, "gateway", 2, Kind::RequestReplayed { request: "one".to_owned(), attempt: 2 });
    assert_eq!(story.ends(29, "one", RequestOutcome::Answered), News::Some);
    let last = story.written(30).pop().expect("the same report again");
    assert_eq!((last.id, last.recovery), (first.id, Some(Recovery { after_s: 3.0, epoch: 2 })));
    assert_eq!((last.requests[0].way, last.requests[0].outcome), (Way::Replayed, Outcome::Answered));
    assert!(story.ledger.cases.is_empty(), "it is settled");
}

#[test]
fn how_it_ended_is_told_from_what_went_before() {
    let unhealthy = |why: &str| Kind::ServerUnhealthy { reason: why.to_owned() };
    let verdicts = [
        ("a completion of one token failed: HTTP 404", How::Canary),
        ("3 health checks in a row were missed: no answer within 5 s", How::Health),
        ("a completion of one token waits, and the server has done nothing for 60 s", How::Stall),
    ];
    for (why, how) in verdicts {
        let mut story = Story::new();
        story.up(0, 1);
        let used = |memory_bytes| Sample::Used { server: "server", epoch: 1, memory_bytes, cpu: at(1) };
        story.ledger.on_sample(&used(100), at(4));
        story.tell(5, "server", 1, unhealthy(why));
        story.ledger.on_sample(&used(3), at(6));
        story.down(6, 1, "unhealthy", (None, None));
        let report = story.written(7).pop().expect("a report");
        assert_eq!((report.how, report.given_up_for.as_deref()), (how, Some(why)));
        assert_eq!(report.usage.map(|usage| usage.memory_bytes), Some(100), "what it used before it was ended");
    }
    for (reason, how) in
        [("start_timeout", How::StartTimeout), ("port_in_use", How::NotStarted), ("canary_failed", How::Canary)]
    {
        let mut story = Story::new();
        story.down(6, 1, reason, (None, None));
        let report = story.written(7).pop().expect("a report");
        assert_eq!((report.how, report.pid, report.uptime_s), (how, None, None));
    }
}

#[test]
fn requests_of_other_servers_epochs_and_times_are_not_blamed_on_this_end() {
    let mut story = Story::new();
    story.up(0, 1);
    story.asks(10, 1, "old");
    story.leaves(11, 1, "old", AttemptEnd::Broken);
    story.ledger.on_sample(&Sample::AttemptBegan { server: "coder", epoch: 1, request: "of another" }, at(50));
    story.asks(50, 1, "left");
    story.leaves(51, 1, "left", AttemptEnd::Abandoned);
    story.asks(60, 1, "there");
    story.down(61, 1, "crashed", (None, Some(11)));
    let report = story.written(62).pop().expect("a report");
    assert_eq!(report.requests.iter().map(|it| it.request.as_str()).collect::<Vec<_>>(), ["there"]);
    // Of a server that hangs they are: they hang because of it.
    story.up(70, 2);
    story.asks(71, 2, "stuck");
    story.tell(75, "server", 2, Kind::HealthSuspected { reason: String::new() });
    story.leaves(80, 2, "stuck", AttemptEnd::Abandoned);
    story.down(180, 2, "unhealthy", (None, None));
    let report = story.written(181).pop().expect("a report");
    assert_eq!(report.requests.iter().map(|it| it.request.as_str()).collect::<Vec<_>>(), ["stuck"]);
}

#[test]
fn a_crash_loop_opens_the_breaker_and_each_end_has_its_own_decision() {
    let mut story = Story::new();
    for epoch in 1..=2 {
        story.up(epoch * 10, epoch);
        story.down(epoch * 10 + 2, epoch, "exit_code", (Some(1), None));
    }
    let (reason, open_for_s) = ("failures".to_owned(), Some(60.0));
    story.tell(22, "server", 2, Kind::BreakerOpened { reason: reason.clone(), open_for_s });
    let reports = story.written(23);
    assert_eq!(reports.len(), 2);
    // The first one was ready again, as far as that goes: epoch 2 was.
    assert_eq!(reports[0].recovery.map(|it| it.epoch), Some(2));
    assert_eq!(reports[1].decision, Some(Decision::Suspend { reason, open_for_s }));
    let then = BreakerThen { before: BreakerState::Closed, after: BreakerState::Open };
    assert_eq!(reports[1].breaker, then);
    story.tell(82, "server", 2, Kind::BreakerHalfOpened);
    story.up(83, 3);
    story.down(85, 3, "exit_code", (Some(1), None));
    let trial = story.written(86).pop().expect("a report");
    assert_eq!(trial.breaker.before, BreakerState::HalfOpen);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut story = Story::new();
    story.up(0, 1);
    for n in 0..5000_u32 {
        story.asks(1, 1, &n.to_string());
        story.tell(1, "server", 1, Kind::HealthFailed { streak: 1, threshold: 3, reason: String::new() });
    }
    story.down(2, 1, "crashed", (None, Some(6)));
    let report = story.written(3).pop().expect("a report");
    assert_eq!((report.requests.len(), report.events.len()), (REQUESTS, EVENTS));
    assert_eq!(report.further_requests, (ATTEMPTS - REQUESTS) as u64);
    for epoch in 2..200 {
        story.down(epoch, epoch, "crashed", (None, Some(6)));
    }
    assert_eq!(story.ledger.cases.len(), CASES);
    assert_eq!(story.ledger.attempts.len(), 0);
    // Nobody waits for the last one's recovery for ever.
    story.written(1000);
    story.tell(2000, "server", 0, Kind::HealthMonitoring);
    story.written(2000);
    assert!(story.ledger.cases.is_empty());
}

#[test]
fn a_server_that_used_too_much_memory_has_a_report_and_one_that_an_operator_stopped_has_none() {
    let mut story = Story::new();
    story.up(0, 1);
    story.tell(5, "server", 1, Kind::ServerStopped { how: "SIGTERM".to_owned() });
    assert!(story.written(6).is_empty());
    story.up(10, 2);
    story.tell(12, "server", 2, Kind::ServerUnhealthy { reason: "9 GiB, of at most 8 GiB".to_owned() });
    story.down(13, 2, "memory_limit", (None, None));
    let report = story.written(14).pop().expect("a report");
    assert_eq!((report.how, report.reason.as_str()), (How::Memory, "memory_limit"));
}

#[test]
fn the_last_lines_are_cut_at_their_beginning() {
    let lines: Vec<_> = (0..100).map(|n| format!("{n:04}{}", "x".repeat(996))).collect();
    let kept = shortened(lines.clone());
    assert_eq!(kept.len(), LINES_BYTES / 1000);
    assert_eq!(kept.last(), lines.last());
}
