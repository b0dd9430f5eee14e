//! Who a request comes from, as far as fairness needs to know.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;

/// A client: the bearer token that it shows, else its address. Requests with equal keys share one place in the round.
///
/// The token itself is not in it, only a hash under a key that this process has drawn: it tells two clients apart and
/// nothing else, and may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientKey {
    /// It showed a token.
    Token(u64),
    /// It showed none, and comes from here.
    Address(IpAddr),
}

// === impl ClientKey ===

impl ClientKey {
    /// The client that shows this token.
    #[must_use]
    pub fn of_token(token: &[u8]) -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        Self::Token(KEY.get_or_init(RandomState::new).hash_one(token))
    }

    /// The client at this address, which shows no token. An IPv4 address written as IPv6 is the same client.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

impl From<crate::front::ClientKey> for ClientKey {
    fn from(key: crate::front::ClientKey) -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        match key {
            crate::front::ClientKey::Token(print) => Self::Token(KEY.get_or_init(RandomState::new).hash_one(print)),
            crate::front::ClientKey::Address(address) => Self::of_address(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_always_the_same_client_and_never_readable() {
        let key = ClientKey::of_token(b"sk-very-secret");
        assert_eq!(key, ClientKey::of_token(b"sk-very-secret"));
        assert_ne!(key, ClientKey::of_token(b"sk-another"));
        assert!(!format!("{key:?}").contains("secret"));
    }

    #[test]
    fn one_host_is_one_client_in_either_notation() {
        let plain = ClientKey::of_address("127.0.0.1".parse().expect("an address"));
        let mapped = ClientKey::of_address("::ffff:127.0.0.1".parse().expect("an address"));
        assert_eq!(plain, mapped);
    }
}
