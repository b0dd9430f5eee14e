//! The asking end, for the same user's commands.

mod events;

use std::path::Path;
use std::time::Duration;

use mlx_tree_api::{ErrorBody, Event, Status, Trend};
use reqwest::{RequestBuilder, Response, StatusCode};

pub use self::events::{Events, Heard, Position};
use crate::{Access, AccessError, Done, Token, Verb};

/// A reader must be answered quickly; it waits for nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks a running mlx-tree, found through its state directory.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    access: Access,
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The way in could not be found.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// There is a way in, and nobody answers: mlx-tree (process `pid`) is gone or hangs.
    #[error("mlx-tree (pid {pid}) does not answer at {url}")]
    Unreachable {
        /// Where it should answer.
        url: String,
        /// Its process.
        pid: u32,
        /// Why.
        source: reqwest::Error,
    },
    /// It refused.
    #[error("{}", .0.message)]
    Refused(ErrorBody),
    /// It answered something that cannot be understood: another version, or something else entirely.
    #[error("the answer of {url} cannot be understood")]
    Malformed {
        /// Where it came from.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// It told an event that cannot be understood: another version.
    #[error("an event of {url} cannot be understood")]
    Garbled {
        /// Where it came from.
        url: String,
        /// Why.
        source: serde_json::Error,
    },
}

// === impl Client ===

impl Client {
    /// A client for the mlx-tree that runs with `state_dir`.
    ///
    /// # Errors
    /// [`AccessError::Absent`] when none does.
    ///
    /// # Panics
    /// Never in practice: the HTTP client is given nothing that can be refused.
    pub fn from_state_dir(state_dir: &Path) -> Result<Self, ClientError> {
        let access = Access::read(state_dir)?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS, proxy and resolver has nothing that can fail to be built");
        Ok(Self { http, access })
    }

    /// The status document.
    ///
    /// # Errors
    /// When mlx-tree cannot be asked.
    pub async fn status(&self) -> Result<Status, ClientError> {
        let answer = self.send(self.http.get(self.url("/status")).timeout(READ_TIMEOUT)).await?;
        answer.json().await.map_err(|source| self.malformed(source))
    }

    /// What was measured in the last minutes.
    ///
    /// # Errors
    /// When mlx-tree cannot be asked.
    pub async fn trend(&self) -> Result<Trend, ClientError> {
        let answer = self.send(self.http.get(self.url("/trend")).timeout(READ_TIMEOUT)).await?;
        answer.json().await.map_err(|source| self.malformed(source))
    }

    /// What was counted and measured so far, in Prometheus' text format.
    ///
    /// # Errors
    /// When mlx-tree cannot be asked.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let answer = self.send(self.http.get(self.url("/metrics")).timeout(READ_TIMEOUT)).await?;
        answer.text().await.map_err(|source| self.malformed(source))
    }

    /// The events after `from`, remembered ones first, and then those to come. `0` is the beginning. When the stream ends, a
    /// caller goes on with [`Events::position`].
    ///
    /// # Errors
    /// When mlx-tree cannot be asked.
    pub async fn events(&self, from: impl Into<Position>) -> Result<Events, ClientError> {
        let path = format!("/events?{}", from.into().query());
        let request = self.http.get(self.url(&path)).header("accept", "text/event-stream");
        Ok(Events::new(self.send(request).await?, self.access.url.clone()))
    }

    /// The events that are remembered, oldest first.
    ///
    /// # Errors
    /// When mlx-tree cannot be asked.
    pub async fn past_events(&self) -> Result<Vec<Event>, ClientError> {
        let request = self.http.get(self.url("/events?follow=false")).header("accept", "application/x-ndjson");
        let answer = self.send(request.timeout(READ_TIMEOUT)).await?;
        let text = answer.text().await.map_err(|source| self.malformed(source))?;
        let garbled = |source| ClientError::Garbled { url: self.access.url.clone(), source };
        text.lines().map(|line| serde_json::from_str(line).map_err(garbled)).collect()
    }

    /// Has `verb` carried out, and waits for that however long it takes.
    ///
    /// # Errors
    /// When mlx-tree cannot be asked, or refuses.
    pub async fn perform(&self, verb: Verb) -> Result<Done, ClientError> {
        let request =
            self.http.post(self.url(&format!("/{verb}"))).header("content-type", "application/json").body("{}");
        let answer = self.send(request).await?;
        answer.json().await.map_err(|source| self.malformed(source))
    }

    /// What a reload would do; nothing is done.
    ///
    /// # Errors
    /// When mlx-tree cannot be asked, or the configuration cannot be used.
    pub async fn foresee(&self) -> Result<Done, ClientError> {
        let answer = self.send(self.http.get(self.url("/plan"))).await?;
        answer.json().await.map_err(|source| self.malformed(source))
    }

    /// The last `lines` lines that the server wrote; with `follow` also those to come. The answer streams.
    ///
    /// # Errors
    /// When mlx-tree cannot be asked.
    pub async fn logs(&self, lines: usize, follow: bool) -> Result<Response, ClientError> {
        self.send(self.http.get(self.url(&format!("/logs?lines={lines}&follow={follow}")))).await
    }

    /// mlx-tree's process.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.access.pid
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.access.url
    }

    /// The token that the verbs and the logs need.
    #[must_use]
    pub const fn token(&self) -> &Token {
        &self.access.token
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let unreachable =
            |source| ClientError::Unreachable { url: self.access.url.clone(), pid: self.access.pid, source };
        let answer = request.bearer_auth(self.access.token.secret()).send().await.map_err(unreachable)?;
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        Err(ClientError::Refused(answer.json().await.map_err(|source| self.malformed(source))?))
    }

    fn malformed(&self, source: reqwest::Error) -> ClientError {
        ClientError::Malformed { url: self.access.url.clone(), source }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.access.url)
    }
}
