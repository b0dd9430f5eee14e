//! One HTTP request to a fallback: a connection of its own, no proxy, no redirect, no retry; dropped, it is closed.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::{Code, Refusal};

/// Longer than a connect to this machine ever takes.
const CONNECT: Duration = Duration::from_secs(5);

/// No error of a fallback is longer.
const LONGEST_ERROR: usize = 64 << 10;

/// The body of an answer, and the connection that it comes over.
#[derive(Debug)]
pub(super) struct Body {
    incoming: Incoming,
    connection: JoinHandle<()>,
}

/// The next part of a body.
pub(super) enum Chunk {
    /// Some of it.
    Bytes(Bytes),
    /// There is no more.
    End,
    /// The connection broke.
    Broken(Refusal),
}

/// Posts `body`, and resolves with the answer's head.
///
/// # Errors
/// `fallback_unavailable`: nobody listens, the connection broke, or nothing came within `silence`.
pub(super) async fn post(
    address: SocketAddr,
    path: &str,
    body: Bytes,
    silence: Duration,
) -> Result<(StatusCode, Body), Refusal> {
    let request = Request::post(path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/x-ndjson, text/event-stream, application/json")
        .body(Full::new(body))
        .map_err(|error| broken(&error))?;
    let connected = tokio::time::timeout(CONNECT.min(silence), TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| slow(CONNECT.min(silence)))?.map_err(|error| {
        Refusal::new(Code::FallbackUnavailable, format!("The fallback does not answer at {address}: {error}."))
    })?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let connection = tokio::spawn(async move {
        // How it ended shows in the answer's body.
        let _ = connection.await;
    });
    let guard = Guard(Some(connection));
    let answer = tokio::time::timeout(silence, sender.send_request(request)).await;
    let answer = answer.map_err(|_| slow(silence))?.map_err(|error| broken(&error))?;
    let (head, incoming) = answer.into_parts();
    Ok((head.status, Body { incoming, connection: guard.release() }))
}

fn slow(after: Duration) -> Refusal {
    let message = format!("The fallback has not answered within {} s (fallback.timeout).", after.as_secs_f64());
    Refusal::new(Code::FallbackUnavailable, message)
}

fn broken(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(Code::FallbackUnavailable, format!("The connection to the fallback broke: {error}."))
}

/// Ends the connection of a request that is given up before its answer began.
struct Guard(Option<JoinHandle<()>>);

// === impl Guard ===

impl Guard {
    /// Hands the connection over to the answer's body.
    fn release(mut self) -> JoinHandle<()> {
        self.0.take().unwrap_or_else(|| tokio::spawn(async {}))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.abort();
        }
    }
}

// === impl Body ===

impl Body {
    /// The next part.
    pub(super) async fn next(&mut self) -> Chunk {
        loop {
            match self.incoming.frame().await {
                // Trailers say nothing here.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Chunk::Bytes(bytes);
                    }
                }
                Some(Err(error)) => {
                    let message = format!("The fallback's answer broke off: {error}.");
                    return Chunk::Broken(Refusal::new(Code::BadUpstreamResponse, message));
                }
                None => return Chunk::End,
            }
        }
    }

    /// The beginning of the body as text, for an error.
    pub(super) async fn error_text(mut self, within: Duration) -> String {
        let mut text = Vec::new();
        let read = async {
            while text.len() < LONGEST_ERROR {
                match self.next().await {
                    Chunk::Bytes(bytes) => text.extend_from_slice(&bytes),
                    Chunk::End | Chunk::Broken(_) => break,
                }
            }
        };
        // What came in time has to do.
        let _ = tokio::time::timeout(within, read).await;
        text.truncate(LONGEST_ERROR);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
