//! Who may ask: by which name, from which page, with which token.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderName, HeaderValue, ORIGIN, VARY, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use std::net::SocketAddr;

use super::config::FrontConfig;
use super::tokens::{Fingerprint, Tokens};
use crate::answer::Body;
use crate::{Code, Refusal};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a page may read of an answer beside its body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "retry-after, x-request-id, x-should-retry, x-mlx-tree-attempts, x-mlx-tree-backend, x-mlx-tree-fallback, \
     x-mlx-tree-model, x-mlx-tree-queue-ms",
);

/// The checks that hold for every request.
#[derive(Debug)]
pub(super) struct Door {
    hosts: Vec<String>,
    origins: Vec<String>,
    tokens: Tokens,
}

/// A web page that may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page(HeaderValue);

// === impl Door ===

impl Door {
    /// Of a front that listens on `address`.
    pub(super) fn new(config: &FrontConfig, address: SocketAddr) -> Self {
        let port = address.port();
        let mut hosts = Vec::new();
        let mut add = |name: &str, port: u16| {
            hosts.push(format!("{name}:{port}"));
            // A client leaves out the port that goes without saying.
            if port == 80 {
                hosts.push(name.to_owned());
            }
        };
        for name in ["localhost", "127.0.0.1", "[::1]"] {
            add(name, port);
        }
        if !address.ip().is_unspecified() && !address.ip().is_loopback() {
            let itself = address.to_string();
            add(itself.rsplit_once(':').map_or(itself.as_str(), |(name, _)| name), port);
        }
        for host in &config.hosts {
            // The colons of an IPv6 address stand in brackets.
            match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
                Some((name, Ok(port))) => add(name, port),
                Some((_, Err(_))) | None => add(host, port),
            }
        }
        Self { hosts, origins: config.origins.clone(), tokens: config.tokens.clone() }
    }

    /// Checks by which name, and from which page. Answers the page, if it is one.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Option<Page>, Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let known = match (hosts.next(), hosts.next()) {
            (Some(host), None) => self.hosts.iter().any(|known| known.as_bytes() == host.as_bytes()),
            (Some(_) | None, _) => false,
        };
        if !known {
            let message = "The `Host` header does not name this server; see `gateway.allowed_hosts`.";
            return Err(Refusal::new(Code::HostNotAllowed, message));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let page = match (origins.next(), origins.next()) {
            (None, _) => None,
            (Some(origin), None) if self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()) => {
                Some(Page(origin.clone()))
            }
            (Some(_), _) => {
                let message = "Web pages of this origin may not ask; see `gateway.allowed_origins`.";
                return Err(Refusal::new(Code::OriginNotAllowed, message));
            }
        };
        // A page that is on the list is mostly of another site than we are.
        let cross = headers.get_all(SEC_FETCH_SITE).iter().any(|site| site.as_bytes() == b"cross-site");
        if cross && page.is_none() {
            let message = "Web pages of other sites may not ask; see `gateway.allowed_origins`.";
            return Err(Refusal::new(Code::OriginNotAllowed, message));
        }
        Ok(page)
    }

    /// Checks the token, which is `presented`.
    pub(super) fn authorise(&self, presented: Option<&Fingerprint>) -> Result<(), Refusal> {
        if self.tokens.is_empty() || presented.is_some_and(|token| self.tokens.know(token)) {
            return Ok(());
        }
        let message = "This needs one of the gateway's tokens: `Authorization: Bearer …`.";
        Err(Refusal::new(Code::InvalidApiKey, message))
    }
}

/// What else belongs to a refusal of the door.
pub(super) fn complete(refusal: &Refusal, response: &mut Response<Body>) {
    if refusal.code == Code::InvalidApiKey {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}

// === impl Page ===

impl Page {
    /// The answer to a browser's question what this page may do, if `head` is one.
    pub(super) fn preflight(&self, head: &Parts) -> Option<Response<Body>> {
        if head.method != Method::OPTIONS || !head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        // Whatever it wants to send: SDKs send a dozen of their own, and what is not known is not looked at.
        if let Some(wanted) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// Lets the page read the answer.
    pub(super) fn mark(self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.0);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
}

#[cfg(test)]
#[path = "door/tests.rs"]
mod tests;
