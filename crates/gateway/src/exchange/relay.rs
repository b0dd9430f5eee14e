//! A streamed answer: event by event, with an end that cannot be mistaken, and continued where that is honest.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use mlx_tree_api::{Kind, RequestOutcome};
use tokio::time::sleep;

use super::COMMENT_EVERY;
use super::attempt::{First, Next, Running};
use super::diversion;
use super::labels::{Labels, Shape};
use super::life::{Closing, Life};
use super::verdict::{Fault, Level, Repeatable, Verdict, cut, differs};
use crate::Refusal;
use crate::answer::chunk::Chunk;
use crate::answer::continuation::{Plan, Resume, Step};
use crate::answer::sse::{self, DONE};
use crate::answer::transcript::{self, Ending, REMEMBERED, Sent, Transcript};
use crate::answer::{Body, Left, Sender};
use crate::request::{Delivery, Usage};

/// How many frames wait for the client.
const FRAMES: usize = 16;

/// A request on its way to its first event, and what came of that.
type Opening = Pin<Box<dyn Future<Output = (Life, Result<Running, Refusal>)> + Send>>;

/// Why a stream does not go on.
enum Halt {
    /// Nobody reads it any more.
    Left,
    /// The attempt has failed.
    Fault(Fault),
    /// The server has said so itself, in its stream.
    Failure(Bytes),
    /// It is another answer than the one that the client has a part of.
    Differs,
}

/// Serves a client that wants events.
pub(super) async fn answer(mut life: Life) -> Response<Body> {
    // What has been opened cannot be diverted any more.
    let patience = if diversion::is_allowed(&life) { Duration::MAX } else { life.common.open_after };
    let opened = Labels::before(&life);
    let mut opening: Opening = Box::pin(async move {
        let first = life.first_event(Level::Nothing).await;
        (life, first)
    });
    tokio::select! {
        (life, first) = &mut opening => match first {
            Ok(running) => {
                let labels = Labels::of(&life);
                let body = Body::relay(FRAMES, move |sender| async move { serve(life, running, &sender).await.close(sender).await });
                labels.response(Shape::Events, body)
            }
            Err(refusal) => Box::pin(diversion::or_refuse(life, refusal)).await,
        },
        () = sleep(patience) => {
            let body = Body::relay(FRAMES, move |sender| async move { wait(opening, &sender).await.close(sender).await });
            opened.response(Shape::Events, body)
        }
    }
}

/// How a stream is ended.
pub(super) enum Close {
    /// Properly.
    Whole,
    /// So that no client takes it for whole.
    Cut,
}

impl Close {
    pub(super) async fn close(self, sender: Sender) {
        match self {
            Self::Whole => drop(sender.finish().await),
            Self::Cut => sender.cut(),
        }
    }
}

/// Keeps a client company until there is something of its answer.
async fn wait(mut opening: Opening, sender: &Sender) -> Close {
    let Ok((life, first)) = accompanied(&mut opening, sender).await else { return Close::Cut };
    match first {
        Ok(running) => serve(life, running, sender).await,
        Err(refusal) => broken(&life, &refusal, Level::Opened, sender).await,
    }
}

/// What `wait` comes to, with a comment now and then.
async fn accompanied<F: Future + Unpin>(mut wait: F, sender: &Sender) -> Result<F::Output, Left> {
    loop {
        sender.send(sse::comment(b" mlx-tree: your answer is being waited for")).await?;
        tokio::select! {
            done = &mut wait => return Ok(done),
            () = sleep(COMMENT_EVERY) => {}
        }
    }
}

/// Relays an answer that has begun, to its end.
async fn serve(mut life: Life, running: Running, sender: &Sender) -> Close {
    let remembered = match life.repeatable() {
        Repeatable::Yes => REMEMBERED,
        Repeatable::No => 0,
    };
    let mut transcript = Transcript::new(life.ask.model.clone(), remembered);
    let halt = match pass(&life, running, &mut transcript, None, sender).await {
        Ok(()) => return whole(&life, sender).await,
        Err(halt) => halt,
    };
    let Halt::Fault(fault) = halt else { return halted(&life, halt, sender).await };
    if transcript.ending() == Ending::WholeWithoutDone {
        // The client has all of it. What befell the server afterwards is not its concern.
        return whole(&life, sender).await;
    }
    let sent = transcript.into_sent();
    let repeatable = match sent.fit() {
        Ok(()) => life.repeatable(),
        Err(_) => Repeatable::No,
    };
    match life.judge(&fault, Level::Begun, repeatable) {
        // It is rare, and every stream would have the room for it.
        Verdict::Continue => Box::pin(again(life, sent, sender)).await,
        Verdict::Replay => broken(&life, &cut(), Level::Begun, sender).await,
        Verdict::Quarantine(refusal) | Verdict::Fail(refusal) => broken(&life, &refusal, Level::Begun, sender).await,
    }
}

/// Has the answer generated a second time, and goes on where the first one was cut.
async fn again(mut life: Life, sent: Sent, sender: &Sender) -> Close {
    let mut resume = match sent.plan() {
        Plan::Finish => return whole(&life, sender).await,
        Plan::Regenerate(resume) => resume,
        Plan::Impossible(_) => return broken(&life, &cut(), Level::Begun, sender).await,
    };
    let first = {
        let opening = std::pin::pin!(life.first_event(Level::Begun));
        match accompanied(opening, sender).await {
            Ok(first) => first,
            Err(Left) => return Close::Cut,
        }
    };
    let running = match first {
        Ok(running) => running,
        Err(refusal) => return broken(&life, &refusal, Level::Begun, sender).await,
    };
    let mut transcript = Transcript::new(life.ask.model.clone(), 0);
    match pass(&life, running, &mut transcript, Some(&mut resume), sender).await {
        Ok(()) if resume.end().is_ok() => {
            let label = format!(" mlx-tree: continued after a restart, attempts={}", life.attempts);
            if sender.send(sse::comment(label.as_bytes())).await.is_err() {
                return Close::Cut;
            }
            whole(&life, sender).await
        }
        Ok(()) => halted(&life, Halt::Differs, sender).await,
        Err(Halt::Fault(fault)) => match life.judge(&fault, Level::Begun, Repeatable::No) {
            Verdict::Continue | Verdict::Replay => broken(&life, &cut(), Level::Begun, sender).await,
            Verdict::Quarantine(refusal) | Verdict::Fail(refusal) => {
                broken(&life, &refusal, Level::Begun, sender).await
            }
        },
        Err(halt) => halted(&life, halt, sender).await,
    }
}

/// Passes on the events of one attempt: all of them, or those beyond what `resume` has met before.
async fn pass(
    life: &Life,
    mut running: Running,
    transcript: &mut Transcript,
    mut resume: Option<&mut Resume>,
    sender: &Sender,
) -> Result<(), Halt> {
    let mut told = resume.is_none();
    let mut next = match running.first() {
        First::Event(data) => Next::Data(data),
        First::Object(_) => return Err(Halt::Fault(Fault::Bad("it is no stream".to_owned()))),
    };
    loop {
        match next {
            // A second generation is compared chunk by chunk.
            Next::Data(data) => {
                match if resume.is_some() { transcript.take(&data) } else { transcript.follow(&data) } {
                    transcript::Verdict::Token(token) => {
                        life.account.begun();
                        life.count_token(&token);
                        sender.send(transcript.event(&token)).await?;
                    }
                    transcript::Verdict::Chunk(chunk) if chunk.tells_usage_only() && !wants_usage(life) => {}
                    transcript::Verdict::Chunk(chunk) => match taken(life, &chunk, resume.as_deref_mut()) {
                        None => sender.send(chunk.event(&life.ask.model)).await?,
                        Some(Step::Swallowed) => {}
                        Some(Step::Emit(events)) => {
                            if !std::mem::replace(&mut told, true) {
                                let request = life.caller.id.to_string();
                                life.tell(life.epoch(), Kind::RequestContinued { request, attempt: life.attempts });
                            }
                            for event in events {
                                sender.send(event).await?;
                            }
                        }
                        Some(Step::Mismatch(why)) => {
                            tracing::warn!(request = %life.caller.id, %why, "a cut stream cannot be continued");
                            return Err(Halt::Differs);
                        }
                    },
                    transcript::Verdict::Failure(failure) => return Err(Halt::Failure(failure.body)),
                    transcript::Verdict::Garbage(why) => return Err(Halt::Fault(Fault::Bad(why.to_string()))),
                    transcript::Verdict::Late => {}
                }
            }
            Next::Comment(comment) => sender.send(sse::comment(&comment)).await?,
            Next::Done => {
                transcript.done();
                return life.end(running, transcript.ending(), Closing::Announced).await.map_err(Halt::Fault);
            }
            Next::Closed => {
                return life.end(running, transcript.ending(), Closing::Silent).await.map_err(Halt::Fault);
            }
        }
        next = running.next(&life.common, &life.route).await.map_err(Halt::Fault)?;
    }
}

/// Takes note of a chunk, and asks what becomes of it if it continues another answer.
fn taken(life: &Life, chunk: &Chunk<'_>, resume: Option<&mut Resume>) -> Option<Step> {
    life.account.begun();
    life.count(chunk);
    resume.map(|resume| resume.take(chunk))
}

fn wants_usage(life: &Life) -> bool {
    matches!(life.ask.delivery, Delivery::Stream { usage: Usage::Wanted })
}

async fn whole(life: &Life, sender: &Sender) -> Close {
    match sender.send(DONE).await {
        Ok(()) => {
            life.account.answered(RequestOutcome::Answered);
            Close::Whole
        }
        Err(Left) => Close::Cut,
    }
}

async fn halted(life: &Life, halt: Halt, sender: &Sender) -> Close {
    match halt {
        Halt::Left => Close::Cut,
        Halt::Failure(body) => {
            let refusal = Refusal::new(crate::Code::BadUpstreamResponse, "the server ended its answer with an error");
            life.failed(&refusal, Level::Begun);
            let _ = sender.send(sse::data(&body)).await;
            Close::Cut
        }
        Halt::Differs => broken(life, &differs(), Level::Begun, sender).await,
        Halt::Fault(fault) => {
            let refusal = Refusal::new(crate::Code::BadUpstreamResponse, format!("{fault:?}"));
            broken(life, &refusal, Level::Begun, sender).await
        }
    }
}

/// The honest end of a stream that is not whole.
pub(super) async fn broken(life: &Life, refusal: &Refusal, level: Level, sender: &Sender) -> Close {
    life.failed(refusal, level);
    let _ = sender.send(sse::data(&refusal.body())).await;
    Close::Cut
}

// === impl Halt ===

impl From<Left> for Halt {
    fn from(_: Left) -> Self {
        Self::Left
    }
}
