//! Who asks, under which number, and whether they are still there.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tokio::sync::Notify;

use super::tokens::Fingerprint;

/// The header that carries a [`RequestId`].
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken from a client.
const ID_MAX: usize = 128;

/// Who is asked to share: the token that the client shows, or its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientKey {
    /// The fingerprint of its bearer token, right or wrong.
    Token(Fingerprint),
    /// Its address, when it shows none.
    Address(IpAddr),
}

/// The number of a request: the client's own if it is decent, or a new one. It stands in every answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// Resolves when the client has left. A client that half-closes its side has left too.
#[derive(Debug, Clone)]
pub struct Gone(Arc<Absence>);

/// The other end of [`Gone`].
#[derive(Debug, Default)]
pub struct Departure(Arc<Absence>);

#[derive(Debug, Default)]
struct Absence {
    left: AtomicBool,
    changed: Notify,
}

// === impl RequestId ===

impl RequestId {
    /// The client's own, if it is 1 to 128 of `[A-Za-z0-9._-]` and there is one only; else 16 hexadecimal digits.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_decent(id.as_bytes()) => Self(id.clone()),
            (Some(_) | None, _) => Self::fresh(),
        }
    }

    /// A new one. It is unlikely to be seen twice, and that is all it promises.
    #[must_use]
    pub fn fresh() -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = KEYS.hash_one(COUNT.fetch_add(1, Ordering::Relaxed));
        let text = format!("{number:016x}");
        Self(HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0")))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As the value of a header.
    #[must_use]
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }
}

fn is_decent(id: &[u8]) -> bool {
    (1..=ID_MAX).contains(&id.len()) && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Gone ===

impl Gone {
    /// A client that never leaves; for requests that nobody sent.
    #[must_use]
    pub fn never() -> Self {
        Self(Arc::default())
    }

    /// Resolves when the client has left, at once if it has already.
    pub async fn wait(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.is_gone() {
                return;
            }
            changed.await;
        }
    }

    /// Whether the client has left.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.left.load(Ordering::Acquire)
    }
}

// === impl Departure ===

impl Departure {
    /// What is told.
    #[must_use]
    pub fn gone(&self) -> Gone {
        Gone(Arc::clone(&self.0))
    }

    /// Tells that the client has left.
    pub fn happened(&self) {
        self.0.left.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }
}

/// A connection that is given up has no client.
impl Drop for Departure {
    fn drop(&mut self) {
        self.happened();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_decent_request_id_is_taken_over() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(REQUEST_ID, HeaderValue::from_static(value));
            }
            RequestId::of(&headers).to_string()
        };
        assert_eq!(of(&["req-1.A_b"]), "req-1.A_b");
        for values in [&[][..], &[""], &["a b"], &["a/b"], &["a", "b"]] {
            let id = of(values);
            assert_eq!(id.len(), 16, "{values:?}: {id}");
            assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn fresh_request_ids_differ() {
        assert_ne!(RequestId::fresh(), RequestId::fresh());
    }
}
