//! The child spec: how to start one child, and the rules that it lives by.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use mlx_tree_policy::{BackoffPolicy, Decide, JitterSeed, Reset, Schedule};
use ractor::Actor;

use crate::core::{ChildRules, Spec};
use crate::shell::Payload;
use crate::start::{ActorStart, Start, SubtreeStart};
use crate::{
    ChildContext, ChildId, ChildKind, Epoch, OnIntensityExceeded, Readiness, Restart, Shutdown, Significance, Slot,
    Supervisor,
};

/// How to start one child, and the rules that it lives by.
///
/// The defaults are OTP's: permanent, ready once started, stopped within 5 s (a subtree: without a limit), no policy. By
/// convention a child offers its own spec: `Worker::child_spec(…) -> ChildSpec`.
#[must_use = "a spec does nothing until a supervisor has it"]
pub struct ChildSpec {
    id: ChildId,
    rules: ChildRules,
    shutdown: Option<Shutdown>,
    policy: Option<Box<dyn Decide>>,
    after: Epoch,
    start: Box<dyn Start>,
}

// === impl ChildSpec ===

impl ChildSpec {
    /// A child that is an actor. `start` is called for every incarnation and gives the actor and its arguments.
    ///
    /// `start` runs inside the supervisor and must be quick; what takes long belongs in the actor. If it panics, the start
    /// has failed.
    pub fn actor<A, F>(id: impl Into<ChildId>, start: F) -> Self
    where
        A: Actor,
        F: FnMut(ChildContext) -> (A, A::Arguments) + Send + 'static,
    {
        Self::new(id.into(), ChildKind::Worker, Box::new(ActorStart { make: start, slot: None }))
    }

    /// As [`ChildSpec::actor`], and `slot` always holds the incarnation that runs.
    pub fn actor_in<A, F>(slot: &Slot<A::Msg>, id: impl Into<ChildId>, start: F) -> Self
    where
        A: Actor,
        F: FnMut(ChildContext) -> (A, A::Arguments) + Send + 'static,
    {
        let slot = Some(slot.clone());
        Self::new(id.into(), ChildKind::Worker, Box::new(ActorStart { make: start, slot }))
    }

    /// A child that is a supervisor. `make` is called for every incarnation.
    ///
    /// Its start has succeeded when all of *its* children have started, and it stops its own children in order when it is
    /// stopped. When it gives up it ends with reason shutdown, as in OTP: a permanent subtree is then started anew, a
    /// transient one is not.
    pub fn supervisor<F>(id: impl Into<ChildId>, make: F) -> Self
    where
        F: FnMut(ChildContext) -> Supervisor + Send + 'static,
    {
        Self::new(id.into(), ChildKind::Supervisor, Box::new(SubtreeStart { make }))
    }

    fn new(id: ChildId, kind: ChildKind, start: Box<dyn Start>) -> Self {
        Self {
            id,
            rules: ChildRules {
                restart: Restart::default(),
                shutdown: Shutdown::default_for(kind),
                kind,
                significance: Significance::default(),
                readiness: Readiness::default(),
                on_intensity_exceeded: OnIntensityExceeded::default(),
            },
            shutdown: None,
            policy: None,
            after: Epoch::NEVER,
            start,
        }
    }

    /// Whether the child is started again after it has ended. Default: permanent.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self
    }

    /// How the child is stopped. Default: 5 s for a worker, no limit for a supervisor.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Lets the end of this child end its supervisor, as that one's [`AutoShutdown`](crate::AutoShutdown) says.
    pub fn significant(mut self) -> Self {
        self.rules.significance = Significance::Significant;
        self
    }

    /// What the child counts as; also decides the default shutdown.
    pub fn kind(mut self, kind: ChildKind) -> Self {
        self.rules.kind = kind;
        self
    }

    /// When the child counts as ready. Default: once started.
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.rules.readiness = readiness;
        self
    }

    /// The child calls [`ChildContext::ready`] itself, at most `start_timeout` after its start began.
    pub fn ready_within(self, start_timeout: Duration) -> Self {
        self.readiness(Readiness::Explicit { start_timeout })
    }

    /// Gives the child a restart policy of its own: after each failure it says whether to start again, when, or to suspend.
    ///
    /// A child with a policy does not count towards the supervisor's restart intensity: one counter has one owner.
    pub fn policy(mut self, policy: impl Decide) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    /// Delays each restart by a schedule, such as a [`Backoff`](crate::Backoff). No limit: the child is tried for ever, as a
    /// crash-looping container is.
    ///
    /// The schedule starts anew once the child has stayed ready for its longest delay. Replaces any
    /// [policy](ChildSpec::policy), and like one takes the child out of the supervisor's restart intensity. For another
    /// reset, a seed of one's own, or an end of the tries, give a [`BackoffPolicy`] as the policy.
    pub fn backoff(self, schedule: impl Into<Schedule>) -> Self {
        let schedule = schedule.into();
        // The seed of a hash map is random enough to spread restarts, and needs no dependency.
        let seed = JitterSeed(RandomState::new().build_hasher().finish());
        self.policy(BackoffPolicy::new(schedule, Reset::AfterStable(schedule.longest()), seed))
    }

    /// What happens when this child, having no policy, exceeds the restart intensity. Default: the supervisor gives up.
    pub fn on_intensity_exceeded(mut self, answer: OnIntensityExceeded) -> Self {
        self.rules.on_intensity_exceeded = answer;
        self
    }

    /// Numbers the child's incarnations on from `epoch`: its first one is the next. For a child whose supervisor has been
    /// started anew, so that what knew the earlier incarnations can tell the later ones from them.
    pub fn numbered_after(mut self, epoch: Epoch) -> Self {
        self.after = epoch;
        self
    }

    /// The child's name.
    #[must_use]
    pub const fn id(&self) -> &ChildId {
        &self.id
    }

    /// The rules that the child will live by.
    #[must_use]
    pub fn rules(&self) -> ChildRules {
        let shutdown = self.shutdown.unwrap_or(Shutdown::default_for(self.rules.kind));
        ChildRules { shutdown, ..self.rules }
    }

    pub(crate) fn into_core(self) -> Spec<Payload> {
        let rules = self.rules();
        Spec { id: self.id, rules, policy: self.policy, after: self.after, payload: Payload::new(self.start) }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec").field("id", &self.id).field("rules", &self.rules()).finish_non_exhaustive()
    }
}
