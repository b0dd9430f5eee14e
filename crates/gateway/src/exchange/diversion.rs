//! The way to a fallback: only when nothing was sent, only with consent, and never without a label.

use bytes::Bytes;
use hyper::Response;
use mlx_tree_api::{Kind, RequestOutcome};

use super::labels::{Labels, Shape};
use super::life::Life;
use super::relay::{Close, broken};
use super::verdict::Level;
use crate::answer::assemble::{self, ANSWER_LIMIT, Assembly};
use crate::answer::chunk::{self, Reading};
use crate::answer::sse::{self, DONE};
use crate::answer::{Body, Sender};
use crate::divert::{Answer, Fallback, Next, Wish, neither};
use crate::request::{Consent, Delivery, Endpoint, Usage};
use crate::{Code, Refusal};

/// How many frames wait for the client.
const FRAMES: usize = 16;

/// Whether somebody else may answer, should the server not.
pub(super) fn is_allowed(life: &Life) -> bool {
    life.common.fallback.is_some() && life.ask.consent == Consent::Given
}

/// Ends a request that the server does not serve, and of which its client has seen nothing: by the fallback if that is allowed
/// and possible, else by the refusal.
pub(super) async fn or_refuse(life: Life, refusal: Refusal) -> Response<Body> {
    let fallback = life.common.fallback.clone().filter(|_| is_allowed(&life) && is_absence(&refusal));
    let Some(fallback) = fallback else {
        life.failed(&refusal, Level::Nothing);
        return refusal.response().map(Body::from);
    };
    match divert(life, &*fallback, &refusal).await {
        Ok(response) => response,
        Err((life, other)) => {
            let refusal = neither(&refusal, other);
            life.failed(&refusal, Level::Nothing);
            refusal.response().map(Body::from)
        }
    }
}

/// Whether the server is not there for this request. One that is there and refuses is right.
const fn is_absence(refusal: &Refusal) -> bool {
    matches!(
        refusal.code,
        Code::ServerOverloaded
            | Code::QueueTimeout
            | Code::BackendRestarting
            | Code::BackendCircuitOpen
            | Code::BackendStopped
            | Code::BackendCrashed
    )
}

async fn divert(life: Life, fallback: &dyn Fallback, why: &Refusal) -> Result<Response<Body>, (Box<Life>, Refusal)> {
    let plan = match fallback.judge(&Wish::of(&life.ask)) {
        Ok(plan) => plan,
        Err(refusal) => return Err((Box::new(life), refusal)),
    };
    let model = plan.model().to_owned();
    let answer = match fallback.send(plan).await {
        Ok(answer) => answer,
        Err(refusal) => return Err((Box::new(life), refusal)),
    };
    let request = life.caller.id.to_string();
    let (to, reason) = (fallback.name().to_owned(), why.code.as_str().to_owned());
    let labels = Labels::fallback(&life, &to, &model, &reason);
    life.tell(life.epoch(), Kind::RequestDiverted { request, to, reason });
    match life.ask.delivery {
        Delivery::Whole => match collect(&life, answer, &model).await {
            Ok(bytes) => {
                life.account.answered(RequestOutcome::Diverted);
                Ok(labels.response(Shape::Json, Body::whole(bytes)))
            }
            Err(refusal) => Err((Box::new(life), refusal)),
        },
        Delivery::Stream { usage } => {
            let fill =
                move |sender: Sender| async move { relay(life, answer, usage, &sender).await.close(sender).await };
            Ok(labels.response(Shape::Events, Body::relay(FRAMES, fill)))
        }
    }
}

async fn collect(life: &Life, mut answer: Answer, model: &str) -> Result<Bytes, Refusal> {
    let kind = match life.ask.endpoint {
        Endpoint::Chat => assemble::Kind::Chat,
        Endpoint::Completions | Endpoint::Embeddings => assemble::Kind::Completion,
    };
    let mut assembly = Assembly::new(kind, ANSWER_LIMIT);
    let bad = |why: assemble::NoAnswer| Refusal::new(Code::BadUpstreamResponse, format!("The fallback: {why}."));
    loop {
        match answer.next().await {
            Next::Event(event) => assembly.take(&event).map_err(bad)?,
            Next::Whole => return assembly.finish(model).map_err(bad),
            Next::Broken(refusal) => return Err(refusal),
        }
    }
}

async fn relay(life: Life, mut answer: Answer, usage: Usage, sender: &Sender) -> Close {
    loop {
        let sent = match answer.next().await {
            Next::Event(event) if usage == Usage::NotWanted && tells_usage_only(&event) => Ok(()),
            Next::Event(event) => {
                life.account.begun();
                sender.send(sse::data(&event)).await
            }
            Next::Whole => {
                return match sender.send(DONE).await {
                    Ok(()) => {
                        life.account.answered(RequestOutcome::Diverted);
                        Close::Whole
                    }
                    Err(_) => Close::Cut,
                };
            }
            Next::Broken(refusal) => return broken(&life, &refusal, Level::Begun, sender).await,
        };
        if sent.is_err() {
            return Close::Cut;
        }
    }
}

fn tells_usage_only(event: &[u8]) -> bool {
    matches!(chunk::read(event), Ok(Reading::Chunk(chunk)) if chunk.tells_usage_only())
}
