//! The actor around the driver.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::driver::Driver;
use super::{Arguments, Message};

pub(crate) struct SupervisorActor;

// === impl SupervisorActor ===

impl Actor for SupervisorActor {
    type Msg = Message;
    type State = Driver;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Driver::new(myself, arguments))
    }

    async fn post_start(&self, _: ActorRef<Self::Msg>, driver: &mut Self::State) -> Result<(), ActorProcessingErr> {
        driver.boot();
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        message: Self::Msg,
        driver: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        driver.message(message);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        driver: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        driver.supervision_event(event);
        Ok(())
    }

    /// Runs after the driver has stopped itself, and then has nothing to do; or after somebody else stopped the actor, and
    /// then does what an ordered stop would have done. (After a kill it does not run: ractor then kills the children.)
    async fn post_stop(&self, _: ActorRef<Self::Msg>, driver: &mut Self::State) -> Result<(), ActorProcessingErr> {
        driver.stop_what_is_left().await;
        Ok(())
    }
}
