//! Saying no: every error that the gateway answers, in OpenAI's shape.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The longest `Retry-After`: the Node SDK ignores more than 60 seconds.
const RETRY_AFTER_MAX: u64 = 60;

/// Tells an SDK whether the same request may be sent again.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What it is.
    pub code: Code,
    /// One or two sentences for people: what, where, and what to do.
    pub message: String,
    /// The field of the request that it is about.
    pub param: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Whether the connection is still in a known state.
    pub connection: Connection,
}

/// What becomes of the connection after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It can be used again.
    Keep,
    /// What follows on it cannot be trusted.
    Close,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:ident, $kind:literal;)*) => {
        /// What went wrong, as a closed set: the word for programs, its status and its type.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word in the body's `code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The word in the body's `type`.
            #[must_use]
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$name => $kind,)* }
            }
        }
    };
}

codes! {
    /// The body is no JSON object.
    InvalidJson = "invalid_json", BAD_REQUEST, "invalid_request_error";
    /// A field has a value that cannot be served.
    InvalidParameter = "invalid_parameter", BAD_REQUEST, "invalid_request_error";
    /// A field that is not for clients to set.
    ParameterNotAllowed = "parameter_not_allowed", BAD_REQUEST, "invalid_request_error";
    /// The request is no proper HTTP/1.1.
    MalformedRequest = "malformed_request", BAD_REQUEST, "invalid_request_error";
    /// No token, or a wrong one.
    InvalidApiKey = "invalid_api_key", UNAUTHORIZED, "invalid_request_error";
    /// The `Host` is not ours.
    HostNotAllowed = "host_not_allowed", FORBIDDEN, "invalid_request_error";
    /// The request comes from a web page that is not on the list.
    OriginNotAllowed = "origin_not_allowed", FORBIDDEN, "invalid_request_error";
    /// There is no such model here.
    ModelNotFound = "model_not_found", NOT_FOUND, "invalid_request_error";
    /// There is nothing at this path.
    NotFound = "not_found", NOT_FOUND, "invalid_request_error";
    /// The path has other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "invalid_request_error";
    /// The request came too slowly.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "invalid_request_error";
    /// The body is too large.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "invalid_request_error";
    /// The body is not what this path takes.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "invalid_request_error";
    /// The request has killed the server twice.
    RequestQuarantined = "request_quarantined", UNPROCESSABLE_ENTITY, "invalid_request_error";
    /// This client waits with more than its share.
    ClientShareExceeded = "client_share_exceeded", TOO_MANY_REQUESTS, "rate_limit_error";
    /// The headers are too large.
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "invalid_request_error";
    /// The request is of another HTTP than 1.1.
    HttpVersionNotSupported = "http_version_not_supported", HTTP_VERSION_NOT_SUPPORTED, "invalid_request_error";
    /// A bug of the gateway.
    InternalError = "internal_error", INTERNAL_SERVER_ERROR, "server_error";
    /// The server died of this request or beside it, and it cannot be replayed.
    BackendCrashed = "backend_crashed", BAD_GATEWAY, "server_error";
    /// The server answered what is no answer.
    BadUpstreamResponse = "bad_upstream_response", BAD_GATEWAY, "server_error";
    /// The queue is full.
    ServerOverloaded = "server_overloaded", SERVICE_UNAVAILABLE, "server_error";
    /// The request has waited as long as it may.
    QueueTimeout = "queue_timeout", SERVICE_UNAVAILABLE, "server_error";
    /// The server will not be back in time.
    BackendRestarting = "backend_restarting", SERVICE_UNAVAILABLE, "server_error";
    /// The breaker is open.
    BackendCircuitOpen = "backend_circuit_open", SERVICE_UNAVAILABLE, "server_error";
    /// An operator has stopped the server.
    BackendStopped = "backend_stopped", SERVICE_UNAVAILABLE, "server_error";
    /// mlx-tree is ending.
    ShuttingDown = "shutting_down", SERVICE_UNAVAILABLE, "server_error";
    /// The fallback cannot do what is asked.
    FallbackUnsupported = "fallback_unsupported", SERVICE_UNAVAILABLE, "server_error";
    /// The fallback does not have the model.
    FallbackModelMissing = "fallback_model_missing", SERVICE_UNAVAILABLE, "server_error";
    /// The fallback does not answer.
    FallbackUnavailable = "fallback_unavailable", SERVICE_UNAVAILABLE, "server_error";
    /// The server has said nothing for too long.
    UpstreamTimeout = "upstream_timeout", GATEWAY_TIMEOUT, "server_error";
}

/// OpenAI's error object. All four keys are always there.
#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

// === impl Refusal ===

impl Refusal {
    /// A refusal with nothing but a word and a sentence.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, retry_after: None, connection: Connection::Keep }
    }

    /// Names the field that it is about.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Ends the connection after the answer.
    #[must_use]
    pub const fn close(mut self) -> Self {
        self.connection = Connection::Close;
        self
    }

    /// The error object, which is also what a stream carries as its last event.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let detail = Detail {
            message: &self.message,
            r#type: self.code.kind(),
            param: self.param.as_deref(),
            code: self.code.as_str(),
        };
        // Strings only: this cannot fail, and an empty body would be the worse answer if it did.
        serde_json::to_vec(&Body { error: detail }).unwrap_or_default().into()
    }

    /// The whole answer.
    #[must_use]
    pub fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.clamp(1, RETRY_AFTER_MAX)));
        }
        if matches!(self.code, Code::RequestQuarantined) {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if self.connection == Connection::Close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_all_four_keys_and_a_word_of_its_own() {
        let mut words = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let body: serde_json::Value =
                serde_json::from_slice(&Refusal::new(*code, "why").body()).expect("the body is JSON");
            let keys: Vec<_> = body["error"].as_object().expect("an object").keys().cloned().collect();
            assert_eq!(keys, ["code", "message", "param", "type"]);
            assert!(code.status().is_client_error() || code.status().is_server_error());
            assert!(words.insert(code.as_str()), "{} is there twice", code.as_str());
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_that_every_sdk_honours() {
        let told = |after| {
            let refusal = Refusal::new(Code::ServerOverloaded, "full").retry_after(after);
            refusal.response().headers()[RETRY_AFTER].to_str().expect("ascii").to_owned()
        };
        assert_eq!(told(Duration::ZERO), "1");
        assert_eq!(told(Duration::from_millis(1_001)), "2");
        assert_eq!(told(Duration::from_secs(600)), "60");
    }
}
