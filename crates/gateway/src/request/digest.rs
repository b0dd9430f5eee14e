//! When two requests are the same one: what an SDK's retry has in common with its first try.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Endpoint;

/// What makes a request the same as another one, in 128 bits. It means nothing outside of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u64; 2]);

/// Fields that change nothing in what the server does: how the answer is wrapped, and what the client notes for itself. A
/// request that kills is not harmless because it is asked for as a stream.
const BESIDE: [&str; 6] = ["model", "stream", "stream_options", "user", "metadata", "store"];

/// Two independent keys of 128 bits, drawn once. Without them nobody can find two bodies of one digest (and have another
/// client's request refused), and the digests themselves are never shown.
static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);

// === impl Digest ===

impl Digest {
    /// Of what a request asks of the model `model`. The order of the fields and the white space do not count.
    pub(super) fn of(endpoint: Endpoint, model: &str, fields: &Map<String, Value>) -> Self {
        let mut sponge = Sponge(KEYS.each_ref().map(|key| key.build_hasher()));
        let place: &[u8] = match endpoint {
            Endpoint::Chat => b"chat",
            Endpoint::Completions => b"completions",
            Endpoint::Embeddings => b"embeddings",
        };
        sponge.part(place);
        sponge.part(model.as_bytes());
        let mut counted: Vec<_> = fields.iter().filter(|(name, _)| !BESIDE.contains(&name.as_str())).collect();
        counted.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in counted {
            sponge.part(name.as_bytes());
            // Into a sponge that takes everything, and a `Value` has string keys only: it cannot fail.
            let _ = serde_json::to_writer(&mut sponge, value);
            sponge.part(b"");
        }
        Self(sponge.0.map(|hasher| hasher.finish()))
    }
}

/// Two hashers that take the same bytes.
struct Sponge([std::hash::DefaultHasher; 2]);

// === impl Sponge ===

impl Sponge {
    /// A part with its end: "ab" and "c" are not "a" and "bc".
    fn part(&mut self, bytes: &[u8]) {
        for hasher in &mut self.0 {
            hasher.write(bytes);
            hasher.write_usize(bytes.len());
        }
    }
}

impl io::Write for Sponge {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.iter_mut().for_each(|hasher| hasher.write(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: Endpoint, body: &str) -> Digest {
        Digest::of(endpoint, "m", &serde_json::from_str(body).expect("an object"))
    }

    #[test]
    fn a_retry_has_the_digest_of_the_first_try() {
        let first =
            of(Endpoint::Chat, r#"{"messages":[{"role":"user","content":"hi"}],"temperature":0.5,"stream":true}"#);
        let retries = [
            r#"{"messages":[{"role":"user","content":"hi"}],"temperature":0.5,"stream":true}"#,
            r#"{ "temperature": 0.5, "messages": [ {"content":"\u0068i","role":"user"} ] }"#,
            r#"{"user":"me","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"stream":false}"#,
        ];
        for retry in retries {
            assert_eq!(of(Endpoint::Chat, retry), first, "{retry}");
        }
    }

    #[test]
    fn another_request_has_another_digest() {
        let mut seen = std::collections::BTreeSet::new();
        let bodies = [
            r#"{}"#,
            r#"{"prompt":"a"}"#,
            r#"{"prompt":"b"}"#,
            r#"{"prompt":"a","stop":"b"}"#,
            r#"{"prompt":["a"],"stop":"b"}"#,
            r#"{"prompt":"a","max_tokens":1}"#,
            r#"{"prompt":"a","max_tokens":10}"#,
            r#"{"prompta":"","max_tokens":10}"#,
        ];
        for body in bodies {
            assert!(seen.insert(of(Endpoint::Completions, body)), "{body}");
        }
        assert!(seen.insert(of(Endpoint::Chat, bodies[1])), "the path counts");
        let other = Digest::of(Endpoint::Completions, "other", &serde_json::from_str(bodies[1]).expect("an object"));
        assert!(seen.insert(other), "the model counts");
    }

    #[test]
    fn the_keys_are_drawn_and_not_one_and_the_same() {
        let [one, other] = KEYS.each_ref().map(|key| key.hash_one("same"));
        assert_ne!(one, other);
    }
}
