//! What one target is told, and when: a pure machine that is given events and the time.
//!
//! ```text
//!             hear(event)                                   next(now)
//!   event ──▶ wanted? ──▶ told lately? ──no──▶ queue ──▶ interval over? ──▶ Send(first, with what waits behind it)
//!                              │ yes                          │ no
//!                              ▼                              ▼
//!                       counted, and told                 Wait(until)
//!                       when its time is up
//! ```
//!
//! * The same alarm (child, event, reason) is told once in [`REPEAT_AFTER`]; if it came again meanwhile, once more then, with
//!   the number. An alarm that is over is forgotten, so the next one is news.
//! * Whoever was told of an alarm is told when it is over, whatever else they asked for.
//! * Between two messages lies the target's interval. What comes meanwhile is one message afterwards, in order.
//! * A full queue keeps its first and its latest notices, and counts the others: they are told as a number.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use mlx_tree_api::Event;

use crate::alarm::{self, Is};
use crate::message::is_exit;
use crate::{Message, Notice, Source, Standing, Target};

/// The same alarm is told at most once in so much time.
pub(crate) const REPEAT_AFTER: Duration = Duration::from_secs(600);
/// So many exits …
const EXITS: usize = 3;
/// … in so much time need a human.
const EXITS_WITHIN: Duration = Duration::from_secs(600);
/// So many notices wait at most, …
const QUEUE: usize = 64;
/// … of which the first so many are kept when there are more.
const QUEUE_HEAD: usize = 8;
/// So many notices are told in words in one message.
const IN_WORDS: usize = 8;
/// So many different alarms are remembered.
const REMEMBERED: usize = 256;

/// What one target is told, and when.
#[derive(Debug)]
pub struct Desk {
    target: Target,
    source: Source,
    queue: VecDeque<Notice>,
    /// Notices that found no room.
    uncounted: u32,
    told: BTreeMap<Key, Told>,
    /// Alarms that have been told and are not over: child and event.
    raised: BTreeSet<(String, String)>,
    exits: BTreeMap<String, VecDeque<Instant>>,
    /// When the last message was delivered, or given up.
    sent: Option<Instant>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Deliver this, and then say [`Desk::sent`].
    Send(Box<Message>),
    /// Nothing before this moment.
    Wait(Instant),
    /// Nothing until there is an event.
    Idle,
}

/// Child, event, reason.
type Key = (String, String, String);

#[derive(Debug)]
struct Told {
    until: Instant,
    again: u32,
    last: Notice,
}

// === impl Desk ===

impl Desk {
    /// One that has told nothing yet.
    #[must_use]
    pub fn new(target: Target, source: Source) -> Self {
        Self {
            target,
            source,
            queue: VecDeque::new(),
            uncounted: 0,
            told: BTreeMap::new(),
            raised: BTreeSet::new(),
            exits: BTreeMap::new(),
            sent: None,
        }
    }

    /// Goes by what `target` asks for from now on. What has been told and what waits stays.
    pub fn retarget(&mut self, target: Target) {
        self.target = target;
    }

    /// Something has happened.
    pub fn hear(&mut self, event: &Event, now: Instant) {
        let name = event.kind.name();
        if self.over(event) {
            return self.accept(Notice::of(event, Standing::Recovered, &self.source));
        }
        match alarm::is(event, &self.target) {
            Is::Alarm(reason) => self.alarm((event.child.clone(), name.to_owned(), reason), event, now),
            Is::Nothing if is_exit(&event.kind) => self.count_exit(event, now),
            Is::Nothing => {}
        }
    }

    /// What is to be done now.
    #[must_use]
    pub fn next(&mut self, now: Instant) -> Next {
        self.tell_repeated(now);
        if self.queue.is_empty() {
            // An alarm that came again is told when its time is up.
            let due = self.told.values().filter(|told| told.again > 0).map(|told| told.until).min();
            return due.map_or(Next::Idle, Next::Wait);
        }
        match self.sent.map(|sent| sent + self.target.min_interval) {
            Some(earliest) if earliest > now => Next::Wait(earliest),
            Some(_) | None => self.take().map_or(Next::Idle, |message| Next::Send(Box::new(message))),
        }
    }

    /// All that waits, whatever the interval says: nothing comes after it.
    #[must_use]
    pub fn last_words(&mut self) -> Option<Message> {
        let again = self.told.values_mut().filter(|told| told.again > 0);
        let notices: Vec<Notice> = again.map(|told| Notice { count: told.again, ..told.last.clone() }).collect();
        self.told.clear();
        notices.into_iter().for_each(|notice| self.accept(notice));
        self.take()
    }

    /// A message has been delivered, or given up.
    pub fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn alarm(&mut self, key: Key, event: &Event, now: Instant) {
        self.raise(key, Notice::of(event, Standing::Raised, &self.source), now);
    }

    fn raise(&mut self, key: Key, notice: Notice, now: Instant) {
        self.tell_repeated(now);
        match self.told.get_mut(&key) {
            Some(told) => {
                told.again += 1;
                told.last = notice;
            }
            None => {
                self.raised.insert((key.0.clone(), key.1.clone()));
                self.remember(key, notice.clone(), now);
                self.accept(notice);
            }
        }
    }

    /// Whether an alarm is over with this that has been told.
    fn over(&mut self, event: &Event) -> bool {
        let mut over = false;
        for alarm in alarm::ends(event.kind.name()) {
            // One that was counted is told before its end is.
            let keys: Vec<Key> =
                self.told.keys().filter(|(child, name, _)| *child == event.child && name == alarm).cloned().collect();
            for key in keys {
                if let Some(Told { again: again @ 1.., last, .. }) = self.told.remove(&key) {
                    self.accept(Notice { count: again, ..last });
                }
            }
            over |= self.raised.remove(&(event.child.clone(), (*alarm).to_owned()));
        }
        over
    }

    fn count_exit(&mut self, event: &Event, now: Instant) {
        let exits = self.exits.entry(event.child.clone()).or_default();
        exits.retain(|at| now.saturating_duration_since(*at) < EXITS_WITHIN);
        exits.push_back(now);
        // More than these say nothing new, and a crash loop must not take memory.
        while exits.len() > EXITS * 10 {
            exits.pop_front();
        }
        let (count, minutes) = (exits.len(), EXITS_WITHIN.as_secs() / 60);
        if count >= EXITS {
            let key = (event.child.clone(), "exits".to_owned(), String::new());
            let notice = Notice::of_repeated_exits(event, count, minutes, &self.source);
            self.raise(key, notice, now);
        }
    }

    /// Tells what came again while it was not told.
    fn tell_repeated(&mut self, now: Instant) {
        let due: Vec<Key> =
            self.told.iter().filter(|(_, told)| told.until <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            if let Some(Told { again: again @ 1.., last, .. }) = self.told.remove(&key) {
                let notice = Notice { count: again, ..last };
                self.remember(key, notice.clone(), now);
                self.accept(notice);
            }
        }
    }

    fn remember(&mut self, key: Key, last: Notice, now: Instant) {
        if self.told.len() >= REMEMBERED
            && let Some(oldest) = self.told.iter().min_by_key(|(_, told)| told.until).map(|(key, _)| key.clone())
            && let Some(Told { again: again @ 1.., last, .. }) = self.told.remove(&oldest)
        {
            self.accept(Notice { count: again, ..last });
        }
        self.told.insert(key, Told { until: now + REPEAT_AFTER, again: 0, last });
    }

    fn accept(&mut self, notice: Notice) {
        if self.queue.len() == QUEUE
            && let Some(dropped) = self.queue.remove(QUEUE_HEAD)
        {
            self.uncounted = self.uncounted.saturating_add(dropped.count);
        }
        self.queue.push_back(notice);
    }

    fn take(&mut self) -> Option<Message> {
        let notice = self.queue.pop_front()?;
        let waiting = self.queue.len();
        let others: Vec<Notice> = self.queue.drain(..waiting.min(IN_WORDS - 1)).collect();
        let unsaid = self.queue.drain(..).map(|notice| notice.count);
        let more = unsaid.fold(std::mem::take(&mut self.uncounted), u32::saturating_add);
        Some(Message { notice, others, more })
    }
}

#[cfg(test)]
mod tests;
