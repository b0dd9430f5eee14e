//! The door: what a request must look like before it is routed at all.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Method, StatusCode, Version, header};

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
}

/// Checks what holds for every request: exactly one `Host`, and one of ours; no foreign origin.
pub(crate) fn admit(headers: &HeaderMap, version: Version, bound: SocketAddr) -> Result<(), Denial> {
    if version != Version::HTTP_11 {
        return Err(Denial::WrongVersion);
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Denial::ForeignHost) };
    let ours = names_of(bound);
    if !ours.iter().any(|name| name.as_bytes() == host.as_bytes()) {
        return Err(Denial::ForeignHost);
    }
    for origin in headers.get_all(header::ORIGIN) {
        let same = ours.iter().any(|name| origin.as_bytes() == format!("http://{name}").as_bytes());
        if !same {
            return Err(Denial::ForeignOrigin);
        }
    }
    let cross_site = headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site");
    if cross_site { Err(Denial::ForeignOrigin) } else { Ok(()) }
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
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match presented.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(presented) if token.matches(presented) => Ok(()),
        Some(_) | None => Err(Denial::Unauthorized),
    }
}

fn names_of(bound: SocketAddr) -> Vec<String> {
    let port = bound.port();
    let mut names = vec![format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
    let itself = bound.to_string();
    if !names.contains(&itself) {
        names.push(itself);
    }
    names
}

// === impl Denial ===

impl Denial {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::ForeignHost | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::NotJson => "not_json",
            Self::Unauthorized => "unauthorized",
            Self::WrongVersion => "http_version",
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::ForeignHost => "the Host header names another server than this one",
            Self::ForeignOrigin => "web pages of other origins may not call this server",
            Self::NotJson => "this needs POST with content-type: application/json",
            Self::Unauthorized => "this needs the bearer token from the state directory",
            Self::WrongVersion => "only HTTP/1.1 is spoken here",
        }
    }
}
