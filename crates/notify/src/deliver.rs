//! One attempt to tell somebody, and how often that is tried.

mod command;
mod curl;
mod desktop;
mod http;
mod program;
mod slack;

use std::time::Duration;

use serde_json::Value;

use crate::target::Scheme;
use crate::{Message, Notice, Sink, Source, Target, Url};

/// So long one attempt may take.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(10);

/// The pauses before the second attempt and each further one. After the last it is given up.
pub(crate) const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];

/// The longest that a receiver may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a message did not arrive. Says nothing about where it was to go, unless a program of the user's own does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Another attempt may help.
    #[error("{why}{}", said.as_ref().map_or_else(String::new, |said| format!(": {said}")))]
    Passing {
        /// Why.
        why: String,
        /// The last words of the user's own program, which may hold anything: an address, a token. They are for the user alone,
        /// not for events, which everybody on the machine may read.
        said: Option<String>,
        /// The receiver asked to be left alone for so long.
        pause: Option<Duration>,
    },
    /// No attempt will help.
    #[error("{0}")]
    Lasting(String),
}

/// What is to be done after a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// Try again after this pause.
    Again(Duration),
    /// Say that it did not arrive.
    GiveUp(String),
}

/// Tells `target` that this is a test, once.
///
/// # Errors
/// Why it did not arrive.
pub async fn deliver_sample(target: &Target, source: &Source) -> Result<(), Failure> {
    let at = jiff::Timestamp::now().to_string();
    deliver(target, &Message::single(Notice::sample(source, at)), source).await
}

/// One attempt. Takes [`ATTEMPT`] at most; dropping the future ends whatever it has begun.
pub(crate) async fn deliver(target: &Target, message: &Message, source: &Source) -> Result<(), Failure> {
    let attempt = async {
        match &target.sink {
            Sink::Webhook(url) => post(url, &message.json(source), target).await,
            Sink::Slack(url) => post(url, &slack::json(message, source), target).await,
            Sink::Command(argv) => command::run(argv, message, source, target).await,
            Sink::Desktop => desktop::show(message, source, target).await,
        }
    };
    match tokio::time::timeout(ATTEMPT, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::passing(format!("no end after {} s", ATTEMPT.as_secs()))),
    }
}

async fn post(url: &Url, body: &Value, target: &Target) -> Result<(), Failure> {
    match url.scheme() {
        Scheme::Http => http::post(url, body).await,
        Scheme::Https => curl::post(url, body, target).await,
    }
}

/// What an HTTP status means for a message.
fn judge(status: u16, pause: Option<Duration>) -> Result<(), Failure> {
    match status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => Err(Failure::Passing {
            why: format!("the receiver answered {status}"),
            said: None,
            pause: pause.map(|it| it.min(LONGEST_PAUSE)),
        }),
        300..=399 => Err(Failure::Lasting(format!("the receiver answered {status}; redirects are not followed"))),
        _ => Err(Failure::Lasting(format!("the receiver answered {status}"))),
    }
}

// === impl Failure ===

impl Failure {
    fn passing(why: impl Into<String>) -> Self {
        Self::Passing { why: why.into(), said: None, pause: None }
    }

    /// Why, for everybody.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Passing { why, .. } | Self::Lasting(why) => why,
        }
    }

    /// What the user's own program said of it.
    pub(crate) fn said(&self) -> Option<&str> {
        match self {
            Self::Passing { said, .. } => said.as_deref(),
            Self::Lasting(_) => None,
        }
    }

    /// What follows after this many attempts.
    pub(crate) fn then(&self, attempts: usize) -> Then {
        match self {
            Self::Lasting(why) => Then::GiveUp(why.clone()),
            Self::Passing { why, said: _, pause } => match attempts.checked_sub(1).and_then(|at| PAUSES.get(at)) {
                Some(ours) => Then::Again(pause.map_or(*ours, |theirs| theirs.max(*ours))),
                None => Then::GiveUp(format!("{why} ({attempts} attempts)")),
            },
        }
    }
}
