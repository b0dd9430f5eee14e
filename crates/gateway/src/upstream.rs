//! One connection to a server for one attempt: dropped, it is closed.
//!
//! No pool, no redirects, no proxies, whatever the environment says. Nothing is spawned: the connection is driven by whoever
//! waits for the answer, so with the last of [`Connection`], the future of [`Connection::call`] and [`Body`] goes the socket.
//!
//! There is no timer but that of the connect. All waiting is cancel safe, so callers put their own around
//! [`Connection::call`] and [`Body::frame`].

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;

mod body;
mod error;
mod socket;

pub use body::{Body, Broken, End, Frame};
pub use error::{CallError, ConnectError};

use body::{Drive, Framing};
use socket::Socket;

/// How many headers an answer may have.
const HEADERS_MAX: usize = 64;

/// How large the head of an answer may be, and how much is read ahead.
const BUFFER: usize = 64 * 1024;

/// What of a server's headers is anybody's business.
const ALLOWED: [HeaderName; 2] = [CONTENT_TYPE, RETRY_AFTER];

/// A connection on which nothing has been asked yet.
#[derive(Debug)]
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    drive: Drive,
    authority: HeaderValue,
}

/// What a server is asked. Everything that it is sent is here: nothing of a client's headers comes through.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method and, for `POST`, the JSON.
    pub verb: Verb,
    /// Where.
    pub path: PathAndQuery,
    /// What the answer is to be.
    pub accept: Accept,
}

/// A method with what belongs to it.
#[derive(Debug, Clone)]
pub enum Verb {
    /// Without a body.
    Get,
    /// With this JSON.
    Post(Bytes),
}

/// What an answer is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// `application/json`.
    Json,
    /// `text/event-stream`, or JSON if it is an error.
    Events,
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Attempt {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as far as they are anybody's business: the type of the content, and when to try again.
    pub headers: HeaderMap,
    /// What it says.
    pub body: Body,
}

/// Connects to a server.
///
/// # Errors
///
/// It does not listen, or has not accepted within `limit`. Nothing has been sent then.
pub async fn connect(address: SocketAddr, limit: Duration) -> Result<Connection, ConnectError> {
    let socket = Socket::connect(address, limit).await?;
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADERS_MAX).max_buf_size(BUFFER);
    let (sender, connection) = builder.handshake(TokioIo::new(socket)).await.map_err(ConnectError::Http)?;
    let authority = HeaderValue::try_from(address.to_string()).map_err(ConnectError::Authority)?;
    Ok(Connection { sender, drive: Drive::new(connection), authority })
}

// === impl Connection ===

impl Connection {
    /// Asks, and resolves with the head of the answer. Dropped before that, it closes the connection.
    ///
    /// # Errors
    ///
    /// There is no answer, and there will be none.
    pub async fn call(self, call: Call) -> Result<Attempt, CallError> {
        let Self { mut sender, mut drive, authority } = self;
        let response = drive.along(sender.send_request(call.request(authority))).await.map_err(CallError::of)?;
        let (head, incoming) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(CallError::Switched);
        }
        let headers = ALLOWED.into_iter().filter_map(|name| Some((name.clone(), head.headers.get(name)?.clone())));
        let body = Body::new(incoming, drive, Framing::of(head.status, &head.headers));
        Ok(Attempt { status: head.status, headers: headers.collect(), body })
    }
}

// === impl Call ===

impl Call {
    /// To ask for a stream of events: `POST` of this JSON.
    #[must_use]
    pub const fn events(path: PathAndQuery, json: Bytes) -> Self {
        Self { verb: Verb::Post(json), path, accept: Accept::Events }
    }

    fn request(self, authority: HeaderValue) -> Request<Full<Bytes>> {
        let (method, body) = match self.verb {
            Verb::Get => (Method::GET, None),
            Verb::Post(json) => (Method::POST, Some(json)),
        };
        let length = body.as_ref().map(Bytes::len);
        let mut request = Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(self.path);
        let headers = request.headers_mut();
        headers.insert(HOST, authority);
        headers.insert(ACCEPT, self.accept.value());
        // There will be no second request on it.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(length) = length {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            // mlx_lm answers 411 without, also to an empty body.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        request
    }
}

// === impl Accept ===

impl Accept {
    const fn value(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("application/json"),
            Self::Events => HeaderValue::from_static("text/event-stream, application/json"),
        }
    }
}

#[cfg(test)]
mod tests;
