//! A plain answer: collected from a stream, so nothing is sent before all of it is there.

use bytes::Bytes;
use hyper::Response;
use mlx_tree_api::RequestOutcome;

use super::attempt::{First, Next, Running};
use super::diversion;
use super::labels::{Labels, Shape};
use super::life::{Closing, Life};
use super::verdict::{Fault, Level, Repeatable, Verdict};
use crate::Refusal;
use crate::answer::Body;
use crate::answer::assemble::{ANSWER_LIMIT, Assembly, Kind};
use crate::answer::plain::{self, Expected};
use crate::answer::transcript::{self, Ending, Transcript};
use crate::request::Endpoint;

/// Serves a client that wants one JSON object.
pub(super) async fn answer(mut life: Life) -> Response<Body> {
    match served(&mut life).await {
        Ok(bytes) => {
            life.account.answered(RequestOutcome::Answered);
            Labels::of(&life).response(Shape::Json, Body::whole(bytes))
        }
        Err(refusal) => Box::pin(diversion::or_refuse(life, refusal)).await,
    }
}

async fn served(life: &mut Life) -> Result<Bytes, Refusal> {
    loop {
        let running = life.first_event(Level::Nothing).await?;
        let fault = match collect(life, running).await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        match life.judge(&fault, Level::Nothing, Repeatable::No) {
            Verdict::Replay | Verdict::Continue => {}
            Verdict::Quarantine(refusal) | Verdict::Fail(refusal) => return Err(refusal),
        }
    }
}

async fn collect(life: &Life, mut running: Running) -> Result<Bytes, Fault> {
    let first = match running.first() {
        First::Event(data) => data,
        First::Object(object) => {
            let expected = match life.ask.endpoint {
                Endpoint::Chat | Endpoint::Completions => Expected::Choices,
                Endpoint::Embeddings => Expected::Embeddings,
            };
            let answer =
                plain::answer(&object, expected, &life.ask.model).map_err(|why| Fault::Bad(why.to_string()))?;
            life.count_tokens(plain::tokens(&object));
            life.finished(running);
            return Ok(answer);
        }
    };
    let kind = match life.ask.endpoint {
        Endpoint::Chat => Kind::Chat,
        Endpoint::Completions | Endpoint::Embeddings => Kind::Completion,
    };
    let mut assembly = Assembly::new(kind, ANSWER_LIMIT);
    let mut transcript = Transcript::new(life.ask.model.clone(), 0);
    let mut next = Next::Data(first);
    loop {
        match next {
            Next::Data(data) => match transcript.follow(&data) {
                transcript::Verdict::Chunk(chunk) => {
                    life.count(&chunk);
                    assembly.take(&data).map_err(|why| Fault::Bad(why.to_string()))?;
                }
                transcript::Verdict::Token(token) => {
                    life.count_token(&token);
                    assembly.take_token(data.len(), &token).map_err(|why| Fault::Bad(why.to_string()))?;
                }
                transcript::Verdict::Failure(failure) => return Err(Fault::Bad(failure.message)),
                transcript::Verdict::Garbage(why) => return Err(Fault::Bad(why.to_string())),
                transcript::Verdict::Late => {}
            },
            Next::Comment(_) => {}
            Next::Done | Next::Closed => {
                let closing = if matches!(next, Next::Done) { Closing::Announced } else { Closing::Silent };
                if closing == Closing::Announced {
                    transcript.done();
                }
                life.end(running, transcript.ending(), closing).await?;
                return assembly.finish(&life.ask.model).map_err(|why| Fault::Bad(why.to_string()));
            }
        }
        next = match running.next(&life.common, &life.route).await {
            Ok(next) => next,
            // All of it has come. What befell the server afterwards is not the client's concern.
            Err(_) if transcript.ending() == Ending::WholeWithoutDone => {
                return assembly.finish(&life.ask.model).map_err(|why| Fault::Bad(why.to_string()));
            }
            Err(fault) => return Err(fault),
        };
    }
}
