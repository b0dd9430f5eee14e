//! What is drawn of the last minutes.

use std::time::Duration;

use mlx_tree_api::{AttemptEnd, Phase, PhaseBegan, Point, Sample};

use super::{Story, exited};

/// Stamps that say how long ago, in seconds.
fn ago(ago: Duration) -> String {
    format!("{:.0}", ago.as_secs_f64())
}

fn points(story: &mut Story) -> Vec<Point> {
    let now = story.now;
    let (_, server) = story.totals.servers_mut().next().expect("a server");
    server.ring.points(now, ago)
}

fn phases(story: &mut Story) -> Vec<PhaseBegan> {
    let now = story.now;
    let (_, server) = story.totals.servers_mut().next().expect("a server");
    server.ring.phases(now, ago)
}

fn tokens(count: u64) -> Sample<'static> {
    Sample::Tokens { server: "server", count }
}

#[test]
fn tokens_are_told_as_a_rate_of_the_step_in_which_they_came() {
    let mut story = Story::of(&["server"]);
    story.at(1.0).sample(&tokens(10)).at(4.9).sample(&tokens(10)).at(5.0).sample(&tokens(50)).at(17.0);
    let points = points(&mut story);
    let rates: Vec<_> = points.iter().map(|point| (point.at.as_str(), point.tokens_per_s)).collect();
    assert_eq!(rates, [("12", 4.0), ("7", 10.0), ("2", 0.0), ("0", 0.0)]);
}

#[test]
fn what_is_there_at_the_end_of_a_step_is_told_of_it() {
    let mut story = Story::of(&["server"]);
    let began = Sample::AttemptBegan { server: "server", epoch: 1, request: "r" };
    let ended = Sample::AttemptEnded { server: "server", epoch: 1, request: "r", end: AttemptEnd::Answered };
    story.at(1.0).sample(&began).sample(&began).sample(&Sample::WaitBegan { server: "server" });
    story.at(7.0).sample(&ended).at(8.0).sample(&Sample::WaitEnded { server: "server" }).sample(&ended).sample(&ended);
    let points = points(&mut story);
    let seen: Vec<_> = points.iter().map(|point| (point.in_flight, point.queued)).collect();
    assert_eq!(seen, [(2, 1), (0, 0)], "and an end too many makes nothing of it negative");
}

#[test]
fn memory_is_there_while_a_process_is_and_its_rate_holds_since_it_was_last_measured() {
    let mut story = Story::of(&["server"]);
    let used = |cpu| Sample::Used { server: "server", epoch: 1, memory_bytes: 100, cpu: Duration::from_secs(cpu) };
    story.at(2.0).sample(&used(10)).at(12.0).sample(&used(15)).at(16.0).event(1, exited("killed")).at(21.0);
    let points = points(&mut story);
    let seen: Vec<_> = points.iter().map(|point| (point.memory_bytes, point.cpu_cores)).collect();
    assert_eq!(seen, [(Some(100), 0.5), (Some(100), 0.5), (Some(100), 0.5), (None, 0.0), (None, 0.0)]);
}

#[test]
fn a_quarter_of_an_hour_is_remembered_whatever_happens() {
    let mut story = Story::of(&["server"]);
    for second in 0..5_000 {
        story.at(f64::from(second)).sample(&tokens(1));
    }
    assert_eq!(points(&mut story).len(), 181);
    story.at(1e9);
    let points = points(&mut story);
    assert_eq!(points.len(), 181, "nor does a long sleep take long");
    assert!(points.iter().all(|point| point.tokens_per_s == 0.0));
}

#[test]
fn phases_are_remembered_as_far_back_as_the_points_go() {
    let mut story = Story::of(&["server"]);
    story.at(0.0).enters("server", Phase::Starting).at(3.0).enters("server", Phase::Ready);
    story.at(2_000.0).enters("server", Phase::Backoff).at(2_002.0).enters("server", Phase::Starting).at(2_010.0);
    let seen: Vec<_> = phases(&mut story).into_iter().map(|phase| (phase.phase, phase.at)).collect();
    let seen: Vec<_> = seen.iter().map(|(phase, at)| (phase.as_str(), at.as_str())).collect();
    assert_eq!(
        seen,
        [("ready", "2007"), ("backoff", "10"), ("starting", "8")],
        "what it was in at the left edge is told"
    );
    for flap in 0..10_000 {
        let phase = if flap % 2 == 0 { Phase::Busy } else { Phase::Ready };
        story.enters("server", phase);
    }
    assert!(phases(&mut story).len() <= 256);
}

#[test]
fn the_default_server_is_the_first_one_of_a_trend() {
    let metrics = crate::Metrics::new(["main".to_owned(), "coder".to_owned()]);
    let trend = metrics.trend();
    assert_eq!(trend.step_s, 5.0);
    assert_eq!(trend.servers.iter().map(|server| server.server.as_str()).collect::<Vec<_>>(), ["main", "coder"]);
    let at = &trend.servers[0].points.last().expect("one of now").at;
    assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
}
