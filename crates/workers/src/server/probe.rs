//! Questions put to a server over HTTP: is it there, and does it generate?

use std::time::Duration;

use mlx_tree_api::{Probe, ProbeOutcome, Sample};
pub use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::profile::{Canary, Healthy, Profile};
use crate::bus::Bus;

/// As much of an unexpected answer as is worth showing.
const SHOWN: usize = 200;

/// One thing to ask of a fresh server, so that the next one who asks finds it warm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmUp {
    /// A model to be loaded; the server's own if none.
    pub model: Option<String>,
    /// The prompt.
    pub prompt: String,
}

/// Why an answer was not the one that was hoped for. One line, fit for the status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Nobody accepts connections there.
    #[error("nothing listens there")]
    Refused,
    /// No answer within the time allowed.
    #[error("no answer within {}", seconds(*.0))]
    TimedOut(Duration),
    /// The connection broke before the answer was whole.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// An answer with the wrong status.
    #[error("HTTP {status}: {body}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// A good status, and a body that says otherwise.
    #[error("{0}")]
    Body(String),
}

/// An HTTP client for talking to the server: no proxy, no redirects, no retries, one connection a request, whatever the
/// environment says. `mlx_lm` speaks HTTP/1.0 and closes each connection.
///
/// # Panics
/// Never in practice: the builder is given nothing that can be refused.
#[must_use]
pub fn client() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client without TLS, proxy and resolver has nothing that can fail to be built")
}

/// Asks for liveness: `GET` the profile's health path at `base` (e.g. `http://127.0.0.1:8080`).
///
/// # Errors
/// Why the answer was not a healthy one.
pub async fn health(client: &Client, base: &str, profile: &Profile, timeout: Duration) -> Result<(), ProbeError> {
    let url = format!("{base}{}", profile.health_path);
    let answer = client.get(url).timeout(timeout).send().await.map_err(|error| classify(&error, timeout))?;
    let body = good_body(answer, timeout).await?;
    match profile.healthy {
        Healthy::Success => Ok(()),
        Healthy::ModelLoaded => {
            let loaded = serde_json::from_str::<Value>(&body).is_ok_and(|body| !body["loaded_model"].is_null());
            if loaded { Ok(()) } else { Err(ProbeError::Body(format!("no model is loaded: {}", shown(&body)))) }
        }
    }
}

/// Asks for one token. An answer proves that the model is loaded and that something generates.
///
/// # Errors
/// Why the answer was not a completion; a timeout counts from the request.
pub async fn canary(client: &Client, base: &str, profile: &Profile, timeout: Duration) -> Result<(), ProbeError> {
    let Some((path, body)) = canary_request(&profile.canary, "hi") else { return Ok(()) };
    complete(client, base, path, &body, timeout).await
}

/// What a probe comes to, told as a measurement if it is one.
pub(crate) async fn measured(
    bus: &Bus,
    server: &str,
    probe: Option<Probe>,
    asked: impl Future<Output = Result<(), ProbeError>>,
) -> Result<(), ProbeError> {
    let since = Instant::now();
    let answer = asked.await;
    if let Some(probe) = probe {
        let (outcome, took) = (ProbeOutcome::of(&answer), since.elapsed());
        bus.sample(&Sample::Probed { server, probe, outcome, took });
    }
    answer
}

/// Sends one prompt, so that its model is loaded and the prompt's work is in the server's cache before people come.
///
/// # Errors
/// As for [`canary`].
pub async fn warm_up(
    client: &Client,
    base: &str,
    profile: &Profile,
    what: &WarmUp,
    timeout: Duration,
) -> Result<(), ProbeError> {
    let Some((path, mut body)) = canary_request(&profile.canary, &what.prompt) else { return Ok(()) };
    if let Some(model) = &what.model {
        body["model"] = model.as_str().into();
    }
    complete(client, base, path, &body, timeout).await
}

fn canary_request(canary: &Canary, prompt: &str) -> Option<(&'static str, Value)> {
    match canary {
        Canary::Completion { model } => {
            Some(("/v1/completions", json!({"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0})))
        }
        Canary::Chat { model } => {
            let messages = json!([{"role": "user", "content": prompt}]);
            let body = json!({"model": model, "messages": messages, "max_tokens": 1, "temperature": 0});
            Some(("/v1/chat/completions", body))
        }
        Canary::None => None,
    }
}

async fn complete(client: &Client, base: &str, path: &str, body: &Value, timeout: Duration) -> Result<(), ProbeError> {
    let sent = client.post(format!("{base}{path}")).json(body).timeout(timeout).send().await;
    let text = good_body(sent.map_err(|error| classify(&error, timeout))?, timeout).await?;
    let answer: Value = serde_json::from_str(&text)
        .map_err(|error| ProbeError::Body(format!("not JSON ({error}): {}", shown(&text))))?;
    match answer["choices"].as_array() {
        Some(choices) if !choices.is_empty() => Ok(()),
        _ => Err(ProbeError::Body(format!("no completion in the answer: {}", shown(&text)))),
    }
}

async fn good_body(answer: reqwest::Response, timeout: Duration) -> Result<String, ProbeError> {
    let status = answer.status();
    let body = answer.text().await.map_err(|error| classify(&error, timeout))?;
    if status.is_success() { Ok(body) } else { Err(ProbeError::Status { status: status.as_u16(), body: shown(&body) }) }
}

fn classify(error: &reqwest::Error, timeout: Duration) -> ProbeError {
    if error.is_timeout() {
        return ProbeError::TimedOut(timeout);
    }
    // reqwest keeps the cause at the end of its chain of sources; its own text repeats the URL.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionRefused) => ProbeError::Refused,
        _ => ProbeError::Broken(cause.to_string()),
    }
}

fn shown(body: &str) -> String {
    let one_line: String = body.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    one_line.trim().to_owned()
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs_f64())
}
