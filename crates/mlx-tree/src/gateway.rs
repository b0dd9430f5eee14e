//! The gateway as a child of the tree: where the data plane and the control path meet.
//!
//! ```text
//! tree ── availability ──▶ feed ── watch<Backend> ──▶ gateway ── Observer ──▶ events, progress, wanted ──▶ tree
//! ```
//!
//! Its socket outlives its incarnations: while it is restarted, connections wait in the backlog and none is refused.

mod actor;
mod catalogue;
mod dials;
mod fallback;
mod feed;
mod observer;
mod window;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mlx_tree_gateway::admission::Limits;
use mlx_tree_gateway::divert::InvalidTarget;
use mlx_tree_gateway::exchange::{Continuation, OPEN_AFTER};
use mlx_tree_gateway::front::{self, FrontConfig, Tokens};
use mlx_tree_gateway::gateway::{Member, Plan};
use mlx_tree_gateway::request::Catalogue;
use mlx_tree_gateway::{Backend, BackendState, Gateway};
use mlx_tree_settings::{ContinueStreams, GatewaySettings, Settings};
use mlx_tree_supervision::{Backoff, ChildSpec, Shutdown};
use mlx_tree_workers::tree::{Plan as TreePlan, Tree};
use tokio::sync::watch;

use self::actor::{GatewayActor, Parts};
pub(crate) use self::catalogue::catalogue;
pub(crate) use self::dials::Dials;
use self::observer::TreeObserver;
pub(crate) use self::window::Window;
use crate::assemble::Label;

/// The id of the gateway in the tree.
pub const GATEWAY: &str = "gateway";

/// What the supervisor allows beyond the drain.
const SLACK: Duration = Duration::from_secs(5);

/// Why the gateway's address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the gateway cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    source: std::io::Error,
}

/// An address that is taken for the gateway, which does not answer yet.
#[derive(Debug)]
pub struct Door {
    /// None once it is closed.
    listener: Mutex<Option<TcpListener>>,
    address: SocketAddr,
}

/// A gateway that has been planned, and whose child is in a tree that is not started yet.
pub(crate) struct Planned {
    /// The gateway, and its fallback's worker if it has one.
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) link: Link,
    pub(crate) window: Window,
    pub(crate) dials: Dials,
}

/// What ties a gateway to its tree, once that runs.
pub(crate) struct Link {
    backends: Vec<watch::Sender<Backend>>,
    gateway: Weak<Gateway>,
    observer: Arc<TreeObserver>,
}

// === impl Door ===

impl Door {
    /// Takes the address that `settings` names; `None` if they want no gateway.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn open(settings: &GatewaySettings) -> Result<Option<Self>, BindError> {
        let Some(address) = settings.listen else { return Ok(None) };
        let wrap = |source| BindError { address, source };
        let listener = TcpListener::bind(address).map_err(wrap)?;
        listener.set_nonblocking(true).map_err(wrap)?;
        let address = listener.local_addr().map_err(wrap)?;
        Ok(Some(Self { listener: Mutex::new(Some(listener)), address }))
    }

    /// Another handle of the socket, for an incarnation.
    fn another(&self) -> io::Result<TcpListener> {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        listener.as_ref().ok_or(io::ErrorKind::NotConnected)?.try_clone()
    }

    /// Gives the address up, as soon as the present incarnation has let go of it: whoever connects then is refused, and does
    /// not wait for somebody who will not come.
    fn close(&self) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The address that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

// === impl Planned ===

impl Planned {
    /// The gateway of `settings`, behind `door`.
    pub(crate) fn new(
        settings: &Settings,
        catalogue: Catalogue,
        label: Label,
        door: Door,
        tree: &TreePlan,
    ) -> Result<Self, InvalidTarget> {
        let bus = &tree.server.blueprint.bus;
        let around = fallback::Around::of(tree);
        let fallback = fallback::planned(&settings.fallback, &around)?;
        let (fallback, worker) = fallback.map(|planned| (planned.fallback, planned.child)).unzip();
        let numbers = &settings.gateway;
        let observer = Arc::new(TreeObserver::new(bus.clone()));
        let starting =
            Backend::new(0, BackendState::Restarting { ready_at: None, reason: "it is being started".into() });
        let members = catalogue::members(settings, label);
        let (backends, members): (Vec<_>, Vec<_>) = members
            .into_iter()
            .map(|(server, kind)| {
                let (sender, backend) = watch::channel(starting.clone());
                (sender, Member { server, kind, backend })
            })
            .unzip();
        let plan = Plan {
            catalogue,
            servers: members,
            limits: limits(numbers),
            hold_budget: numbers.hold_budget,
            stall_timeout: numbers.stall_timeout,
            open_after: OPEN_AFTER,
            continuation: continuation(numbers),
            fallback: fallback.clone(),
            observer: observer.clone(),
        };
        let gateway = Arc::new(Gateway::new(plan));
        let behind = Arc::downgrade(&gateway);
        let door = Arc::new(door);
        let window = Window::new(Arc::clone(&gateway), Arc::clone(&door));
        let (front, config) = watch::channel(front_config(numbers));
        let (drain, drained) = watch::channel(settings.shutdown.drain);
        let dials = Dials::new(Arc::clone(&gateway), front, drain, around, fallback);
        let parts = Arc::new(Parts { gateway, config, door, drain: drained, bus: bus.clone() });
        let child = ChildSpec::actor(GATEWAY, move |context| (GatewayActor, (Arc::clone(&parts), context.epoch())))
            .backoff(Backoff::default())
            .shutdown(shutdown(settings));
        let children = std::iter::once(child).chain(worker).collect();
        Ok(Self { children, link: Link { backends, gateway: behind, observer }, window, dials })
    }
}

// === impl Link ===

impl Link {
    /// Ties the gateway to `tree`, which has been started with its child.
    pub(crate) fn tie(self, tree: &Tree) {
        self.observer.tie(tree);
        feed::start(self.backends, &self.gateway, tree);
    }
}

/// The drain is the actor's own; the supervisor's limit is for one that does not keep it.
fn shutdown(settings: &Settings) -> Shutdown {
    Shutdown::Timeout(settings.shutdown.drain + SLACK)
}

const fn continuation(settings: &GatewaySettings) -> Continuation {
    match settings.continue_streams {
        ContinueStreams::Greedy => Continuation::Greedy,
        ContinueStreams::Never => Continuation::Never,
    }
}

fn limits(settings: &GatewaySettings) -> Limits {
    let defaults = Limits::default();
    Limits {
        max_inflight: std::num::NonZeroUsize::try_from(settings.max_inflight).unwrap_or(defaults.max_inflight),
        max_queue: usize::try_from(settings.max_queue).unwrap_or(usize::MAX),
        stable: settings.climb_after,
        ..defaults
    }
}

fn front_config(settings: &GatewaySettings) -> FrontConfig {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    FrontConfig {
        hosts: settings.allowed_hosts.clone(),
        origins: settings.allowed_origins.clone(),
        tokens: Tokens::new(settings.tokens.iter()),
        limits: front::Limits {
            connections: usize::try_from(settings.max_connections.get()).unwrap_or(usize::MAX),
            body_bytes: size(settings.max_body),
            buffered_bytes: size(settings.max_buffered),
            write_time: settings.write_timeout,
            ..front::Limits::default()
        },
    }
}
