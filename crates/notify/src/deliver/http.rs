//! A POST in the clear, for receivers on this machine or in this network.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use serde_json::Value;

use super::{Failure, judge};
use crate::Url;

const CONNECT: Duration = Duration::from_secs(5);

/// Posts `body`. The answer's body is not read. No proxy of the environment is used, and no redirect is followed.
pub(super) async fn post(url: &Url, body: &Value) -> Result<(), Failure> {
    let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).connect_timeout(CONNECT).build();
    // The URL is a secret, and errors like to tell it.
    let failed = |error: reqwest::Error| {
        if error.is_builder() {
            return Failure::Lasting("its URL cannot be used".to_owned());
        }
        Failure::passing(if error.is_connect() { "nobody answers there" } else { "the connection broke off" })
    };
    let request = client.map_err(failed)?.post(url.expose()).body(body.to_string());
    let request = request.header(CONTENT_TYPE, "application/json").header(USER_AGENT, "mlx-tree");
    let answer = request.send().await.map_err(failed)?;
    let pause = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    judge(answer.status().as_u16(), pause.map(Duration::from_secs))
}
