//! The child: one incarnation of the front, and the drain at its end.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_api::Kind;
use mlx_tree_gateway::Gateway;
use mlx_tree_gateway::front::{Front, FrontConfig, Stop};
use mlx_tree_supervision::Epoch;
use mlx_tree_workers::bus::Bus;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Door, GATEWAY};

/// How long those who are told that they are cut may take to read it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves clients until it is stopped.
pub(super) struct GatewayActor;

/// What all incarnations share.
pub(super) struct Parts {
    pub(super) gateway: Arc<Gateway>,
    pub(super) config: watch::Receiver<FrontConfig>,
    pub(super) door: Arc<Door>,
    pub(super) drain: watch::Receiver<Duration>,
    pub(super) bus: Bus,
}

/// What the actor is told.
pub(super) enum Message {
    /// The front has ended although nobody has stopped it.
    Ended,
}

/// One incarnation.
pub(super) struct Serving {
    parts: Arc<Parts>,
    epoch: Epoch,
    stop: watch::Sender<Stop>,
    front: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
#[error("the front has ended by itself")]
struct FrontEnded;

impl Actor for GatewayActor {
    type Msg = Message;
    type State = Serving;
    type Arguments = (Arc<Parts>, Epoch);

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        (parts, epoch): Self::Arguments,
    ) -> Result<Serving, ActorProcessingErr> {
        let listener = TcpListener::from_std(parts.door.another()?)?;
        parts.gateway.reopen();
        let (stop, stopped) = watch::channel(Stop::Not);
        let front = Front::following(parts.config.clone(), parts.gateway.clone());
        let serving = front.serve(listener, parts.door.address, stopped);
        let front = tokio::spawn(async move {
            serving.await;
            // Also when it has panicked: then this is dropped, and the actor finds out by the handle.
            let _ = myself.send_message(Message::Ended);
        });
        let url = format!("http://{}", parts.door.address);
        parts.bus.emit(GATEWAY, epoch.get(), Kind::GatewayListening { url });
        Ok(Serving { parts, epoch, stop, front })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message>,
        Message::Ended: Message,
        _serving: &mut Serving,
    ) -> Result<(), ActorProcessingErr> {
        Err(FrontEnded.into())
    }

    /// What is in flight ends; what takes longer than the drain is told so, and cut.
    async fn post_stop(&self, _myself: ActorRef<Message>, serving: &mut Serving) -> Result<(), ActorProcessingErr> {
        let in_flight: usize = serving.parts.gateway.snapshots().map(|(_, snapshot)| snapshot.in_flight).sum();
        if in_flight > 0 {
            let in_flight = u64::try_from(in_flight).unwrap_or(u64::MAX);
            serving.parts.bus.emit(GATEWAY, serving.epoch.get(), Kind::GatewayDraining { in_flight });
        }
        serving.stop.send_replace(Stop::Drain);
        let drain = *serving.parts.drain.borrow();
        if tokio::time::timeout(drain, &mut serving.front).await.is_err() {
            serving.parts.gateway.end_now();
        }
        if !serving.front.is_finished() && tokio::time::timeout(FAREWELL, &mut serving.front).await.is_err() {
            serving.stop.send_replace(Stop::Abort);
            let _ = (&mut serving.front).await;
        }
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A killed actor has no `post_stop`.
        self.front.abort();
    }
}
