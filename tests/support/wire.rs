//! Talking to the supervised server itself, past mlx-tree.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Instance;

/// A stand-in, started with `--control`, that generates nothing for now: what is in flight stays so, however long a test takes to
/// look at it.
pub struct Standstill(String);

// === impl Standstill ===

impl Standstill {
    /// Begins one. A stream that has been read from is in the middle of its answer.
    pub async fn of(tree: &Instance) -> Self {
        let url = tree.url().await;
        steer(&url, "kill-generation").await;
        Self(url)
    }

    /// It goes on where it was.
    pub async fn end(self) {
        steer(&self.0, "revive-generation").await;
    }
}

/// Sends one request to the server at `url` (`http://127.0.0.1:1234`) and answers the whole response as text; nothing if
/// the server is not there, or goes away before it has answered.
pub async fn ask(url: &str, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = send(url, method, path, body).await?;
    let mut text = Vec::new();
    timeout(Duration::from_secs(30), stream.read_to_end(&mut text)).await.ok()?.ok()?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
}

/// Begins a streamed completion of `tokens` tokens; the answer comes on the connection, which is closed by drop.
pub async fn stream(url: &str, tokens: u32) -> TcpStream {
    let body = format!(r#"{{"prompt": "say something", "max_tokens": {tokens}, "stream": true}}"#);
    send(url, "POST", "/v1/completions", &body).await.expect("the server is there")
}

/// Steers a stand-in that was started with `--control`: `steer(url, "hang")`.
pub async fn steer(url: &str, verb: &str) {
    let answer = ask(url, "POST", &format!("/_fake/{verb}"), "").await.expect("the stand-in answers");
    assert!(answer.contains(" 200 "), "{answer}");
}

async fn send(url: &str, method: &str, path: &str, body: &str) -> Option<TcpStream> {
    let address = url.strip_prefix("http://").expect("a plain URL");
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    Some(stream)
}
