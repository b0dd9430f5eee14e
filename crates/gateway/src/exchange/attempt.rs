//! One attempt: a connection of its own, its events, and what is wrong with it when something is.

mod held;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::http::uri::PathAndQuery;
use mlx_tree_api::AttemptEnd;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::verdict::Fault;
use super::visit::Visit;
use super::{CONNECT, Common, Route, SETTLE};
use crate::admission::{Outcome, Permit};
use crate::alarm::Alarm;
use crate::answer::chunk::{self, Reading};
use crate::answer::sse::{Event, Parser};
use crate::front::RequestId;
use crate::request::{Ask, Endpoint, Wire};
use crate::upstream::{self, Accept, Call, ConnectError, Connection, Frame, Verb};
use held::Held;

/// How much of an error's body is read.
const ERROR_LIMIT: usize = 64 << 10;

/// How long a server that says it is sick is given to be found out. Its watcher acts on what it wrote to stderr within seconds.
const SICK: Duration = Duration::from_secs(15);

/// How long it takes before a descriptor is asked for again.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// How large an answer is that comes as one object.
const WHOLE_LIMIT: usize = 64 << 20;

/// A server that streams notices a lost reader when it writes next: after about as long as its writes were apart.
const NOTICED_AFTER: u32 = 3;

/// An attempt that answers.
pub(super) struct Running {
    first: First,
    line: Box<Line>,
    visit: Visit,
}

/// What an answer begins with.
pub(super) enum First {
    /// The data of an event; more may follow.
    Event(Bytes),
    /// One object, which is all of it.
    Object(Bytes),
}

/// What comes next.
pub(super) enum Next {
    /// The data of an event.
    Data(Bytes),
    /// A comment, as the server wrote it.
    Comment(Bytes),
    /// `[DONE]`.
    Done,
    /// The connection is closed, and says by nothing whether this was all.
    Closed,
}

/// The connection of an attempt, and the permit that it has.
struct Line {
    body: upstream::Body,
    events: Parser,
    permit: Held,
    /// The last one, without the frame that it came in.
    comment: Box<[u8]>,
    heard: Instant,
    apart: Duration,
    stall: Duration,
    silence: Alarm,
}

/// Begins an attempt: resolves when there is something of an answer.
pub(super) async fn begin(
    common: &Common,
    route: &Route,
    ask: &Ask,
    permit: Permit,
    id: &RequestId,
) -> Result<Running, Fault> {
    let mut visit = Visit::new(common.observer.clone(), route.server.clone(), permit.epoch(), id.clone());
    match open(common, route, ask, permit, &mut visit).await {
        Ok((first, line)) => Ok(Running { first, line, visit }),
        Err(fault) => {
            visit.failed(&fault);
            Err(fault)
        }
    }
}

async fn open(
    common: &Common,
    route: &Route,
    ask: &Ask,
    permit: Permit,
    visit: &mut Visit,
) -> Result<(First, Box<Line>), Fault> {
    let mut held = Held::new(permit, common.ending.clone());
    let connection = connect(&mut held).await?;
    let accept = match ask.wire {
        Wire::Stream => Accept::Events,
        Wire::Whole => Accept::Json,
    };
    let call = Call { verb: Verb::Post(ask.upstream.clone()), path: path(ask.endpoint), accept };
    visit.begin();
    let calling = timeout(common.stall_timeout, connection.call(call));
    let attempt = match held.alive(calling).await? {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(error)) => return Err(held.broken(&error).await),
        Err(_) => return Err(Fault::Stalled),
    };
    let is_stream =
        attempt.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let mut line = Box::new(Line {
        body: attempt.body,
        events: Parser::default(),
        permit: held,
        comment: Box::default(),
        heard: Instant::now(),
        apart: Duration::ZERO,
        stall: common.stall_timeout,
        silence: Alarm::default(),
    });
    if attempt.status != StatusCode::OK {
        return Err(line.rejected(attempt.status).await);
    }
    let first = match (ask.wire, is_stream) {
        (Wire::Stream, true) => First::Event(line.first_event(common, route).await?),
        (Wire::Whole, false) => First::Object(line.object(common, route).await?),
        (Wire::Stream, false) | (Wire::Whole, true) => {
            return Err(Fault::Bad("it has another content type than was asked for".to_owned()));
        }
    };
    Ok((first, line))
}

/// A connection. While there is no descriptor for one, nothing has been lost yet: somebody will give one back.
async fn connect(held: &mut Held) -> Result<Connection, Fault> {
    let (address, until) = (held.address()?, Instant::now() + CONNECT);
    loop {
        match held.alive(upstream::connect(address, CONNECT)).await? {
            Ok(connection) => return Ok(connection),
            Err(ConnectError::Exhausted) if Instant::now() < until => held.alive(sleep(EXHAUSTED_PAUSE)).await?,
            Err(ConnectError::Exhausted) => {
                held.release(Outcome::Failed);
                return Err(Fault::Exhausted);
            }
            Err(error) => return Err(held.broken(&error).await),
        }
    }
}

const fn path(endpoint: Endpoint) -> PathAndQuery {
    PathAndQuery::from_static(match endpoint {
        Endpoint::Chat => "/v1/chat/completions",
        Endpoint::Completions => "/v1/completions",
        Endpoint::Embeddings => "/v1/embeddings",
    })
}

// === impl Running ===

impl Running {
    /// What it begins with; to be asked for once. What is kept of it keeps the whole frame that it came in.
    pub(super) fn first(&mut self) -> First {
        std::mem::replace(&mut self.first, First::Event(Bytes::new()))
    }

    /// What comes next.
    pub(super) async fn next(&mut self, common: &Common, route: &Route) -> Result<Next, Fault> {
        let next = self.line.next(common, route).await;
        if let Err(fault) = &next {
            self.visit.failed(fault);
        }
        next
    }

    /// What a close means that came before the answer was whole.
    pub(super) async fn cut(mut self) -> Fault {
        let fault = self.line.permit.broken(&"it ended before it was whole").await;
        self.visit.failed(&fault);
        fault
    }

    /// The permit, of an answer that is whole.
    pub(super) fn into_permit(mut self) -> Option<Permit> {
        self.visit.end(AttemptEnd::Answered);
        self.line.permit.take()
    }
}

// === impl Line ===

impl Line {
    async fn next(&mut self, common: &Common, route: &Route) -> Result<Next, Fault> {
        let event = loop {
            if let Some(event) = self.events.next_event() {
                break event;
            }
            match self.frame().await? {
                Frame::Data(bytes) => self.events.feed(bytes),
                Frame::End(_) => return Ok(Next::Closed),
            }
        };
        match event {
            Event::Data(data) => {
                common.observer.progressed(&route.server);
                Ok(Next::Data(data))
            }
            Event::Comment(comment) => {
                // The comments of a prefill count up. One that says the same again is no sign of life.
                if *comment != *self.comment {
                    common.observer.progressed(&route.server);
                    self.comment = comment[..].into();
                }
                Ok(Next::Comment(comment))
            }
            Event::Done => Ok(Next::Done),
            Event::Malformed(why) => Err(Fault::Bad(why.to_string())),
        }
    }

    /// The next frame, as long as the server lives and says something.
    async fn frame(&mut self) -> Result<Frame, Fault> {
        let Self { body, silence, permit, .. } = self;
        let until = Instant::now().checked_add(self.stall);
        let next = poll_fn(|cx| match (body.poll_frame(cx), until) {
            (Poll::Ready(frame), _) => Poll::Ready(Some(frame)),
            (Poll::Pending, Some(until)) => silence.poll(cx, until).map(|()| None),
            (Poll::Pending, None) => Poll::Pending,
        });
        let frame = match permit.alive(next).await? {
            None => return Err(Fault::Stalled),
            Some(Err(broken)) => return Err(permit.broken(&broken).await),
            Some(Ok(frame)) => frame,
        };
        let now = Instant::now();
        self.apart = self.apart.max(now - std::mem::replace(&mut self.heard, now));
        self.permit.set_grace(self.apart.saturating_mul(NOTICED_AFTER).max(Duration::from_millis(50)));
        Ok(frame)
    }

    async fn first_event(&mut self, common: &Common, route: &Route) -> Result<Bytes, Fault> {
        loop {
            match self.next(common, route).await? {
                // As long as nothing is sent, an error can still be a status.
                Next::Data(data) => match chunk::read(&data) {
                    Ok(Reading::Chunk(_)) => return Ok(data),
                    Ok(Reading::Failure(failure)) => return Err(Fault::Bad(failure.message)),
                    Err(garbage) => return Err(Fault::Bad(garbage.to_string())),
                },
                Next::Comment(_) => {}
                Next::Done => return Err(Fault::Bad("it is over before it has begun".to_owned())),
                Next::Closed => return Err(self.permit.broken(&"it ended before it had begun").await),
            }
        }
    }

    async fn object(&mut self, common: &Common, route: &Route) -> Result<Bytes, Fault> {
        let mut object = Vec::new();
        loop {
            match self.frame().await? {
                Frame::Data(bytes) => {
                    common.observer.progressed(&route.server);
                    if object.len() + bytes.len() > WHOLE_LIMIT {
                        return Err(Fault::Bad("it is too large".to_owned()));
                    }
                    object.extend_from_slice(&bytes);
                }
                // A length or chunks have been kept to, or this would not be the end.
                Frame::End(_) if serde_json::from_slice::<serde::de::IgnoredAny>(&object).is_ok() => {
                    return Ok(object.into());
                }
                Frame::End(upstream::End::Framed) => return Err(Fault::Bad("it is no JSON".to_owned())),
                Frame::End(upstream::End::Eof) => return Err(self.permit.broken(&"it is not whole").await),
            }
        }
    }

    /// What the server says is wrong.
    async fn rejected(&mut self, status: StatusCode) -> Fault {
        let mut body = Vec::new();
        while body.len() < ERROR_LIMIT {
            match self.frame().await {
                Ok(Frame::Data(bytes)) => body.extend_from_slice(&bytes),
                Ok(Frame::End(_)) => break,
                Err(fault @ (Fault::Died | Fault::Ended | Fault::Ending)) => return fault,
                Err(_) => break,
            }
        }
        let message = words(&body);
        if let Some(span) = doubt(status, &message)
            && let Some(end) = self.permit.ends_within(span).await
        {
            return self.permit.ended(end);
        }
        self.permit.release(Outcome::Failed);
        Fault::Rejected { status: status.as_u16(), message }
    }
}

/// How long it is doubted that the request is at fault. `mlx_lm.server` 0.32 answers 404 to everything once its generation thread
/// is dead, until its watcher has noticed and ends it.
fn doubt(status: StatusCode, message: &str) -> Option<Duration> {
    if message.contains("generation thread") { Some(SICK) } else { status.is_server_error().then_some(SETTLE) }
}

/// The words of an error, in whichever shape it comes.
fn words(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok().and_then(|value| {
        let error = value.get("error").unwrap_or(&value);
        error.get("message").unwrap_or(error).as_str().map(str::to_owned)
    });
    let text = said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = plain.take(500).collect();
    if text.trim().is_empty() { "nothing".to_owned() } else { text.trim().to_owned() }
}
