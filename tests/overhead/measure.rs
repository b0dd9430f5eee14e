//! One turn of a contestant, and the numbers of many.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::load::{Connection, Kind, Streamed, question};

/// What a turn consists of.
pub struct Round {
    pub turn: Duration,
    pub connections: usize,
    pub tokens: u32,
    pub stream_tokens: u32,
    pub pace: u32,
}

/// What a turn has shown.
pub struct Turn {
    pub alone: Rate,
    pub together: Rate,
    pub at_once: Rate,
    pub first: Vec<Duration>,
    pub delays: Vec<Duration>,
    pub errors: usize,
}

/// Many requests one after the other, on one connection or on several.
pub struct Rate {
    pub spans: Vec<Duration>,
    pub per_second: f64,
    /// Processor time of whoever is between, in microseconds a request: unlike all else, no other load disturbs it much.
    pub work: f64,
}

/// One number of each round.
#[derive(Default)]
pub struct Numbers {
    pub alone: Line,
    pub together: Line,
    pub at_once: Line,
    pub first: (Vec<f64>, Vec<f64>),
    pub delays: (Vec<f64>, Vec<f64>),
    pub errors: usize,
}

/// Median, 99th percentile (in milliseconds) and requests a second, one of each for each round.
#[derive(Default)]
pub struct Line {
    pub p50: Vec<f64>,
    pub p99: Vec<f64>,
    pub per_second: Vec<f64>,
    pub work: Vec<f64>,
}

/// So many streams at the same time.
const STREAMS: usize = 4;

// === impl Round ===

impl Round {
    /// Measures who is at `address`; `work` tells how much processor time that has taken so far, in nanoseconds.
    pub fn measure(&self, address: SocketAddr, work: impl Fn() -> u64) -> Turn {
        let plain = question(address, self.tokens, 0, Kind::Plain);
        let stream = question(address, self.tokens, 0, Kind::Stream);
        let mut errors = 0;
        let mut rate = |question: &[u8], connections| {
            let before = work();
            let (mut rate, failed) = self.rate(address, question, connections);
            let worked = Duration::from_nanos(work() - before).as_secs_f64() * 1e6;
            rate.work = worked / f64::from(u32::try_from(rate.spans.len().max(1)).unwrap_or(u32::MAX));
            errors += failed;
            rate
        };
        let alone = rate(&plain, 1);
        let together = rate(&plain, self.connections);
        let at_once = rate(&stream, 1);
        let paced = question(address, self.stream_tokens, self.pace, Kind::Stream);
        let streams: Vec<Streamed> = thread::scope(|scope| {
            let running: Vec<_> = (0..STREAMS)
                .map(|number| {
                    let paced = &paced;
                    scope.spawn(move || {
                        // Not all tokens at the same instant: they would wait for each other, for whoever is between.
                        thread::sleep(Duration::from_micros(1300) * u32::try_from(number).unwrap_or(0));
                        Connection::open(address).map(|mut connection| connection.stream(paced)).unwrap_or_default()
                    })
                })
                .collect();
            running.into_iter().map(|it| it.join().expect("it measures and does nothing else")).collect()
        });
        let expected = usize::try_from(self.stream_tokens).unwrap_or(usize::MAX);
        errors += streams.iter().filter(|it| !it.whole || it.delays.len() != expected).count();
        let first = streams.iter().filter_map(|it| it.first).collect();
        // The first tokens bear the connecting of those between.
        let delays = streams.iter().flat_map(|it| it.delays.iter().skip(5).copied()).collect();
        Turn { alone, together, at_once, first, delays, errors }
    }

    fn rate(&self, address: SocketAddr, question: &[u8], connections: usize) -> (Rate, usize) {
        let start = Instant::now();
        let parts: Vec<(Vec<Duration>, usize)> = thread::scope(|scope| {
            let running: Vec<_> = (0..connections)
                .map(|_| {
                    scope.spawn(move || {
                        let (mut spans, mut failed) = (Vec::with_capacity(1 << 16), 0);
                        let Ok(mut connection) = Connection::open(address) else { return (spans, 1) };
                        while start.elapsed() < self.turn {
                            match connection.ask(question) {
                                Some(took) => spans.push(took),
                                None => {
                                    failed += 1;
                                    match Connection::open(address) {
                                        Ok(next) => connection = next,
                                        Err(_) => break,
                                    }
                                }
                            }
                        }
                        (spans, failed)
                    })
                })
                .collect();
            running.into_iter().map(|it| it.join().expect("it measures and does nothing else")).collect()
        });
        let took = start.elapsed().as_secs_f64();
        let failed = parts.iter().map(|(_, failed)| failed).sum();
        let mut spans: Vec<_> = parts.into_iter().flat_map(|(spans, _)| spans).collect();
        spans.sort_unstable();
        let per_second = f64::from(u32::try_from(spans.len()).unwrap_or(u32::MAX)) / took;
        (Rate { spans, per_second, work: 0.0 }, failed)
    }
}

// === impl Numbers ===

impl Numbers {
    pub fn add(&mut self, turn: &Turn) {
        self.alone.add(&turn.alone);
        self.together.add(&turn.together);
        self.at_once.add(&turn.at_once);
        for (list, spans) in [(&mut self.first, &turn.first), (&mut self.delays, &turn.delays)] {
            let mut spans = spans.clone();
            spans.sort_unstable();
            list.0.push(at(&spans, 50));
            list.1.push(at(&spans, 99));
        }
        self.errors += turn.errors;
    }
}

impl Line {
    fn add(&mut self, rate: &Rate) {
        self.p50.push(at(&rate.spans, 50));
        self.p99.push(at(&rate.spans, 99));
        self.per_second.push(rate.per_second);
        self.work.push(rate.work);
    }
}

/// In milliseconds.
fn at(sorted: &[Duration], percent: usize) -> f64 {
    let place = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(place).map_or(f64::NAN, |span| span.as_secs_f64() * 1000.0)
}

/// The one in the middle.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
