//! One question to a fallback over HTTP, answered by JSON or by a reason in one line.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

/// How long any such question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// No answer is longer; a list of thousands of models has room in it.
const LONGEST: usize = 8 << 20;

/// `GET url`.
pub(super) async fn get(client: &Client, url: &str) -> Result<Value, String> {
    ask(client.get(url), url).await
}

/// `POST url` with JSON.
pub(super) async fn post(client: &Client, url: &str, body: &Value) -> Result<Value, String> {
    ask(client.post(url).json(body), url).await
}

async fn ask(request: RequestBuilder, url: &str) -> Result<Value, String> {
    let mut answer = request.timeout(PATIENCE).send().await.map_err(|error| why(&error, url))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| why(&error, url))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            return Err(format!("the answer of {url} has no end"));
        }
    }
    if !status.is_success() {
        let text: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(format!("{url} answered {status}: {text}"));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).map_err(|error| format!("{url} answered what is no JSON: {error}"))
}

fn why(error: &reqwest::Error, url: &str) -> String {
    if error.is_timeout() {
        return format!("{url} did not answer within {} s", PATIENCE.as_secs());
    }
    if error.is_connect() {
        return format!("nothing listens at {url}");
    }
    // reqwest's own text repeats the URL; the cause stands at the end of the chain.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    format!("the connection to {url} broke: {cause}")
}
