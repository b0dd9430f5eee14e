//! Bearer tokens, known by their hashes only.

use std::fmt;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a token. Says nothing about the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// The tokens that open the gateway. None at all: it is open.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Fingerprint>);

// === impl Fingerprint ===

impl Fingerprint {
    /// Of a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Of the bearer token in a request: of exactly one `Authorization: Bearer …`.
    #[must_use]
    pub fn presented(headers: &HeaderMap) -> Option<Self> {
        const SCHEME: &[u8] = b"bearer ";
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else { return None };
        let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
        (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then(|| Self::of(token))
    }

    /// Whether both are the same, in the same time whether they are or not.
    fn matches(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(other.0).fold(0, |seen, (one, other)| seen | (one ^ other));
        std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

// === impl Tokens ===

impl Tokens {
    /// Of the tokens themselves, which are not kept.
    #[must_use]
    pub fn new<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = T>) -> Self {
        Self(tokens.into_iter().map(|token| Fingerprint::of(token.as_ref())).collect())
    }

    /// Whether there is none, so that anybody may ask.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `presented` is one of them. Looks at all of them, whatever it finds.
    #[must_use]
    pub fn know(&self, presented: &Fingerprint) -> bool {
        self.0.iter().fold(false, |found, token| found | token.matches(presented))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn presented(values: &[&'static str]) -> Option<Fingerprint> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        Fingerprint::presented(&headers)
    }

    #[test]
    fn any_of_the_tokens_is_known_and_nothing_else() {
        let tokens = Tokens::new(["first", "second", ""]);
        for known in ["Bearer first", "bearer second", "BEARER first"] {
            assert!(presented(&[known]).is_some_and(|it| tokens.know(&it)), "{known}");
        }
        for unknown in ["Bearer firs", "Bearer first ", "Bearer  first", "Bearer FIRST", "Bearer firstsecond"] {
            assert!(presented(&[unknown]).is_some_and(|it| !tokens.know(&it)), "{unknown}");
        }
        for none in
            [&[][..], &["Bearer "], &["Bearer"], &["Basic first"], &["first"], &["Bearer first", "Bearer first"]]
        {
            assert_eq!(presented(none), None, "{none:?}");
        }
    }

    #[test]
    fn neither_a_token_nor_its_hash_is_ever_printed() {
        let fingerprint = Fingerprint::of(b"canary");
        assert_eq!(format!("{fingerprint:?} {:?}", Tokens::new(["canary"])), "*** 1 tokens");
    }
}
