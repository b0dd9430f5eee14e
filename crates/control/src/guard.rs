//! The door: what a request must look like before it is routed at all.

use std::net::SocketAddr;

use axum::http::request::Parts;
use axum::http::uri::Scheme;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};

use crate::Token;

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// Its `Host` is not one of ours: a rebound name, or a proxy that is none of ours.
    ForeignHost,
    /// A web page of another origin sent it.
    ForeignOrigin,
    /// It wants to change something and is not JSON, so a plain form could have sent it.
    NotJson,
    /// It needs the token and has none, or a wrong one.
    Unauthorized,
    /// It does not speak HTTP/1.1.
    WrongVersion,
    /// Its head is longer than [`LONGEST_HEAD`].
    LongHead,
    /// Its body does not say how long it is. Beside a length, that is read in two ways.
    NoLength,
}

/// So long a head may be. The HTTP library stops reading a little above that, by how much depends on the pieces that come.
const LONGEST_HEAD: usize = 64 << 10;

/// What holds for every request.
#[derive(Debug)]
pub(crate) struct Door {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Checks what holds beside that for a request that changes something.
pub(crate) fn admit_change(method: &Method, headers: &HeaderMap, token: &Token) -> Result<(), Denial> {
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    if method != Method::POST || !json {
        return Err(Denial::NotJson);
    }
    admit_bearer(headers, token)
}

/// Checks the token.
pub(crate) fn admit_bearer(headers: &HeaderMap, token: &Token) -> Result<(), Denial> {
    let mut presented = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(presented), None) = (presented.next(), presented.next()) else { return Err(Denial::Unauthorized) };
    match presented.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")) {
        Some(presented) if token.matches(presented) => Ok(()),
        Some(_) | None => Err(Denial::Unauthorized),
    }
}

/// How long a head is when it is written without needless spaces: each field has a colon, a space and an end of two bytes.
fn length(head: &Parts) -> usize {
    let scheme = head.uri.scheme_str().map_or(0, |scheme| scheme.len() + 3);
    let authority = head.uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    // Two spaces, the version, and the end of the line.
    let first = head.method.as_str().len() + scheme + authority + path + 12;
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    first + fields.sum::<usize>() + 2
}

// === impl Door ===

impl Door {
    /// Of a control plane that listens on `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let port = address.port();
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        let itself = address.to_string();
        let itself = itself.rsplit_once(':').map_or(itself.as_str(), |(name, _)| name);
        if !names.iter().any(|name| name == itself) {
            names.push(itself.to_owned());
        }
        let mut hosts: Vec<_> = names.iter().map(|name| format!("{name}:{port}")).collect();
        // A client leaves out the port that goes without saying.
        if port == 80 {
            hosts.extend(names);
        }
        let origins = hosts.iter().map(|host| format!("http://{host}")).collect();
        Self { hosts, origins }
    }

    /// Checks that there is exactly one `Host`, and one of ours; that an address in the first line is the same; and that no web
    /// page of another origin asks.
    pub(crate) fn admit(&self, head: &Parts) -> Result<(), Denial> {
        if head.version != Version::HTTP_11 {
            return Err(Denial::WrongVersion);
        }
        if length(head) > LONGEST_HEAD {
            return Err(Denial::LongHead);
        }
        if head.headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(Denial::NoLength);
        }
        let mut hosts = head.headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Denial::ForeignHost) };
        if !self.hosts.iter().any(|ours| ours.as_bytes() == host.as_bytes()) {
            return Err(Denial::ForeignHost);
        }
        let elsewhere = head.uri.authority().is_some_and(|authority| authority.as_str().as_bytes() != host.as_bytes());
        if elsewhere || head.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP) {
            return Err(Denial::ForeignHost);
        }
        let mut origins = head.headers.get_all(header::ORIGIN).iter();
        let own = |origin: &HeaderValue| self.origins.iter().any(|ours| ours.as_bytes() == origin.as_bytes());
        match (origins.next(), origins.next()) {
            (None, _) => {}
            (Some(origin), None) if own(origin) => {}
            (Some(_), _) => return Err(Denial::ForeignOrigin),
        }
        let cross_site = head.headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site");
        if cross_site { Err(Denial::ForeignOrigin) } else { Ok(()) }
    }
}

// === impl Denial ===

impl Denial {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::ForeignHost | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::LongHead => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NoLength => StatusCode::LENGTH_REQUIRED,
        }
    }

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::NotJson => "not_json",
            Self::Unauthorized => "unauthorized",
            Self::WrongVersion => "http_version",
            Self::LongHead => "head_too_large",
            Self::NoLength => "length_required",
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::ForeignHost => "the Host header names another server than this one",
            Self::ForeignOrigin => "web pages of other origins may not call this server",
            Self::NotJson => "this needs POST with content-type: application/json",
            Self::Unauthorized => "this needs the bearer token from the state directory",
            Self::WrongVersion => "only HTTP/1.1 is spoken here",
            Self::LongHead => "the head of the request is longer than 64 KiB",
            Self::NoLength => "a body needs a content-length, and no transfer-encoding",
        }
    }
}
