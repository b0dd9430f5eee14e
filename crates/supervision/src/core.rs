//! The supervisor as a pure machine: one input in, effects out, no clock, no I/O, no actor.
//!
//! ```text
//!  Input ──▶ step(now, input) ──▶ effects          busy?  exits, mutating calls, retries and stop wait in `mail`, in order
//!               │
//!               ├─ Operation::Boot      start the children in order
//!               ├─ Operation::Start     start one child            (restart, start_child, restart_child)
//!               ├─ Operation::Group     stop a group in reverse, then start it in order or wait
//!               ├─ Operation::Terminate stop one child             (terminate_child, suspend_child)
//!               ├─ Operation::Shutdown  stop all in reverse order  ──▶ Effect::Exit
//!               └─ Operation::Parallel  stop or kill all at once   ──▶ Effect::Exit
//! ```
//!
//! OTP's supervisor is a process that blocks while it starts or stops a child; what arrives meanwhile waits in its mailbox.
//! This machine never blocks: it keeps the operation in progress as a value, and the mailbox as a queue. So it gives the
//! same answers in the same order, and can still be asked how things stand at any moment.
//!
//! The driver ([the crate's actor](crate::SupervisorHandle), or a test with a scripted world) carries the effects out and
//! feeds back what came of them. Every input about a child names its incarnation; what comes late is dropped.

mod api;
mod child;
mod debug;
mod group;
mod mail;
mod operation;
mod restart;
mod start;
mod stop;
mod table;

use std::collections::VecDeque;
use std::time::Duration;

use mlx_tree_policy::{Decide, Intensity, Monotonic, RestartWindow};

use crate::{
    AutoShutdown, ChildCounts, ChildId, ChildKind, ChildState, ChildStatus, Epoch, EventKind, ExitReason, InvalidSpec,
    OnIntensityExceeded, Readiness, Restart, Shutdown, Significance, Strategy, SupervisorExit, SupervisorPhase,
};

use child::Node;
use mail::Mail;
use operation::Operation;
pub use table::Key;
use table::Table;

/// Above this, the number of restarts in the window is that of the last restart, and not searched anew.
const MANY_RESTARTS: usize = 64;

/// The rules that one child lives by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildRules {
    /// Whether it is started again after it has ended.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// Whether its end can end the supervisor.
    pub significance: Significance,
    /// When it counts as ready.
    pub readiness: Readiness,
    /// What happens when it exceeds the restart intensity.
    pub on_intensity_exceeded: OnIntensityExceeded,
}

/// Rules of a child that may be changed while it runs. What is `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleChange {
    /// Whether it is started again after it has ended.
    pub restart: Option<Restart>,
    /// How it is stopped.
    pub shutdown: Option<Shutdown>,
    /// When it counts as ready.
    pub readiness: Option<Readiness>,
}

/// A child as the machine knows it. `payload` is the driver's own: whatever it needs to start and to reach the child.
pub struct Spec<P> {
    /// The child's name.
    pub id: ChildId,
    /// The rules it lives by.
    pub rules: ChildRules,
    /// What to do after a failure; without one, OTP's rules.
    pub policy: Option<Box<dyn Decide>>,
    /// The incarnation after which this child's are numbered; [`Epoch::NEVER`] for a child without a past.
    pub after: Epoch,
    /// The driver's own.
    pub payload: P,
}

/// What a supervisor is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Which children a failure takes with it.
    pub strategy: Strategy,
    /// The limit on restarts. A period of whole seconds is counted as OTP does, in whole seconds of the clock.
    pub intensity: Intensity,
    /// When the end of significant children ends the supervisor.
    pub auto_shutdown: AutoShutdown,
    /// How many children [`Strategy::Dynamic`] allows, those that wait for a restart included.
    pub max_children: usize,
    /// How long after a kill a child counts as stuck.
    pub kill_grace: Duration,
    /// When queries are answered.
    pub queries: QueryOrder,
}

/// When queries are answered while an operation is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueryOrder {
    /// At once, from the state of the moment.
    #[default]
    AtOnce,
    /// In their turn, after what came before them. As OTP does; for comparisons with it.
    InTurn,
}

/// Who waits for an answer. The driver makes these up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What the machine is told.
pub enum Input<P> {
    /// Start the children. The first input.
    Boot,
    /// The child has started.
    Started {
        /// The child.
        key: Key,
        /// Its incarnation.
        epoch: Epoch,
    },
    /// The child had nothing to start.
    Ignored {
        /// The child.
        key: Key,
        /// Its incarnation.
        epoch: Epoch,
    },
    /// The child says that it is ready. May come early, late and more than once.
    Ready {
        /// The child.
        key: Key,
        /// Its incarnation.
        epoch: Epoch,
    },
    /// The child has ended, or its start has failed.
    Exited {
        /// The child.
        key: Key,
        /// Its incarnation.
        epoch: Epoch,
        /// How.
        reason: ExitReason,
    },
    /// Time has passed; see [`Supervisor::next_deadline`].
    Wake,
    /// Somebody asks for something.
    Call {
        /// Who.
        ticket: Ticket,
        /// What.
        call: Call<P>,
    },
    /// Stop the children in order, then exit.
    Stop,
    /// Kill everything at once, then exit. Waits for nothing.
    KillNow,
}

/// What can be asked for.
pub enum Call<P> {
    /// Add a child and start it.
    Start(Box<Spec<P>>),
    /// Stop a child.
    Terminate {
        /// Which.
        id: ChildId,
        /// Only if this is the latest incarnation that has started; otherwise there is nothing to do.
        only: Option<Epoch>,
    },
    /// Start a child that is down.
    Restart(ChildId),
    /// Forget a child that is down.
    Delete(ChildId),
    /// Start a suspended or waiting child now.
    Resume(ChildId),
    /// Stop a child if it runs, and keep it down until it is resumed.
    Suspend {
        /// Which.
        id: ChildId,
        /// One line for people.
        reason: std::sync::Arc<str>,
        /// When the suspension is expected to end, if that is known.
        until: Option<Monotonic>,
    },
    /// Change rules of a child, from its next start or stop on.
    Change {
        /// Which.
        id: ChildId,
        /// What.
        change: RuleChange,
    },
    /// Keep another restart intensity; the restarts that have been counted stay.
    Intensity(Intensity),
    /// List the children. A query.
    Which,
    /// Count the children. A query.
    Count,
    /// The rules of one child. A query.
    Rules(ChildId),
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Done.
    Done,
    /// The child has started.
    Started {
        /// The child.
        key: Key,
        /// Its incarnation.
        epoch: Epoch,
    },
    /// The child had nothing to start.
    Ignored,
    /// The children, in start order.
    Children(Vec<ChildStatus>),
    /// The counts.
    Counts(ChildCounts),
    /// The rules of the child.
    Rules(ChildRules),
    /// It cannot be done.
    Refused(Refusal),
}

/// Why something cannot be done.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// There is no such child.
    NotFound,
    /// The child runs.
    Running,
    /// The child waits for its restart, or is suspended.
    Restarting,
    /// A child of that name runs.
    AlreadyStarted,
    /// A child of that name is there, and does not run.
    AlreadyPresent,
    /// Makes no sense for dynamic children.
    Dynamic,
    /// There are as many dynamic children as allowed.
    MaxChildren,
    /// The spec contradicts itself.
    Invalid(InvalidSpec),
    /// The child did not start.
    Failed(ExitReason),
    /// The child was killed and is still there.
    Stuck,
    /// The child is neither suspended nor waiting.
    NotSuspended(ChildState),
    /// A temporary child cannot be suspended, nor become another kind of child.
    Temporary,
}

/// What the driver is to do. In order.
#[derive(Debug)]
pub enum Effect {
    /// Start the child; answer with `Started`, `Ignored` or `Exited`.
    Spawn {
        /// The child.
        key: Key,
        /// Its new incarnation.
        epoch: Epoch,
    },
    /// Ask the child to stop; answer with `Exited` when it has ended.
    Stop {
        /// The child.
        key: Key,
        /// Its incarnation.
        epoch: Epoch,
    },
    /// Kill the child; answer with `Exited` when it has ended.
    Kill {
        /// The child.
        key: Key,
        /// Its incarnation.
        epoch: Epoch,
    },
    /// Answer a call.
    Reply {
        /// Who asked.
        ticket: Ticket,
        /// The answer.
        answer: Answer,
    },
    /// Tell observers.
    Event {
        /// The child it is about.
        child: Option<ChildId>,
        /// The child's incarnation.
        epoch: Epoch,
        /// What happened.
        kind: EventKind,
    },
    /// All children have been started for the first time.
    Booted,
    /// The supervisor has ended; nothing more will come. Calls without an answer get none.
    Exit(SupervisorExit),
}

/// The machine.
pub struct Supervisor<P> {
    config: Config,
    phase: SupervisorPhase,
    table: Table<P>,
    window: RestartWindow,
    operation: Operation,
    /// The one child that the operation waits for.
    awaited: Option<u32>,
    mail: VecDeque<Mail<P>>,
    /// A stop waits in the mail: starts in progress may not take longer than the shutdown of their child allows.
    stop_waits: StopWaits,
    now: Monotonic,
    out: Vec<Effect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopWaits {
    No,
    Yes,
}

// === impl Supervisor ===

impl<P> Supervisor<P> {
    /// A supervisor with these children, none of them started.
    ///
    /// # Errors
    /// [`InvalidSpec`] if the flags or the specs contradict themselves or each other.
    pub fn new(config: Config, specs: Vec<Spec<P>>) -> Result<Self, InvalidSpec> {
        if config.intensity.period.is_zero() {
            return Err(InvalidSpec::ZeroPeriod);
        }
        // Whole seconds are OTP's; who gives a finer period means it.
        let window = if config.intensity.period.subsec_nanos() == 0 {
            RestartWindow::whole_seconds(config.intensity)
        } else {
            RestartWindow::new(config.intensity)
        };
        let mut table = Table::with_capacity(specs.len());
        for spec in specs {
            api::check(&spec.id, &spec.rules, config.auto_shutdown)?;
            if table.find(spec.id.as_str()).is_some() {
                return Err(InvalidSpec::DuplicateId(spec.id));
            }
            table.push(Node::new(spec));
        }
        Ok(Self {
            config,
            phase: SupervisorPhase::Starting,
            table,
            window,
            operation: Operation::Idle,
            awaited: None,
            mail: VecDeque::new(),
            stop_waits: StopWaits::No,
            now: Monotonic::ORIGIN,
            out: Vec::new(),
        })
    }

    /// Takes one input in; pushes what is to be done onto `effects`.
    pub fn step(&mut self, now: Monotonic, input: Input<P>, effects: &mut Vec<Effect>) {
        if self.phase == SupervisorPhase::Stopped {
            return;
        }
        self.now = now;
        std::mem::swap(&mut self.out, effects);
        self.take(input);
        self.read_mail();
        std::mem::swap(&mut self.out, effects);
    }

    /// When the machine wants [`Input::Wake`], if at all.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.table.next_deadline()
    }

    /// What the supervisor is doing as a whole.
    #[must_use]
    pub const fn phase(&self) -> SupervisorPhase {
        self.phase
    }

    /// Whether an operation is in progress, so that changes wait.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        !matches!(self.operation, Operation::Idle)
    }

    /// What the supervisor was told.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How many restarts of the window are used up at `now`. O(1): beyond 64, those are counted too that have expired
    /// since the last restart.
    #[must_use]
    pub fn restarts_in_window(&self, now: Monotonic) -> usize {
        let admitted = self.window.admitted().size_hint().0;
        let oldest = self.window.admitted().next();
        match oldest {
            None => 0,
            Some(oldest) if now.saturating_since(oldest) <= self.config.intensity.period => admitted,
            Some(_) if admitted > MANY_RESTARTS => admitted,
            Some(_) => self.window.used(now),
        }
    }

    /// How many children there are. O(1).
    #[must_use]
    pub fn counts(&self) -> ChildCounts {
        self.table.counts()
    }

    /// The children, in start order.
    pub fn children(&self) -> impl Iterator<Item = ChildStatus> + '_ {
        self.table.in_order().map(|index| self.table[index].status())
    }

    /// One child, by name.
    #[must_use]
    pub fn child(&self, id: &str) -> Option<ChildStatus> {
        self.table.find(id).map(|index| self.table[index].status())
    }

    /// The names and keys of the children, in reverse start order.
    pub fn keys_in_stop_order(&self) -> impl Iterator<Item = Key> + '_ {
        self.table.in_reverse().map(|index| self.table.key(index))
    }

    /// The rules of a child.
    #[must_use]
    pub fn rules(&self, key: Key) -> Option<ChildRules> {
        self.table.index(key).map(|index| self.table[index].rules)
    }

    /// The name of a child.
    #[must_use]
    pub fn id(&self, key: Key) -> Option<&ChildId> {
        self.table.index(key).map(|index| &self.table[index].id)
    }

    /// The driver's own part of a child, while the child is known.
    #[must_use]
    pub fn payload_mut(&mut self, key: Key) -> Option<&mut P> {
        self.table.index(key).map(|index| &mut self.table[index].payload)
    }

    fn event(&mut self, index: u32, kind: EventKind) {
        let node = &self.table[index];
        self.out.push(Effect::Event { child: Some(node.id.clone()), epoch: node.epoch, kind });
    }

    fn supervisor_event(&mut self, kind: EventKind) {
        self.out.push(Effect::Event { child: None, epoch: Epoch::NEVER, kind });
    }

    fn reply(&mut self, ticket: Ticket, answer: Answer) {
        self.out.push(Effect::Reply { ticket, answer });
    }
}
