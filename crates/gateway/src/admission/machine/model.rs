//! Random histories against a model that counts for itself: who is in, who waits, and who has overtaken whom.

mod history;
mod trust;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::admission::ClientKey;
use crate::backend::{End, Ended};
use history::{Happens, News, happens};
use trust::Trust;

const MAX_QUEUE: usize = 6;
const STABLE: Duration = Duration::from_secs(30);

/// One that waits, as the model sees it.
struct Waits {
    seq: Seq,
    client: ClientKey,
    standing: Standing,
    deadline: Instant,
    returning: bool,
    /// How many of its own client were before it when it came.
    behind: usize,
    /// How often each other client has been served since.
    overtaken: BTreeMap<ClientKey, usize>,
}

/// What counts as in flight.
#[derive(Clone, Copy)]
struct Flies {
    /// Until when a suspect is left alone.
    alone: Option<Instant>,
    /// Until when it is kept, if nobody uses it.
    until: Option<Instant>,
}

struct Model {
    machine: Admission,
    now: Instant,
    waits: BTreeMap<Place, Waits>,
    flies: BTreeMap<Slot, Flies>,
    /// Permits that somebody holds, of whatever incarnation.
    held: Vec<Grant>,
    trust: Trust,
    /// Whether there is a server that works.
    serves: bool,
    began: usize,
    ended: usize,
}

// === impl Model ===

impl Model {
    fn new() -> Self {
        let now = Instant::now();
        let max_inflight = NonZeroUsize::new(3).expect("not zero");
        let limits = Limits { max_inflight, max_queue: MAX_QUEUE, stable: STABLE, linger_max: Duration::from_secs(2) };
        let backend = Backend::new(0, BackendState::Asleep);
        Self {
            machine: Admission::new(limits, backend, now),
            now,
            waits: BTreeMap::new(),
            flies: BTreeMap::new(),
            held: Vec::new(),
            trust: Trust { max: 3, base: 3, ready: None, seen: false, slow: false, tried: None },
            serves: false,
            began: 0,
            ended: 0,
        }
    }

    fn happens(&mut self, what: &Happens) {
        let mut effects = Vec::new();
        match *what {
            Happens::Arrive { client, patience, standing } => self.arrive(client, patience, standing, None),
            Happens::Return { held, patience, standing } => {
                if let Some(grant) = self.take(held) {
                    self.machine.on_finish(self.now, grant.slot, Outcome::Failed, &mut effects);
                    self.flies.remove(&grant.slot);
                    self.carry_out(std::mem::take(&mut effects));
                    self.arrive(0, patience, standing, Some(grant.seq));
                }
            }
            Happens::Leave(which) => {
                let place = self.waits.keys().nth(which % self.waits.len().max(1)).copied();
                if let Some(place) = place {
                    self.machine.on_leave(self.now, place, &mut effects);
                    self.end(place);
                }
            }
            Happens::Finish(which, outcome) => {
                if let Some(grant) = self.take(which) {
                    self.machine.on_finish(self.now, grant.slot, outcome, &mut effects);
                    self.finished(grant.slot, outcome);
                    // The same may be said twice, and long after the incarnation: it changes nothing.
                    self.machine.on_finish(self.now, Slot(u64::MAX), outcome, &mut effects);
                }
            }
            Happens::Linger(which, grace) => {
                if let Some(grant) = self.take(which) {
                    let grace = Duration::from_millis(grace);
                    self.machine.on_linger(self.now, grant.slot, grace, &mut effects);
                    self.keep(grant.slot, grace.min(Duration::from_secs(2)));
                }
            }
            Happens::Backend(news, end) => self.news(news, end, &mut effects),
            Happens::Pass(millis) => return self.pass(Duration::from_millis(millis)),
            Happens::MaxInflight(max) => {
                let limits = Limits { max_inflight: NonZeroUsize::new(max).expect("not zero"), ..self.machine.limits };
                self.machine.on_limits(self.now, limits, &mut effects);
                let climbed = self.trust.climbed(self.now);
                self.trust.base = if climbed == self.trust.max { max } else { climbed.min(max) };
                self.trust.max = max;
                self.trust.ready = self.trust.ready.map(|_| self.now);
            }
        }
        self.carry_out(effects);
    }

    fn arrive(&mut self, client: u8, patience: u64, standing: Standing, arrived: Option<Seq>) {
        let client = ClientKey::Token(u64::from(client));
        let entry = Entry { client, deadline: self.now + Duration::from_millis(patience), arrived, standing };
        let behind = self.waits.values().filter(|waits| !waits.returning && waits.client == client).count();
        let (full, mut effects) = (self.waits.len() >= MAX_QUEUE, Vec::new());
        self.began += 1;
        match self.machine.on_arrive(self.now, &entry, &mut effects) {
            Arrival::Admitted(grant) => {
                assert!(self.waits.is_empty(), "nobody is overtaken by a newcomer");
                assert!(arrived.is_none_or(|seq| seq == grant.seq));
                self.admitted(grant, standing, entry.deadline);
                self.ended += 1;
            }
            Arrival::Waiting(place) => {
                let seq = arrived.unwrap_or(Seq(self.machine.next_seq - 1));
                let (deadline, returning, overtaken) = (entry.deadline, arrived.is_some(), BTreeMap::new());
                let waits = Waits { seq, client, standing, deadline, returning, behind, overtaken };
                assert!(self.waits.insert(place, waits).is_none(), "a place is never given twice");
            }
            Arrival::Denied(denied) => {
                if matches!(denied, Denied::Overloaded { .. }) {
                    assert!(full && arrived.is_none(), "only a full queue sends away, and none that comes back");
                }
                self.ended += 1;
            }
        }
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        self.flies.retain(|_, flies| flies.until.is_none_or(|until| until > self.now));
        for effect in effects {
            match effect {
                Effect::Admit(place, grant) => {
                    let waits = self.end(place);
                    self.admitted(grant, waits.standing, waits.deadline);
                    self.in_order(place, &waits);
                }
                Effect::Deny(place, denied) => {
                    let waits = self.end(place);
                    if matches!(denied, Denied::ShareExceeded { .. }) {
                        let younger = self.waits.iter().filter(|(other, _)| **other > place);
                        let mut own = younger.filter(|(_, other)| !other.returning && other.client == waits.client);
                        assert!(
                            !waits.returning && own.next().is_none(),
                            "the youngest of its client, and none that had its turn"
                        );
                    }
                }
                Effect::Wanted => {
                    let state = &self.machine.backend.state;
                    assert!(matches!(state, BackendState::Asleep | BackendState::Yielding { .. }));
                }
            }
        }
        self.check();
    }

    /// It does not wait any more, which happens once.
    fn end(&mut self, place: Place) -> Waits {
        self.ended += 1;
        self.waits.remove(&place).expect("one that waits, and has not been answered")
    }

    fn admitted(&mut self, grant: Grant, standing: Standing, deadline: Instant) {
        let trial = self.now + STABLE;
        assert_eq!(grant.epoch, self.machine.backend.epoch);
        assert!(matches!(self.machine.backend.state, BackendState::Ready { .. }), "the gate is open");
        assert!(self.now < deadline, "nobody is let in past its deadline");
        assert!(self.flies.len() < self.trust.limit(self.now), "no more than the server is trusted with");
        assert!(!self.flies.values().any(|flies| flies.alone > Some(self.now)), "nobody joins a suspect");
        let alone = match standing {
            Standing::Fresh => None,
            Standing::Suspect => Some(trial),
        };
        assert!(alone.is_none() || self.flies.is_empty(), "a suspect joins nobody");
        assert!(self.flies.insert(grant.slot, Flies { alone, until: None }).is_none(), "a slot is never given twice");
        self.trust.tried = self.trust.tried.or(Some(self.now));
        self.held.push(grant);
    }

    /// The one that has been let in was the next: the oldest that came back, or the oldest of a client whose turn it was.
    fn in_order(&mut self, place: Place, served: &Waits) {
        for (other, waits) in &mut self.waits {
            if waits.returning {
                assert!(served.returning && served.seq <= waits.seq, "those who come back go first, the oldest first");
            } else if !served.returning && waits.client == served.client {
                assert!(place < *other, "first come, first served, within a client");
            } else if !served.returning {
                let times = waits.overtaken.entry(served.client).or_default();
                *times += 1;
                assert!(*times <= waits.behind + 1, "another client has one turn for each of one's own");
            }
        }
    }

    fn take(&mut self, which: usize) -> Option<Grant> {
        (!self.held.is_empty()).then(|| self.held.remove(which % self.held.len()))
    }

    fn finished(&mut self, slot: Slot, outcome: Outcome) {
        match outcome {
            Outcome::BackendDied if self.machine.address().is_some() => self.keep(slot, DEATH_NOTICE),
            Outcome::Succeeded | Outcome::Failed | Outcome::BackendDied => {
                let counted = self.flies.remove(&slot).is_some();
                self.trust.slow &= !(counted && outcome == Outcome::Succeeded);
            }
        }
    }

    fn keep(&mut self, slot: Slot, grace: Duration) {
        if let Some(flies) = self.flies.get_mut(&slot) {
            flies.until = Some(self.now + grace);
        }
    }

    fn news(&mut self, news: News, end: Option<End>, effects: &mut Vec<Effect>) {
        let before = self.machine.backend.clone();
        let (at, reason) = (|after: u64| self.now + Duration::from_millis(after), std::sync::Arc::from("it fell"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_000));
        let (epoch, state) = match news {
            News::Ready => (before.epoch + 1, BackendState::Ready { address }),
            News::ReadyAgain => (before.epoch, BackendState::Ready { address }),
            News::Restarting(after) => (before.epoch, BackendState::Restarting { ready_at: after.map(at), reason }),
            News::BreakerOpen(after) => (before.epoch, BackendState::BreakerOpen { ready_at: after.map(at), reason }),
            News::Yielding => (before.epoch, BackendState::Yielding { address, reason }),
            News::Finishing => (before.epoch, BackendState::Finishing { reason }),
            News::Recycling => (before.epoch, BackendState::Recycling { reason }),
            News::Asleep => (before.epoch, BackendState::Asleep),
            News::Stopped => (before.epoch, BackendState::Stopped { reason }),
            News::Draining => (before.epoch, BackendState::Draining),
        };
        // Whoever has ended is not ready.
        let end = end.filter(|_| !matches!(news, News::ReadyAgain));
        let served = self.serves;
        let up = matches!(news, News::Ready | News::ReadyAgain | News::Yielding | News::Finishing | News::Draining);
        let serves = up && (end.is_none() || epoch != before.epoch);
        let stays = served && epoch == before.epoch && serves;
        let planned = matches!(news, News::Recycling | News::Asleep | News::Stopped | News::Finishing | News::Draining);
        let death = end.map_or(!planned, |end| end == End::Death);
        if served && !stays {
            self.trust.base = self.trust.climbed(self.now);
            if death
                && self.flies.iter().filter(|(_, flies)| flies.until.is_none_or(|until| until > self.now)).count() > 1
            {
                self.trust.base = 1;
            }
            (self.trust.ready, self.trust.seen) = (None, true);
            self.flies.clear();
        }
        if serves && !stays {
            self.trust.ready = Some(self.now);
            (self.trust.slow, self.trust.tried) = (self.trust.seen, None);
        }
        self.serves = serves;
        let ended = end.map(|how| Ended { epoch: before.epoch, how });
        self.machine.on_backend(self.now, Backend { epoch, state, ended }, effects);
    }

    /// Lets time pass as the shell does: it wakes when the machine asks for it, and at each deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let deadline = self.waits.iter().map(|(place, waits)| (waits.deadline, *place)).min();
            let wake = self.machine.next_wake(self.now);
            assert!(wake.is_none_or(|wake| wake > self.now), "a timer that never sleeps");
            let next = deadline.map(|(at, _)| at).into_iter().chain(wake).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next.max(self.now);
            let mut effects = Vec::new();
            match deadline.filter(|(at, _)| *at <= self.now) {
                Some((_, place)) => {
                    let denied = self.machine.on_expire(self.now, place, &mut effects);
                    assert!(matches!(denied, Some(Denied::TimedOut { .. })), "it waited until now");
                    self.end(place);
                }
                None => self.machine.on_time(self.now, &mut effects),
            }
            self.carry_out(effects);
        }
        self.now = end;
        let mut effects = Vec::new();
        self.machine.on_time(self.now, &mut effects);
        assert!(effects.is_empty(), "whatever time brings about has a wake-up: {effects:?}");
        self.carry_out(effects);
    }

    fn check(&mut self) {
        let snapshot = self.machine.snapshot(self.now);
        assert_eq!((snapshot.in_flight, snapshot.queued), (self.flies.len(), self.waits.len()), "the books balance");
        assert_eq!(self.began, self.ended + self.waits.len(), "each entry ends once");
        let newcomers = self.waits.values().filter(|waits| !waits.returning).count();
        assert!(newcomers <= MAX_QUEUE, "the queue is bounded");
        match &self.machine.backend.state {
            BackendState::Ready { .. } => {
                let suspects = self.waits.values().any(|waits| waits.standing == Standing::Suspect);
                let alone = self.flies.values().any(|flies| flies.alone > Some(self.now));
                let room = self.flies.len() < self.trust.limit(self.now) && !alone && !suspects;
                assert!(self.waits.is_empty() || !(room || self.flies.is_empty()), "nobody waits for nothing");
            }
            BackendState::Stopped { .. } | BackendState::Finishing { .. } | BackendState::Draining => {
                assert!(self.waits.is_empty(), "nobody waits in vain");
            }
            BackendState::BreakerOpen { ready_at, .. } => {
                assert!(ready_at.is_some() || self.waits.is_empty(), "nobody waits for a breaker that nothing closes");
            }
            BackendState::Restarting { .. }
            | BackendState::Recycling { .. }
            | BackendState::Yielding { .. }
            | BackendState::Asleep => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_books_balance_and_nobody_is_cheated(history in proptest::collection::vec(happens(), 1..120)) {
        let mut model = Model::new();
        model.happens(&Happens::Backend(News::Ready, None));
        for what in &history {
            model.happens(what);
        }
        // When it is over: the server is there, and whoever is in ends. All that wait are let in or told, and nothing is left.
        model.happens(&Happens::Backend(News::Ready, None));
        while let Some(grant) = model.held.first().copied() {
            model.happens(&Happens::Finish(0, Outcome::Succeeded));
            prop_assert!(!model.held.contains(&grant));
        }
        model.happens(&Happens::Pass(200_000));
        prop_assert!(model.waits.is_empty());
        prop_assert_eq!(model.machine.snapshot(model.now).in_flight, 0);
        prop_assert_eq!(model.began, model.ended);
    }
}
