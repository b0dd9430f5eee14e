//! `[gateway]`: the one address that clients use, and how long a request may wait behind it.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::Origin;
use crate::layers::Found;
use crate::plan::{Diff, Effect};
use crate::reader::Section;
use crate::secret::MASK;
use crate::value::{Choice, Reject, Shown, Size, choice, duration, integer, size, span, text, texts};

/// The gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Where clients are served; port 0 means a free one. `None` means that there is no gateway.
    pub listen: Option<SocketAddr>,
    /// Requests that the server is given at the same time.
    pub max_inflight: NonZeroU32,
    /// Requests that may wait.
    pub max_queue: u32,
    /// How long a request may wait, for its turn and for a restart together.
    pub hold_budget: Duration,
    /// After a crash under several requests, they are let in one by one; each of these spans without another crash allows
    /// one more.
    pub climb_after: Duration,
    /// A server that says nothing for so long is given up by the request that waits for it.
    pub stall_timeout: Duration,
    /// What becomes of a stream that is cut after its client has seen a part of it.
    pub continue_streams: ContinueStreams,
    /// What a request gets that names no model of ours.
    pub unknown_model: UnknownModel,
    /// Connections at the same time.
    pub max_connections: NonZeroU32,
    /// The largest body of a request, in bytes.
    pub max_body: u64,
    /// All bodies that are held at the same time, in bytes.
    pub max_buffered: u64,
    /// A client that takes nothing of its answer for so long is given up.
    pub write_timeout: Duration,
    /// Further names by which clients may call the gateway, beside localhost and its own address.
    pub allowed_hosts: Vec<String>,
    /// The web pages that may use the gateway, as origins.
    pub allowed_origins: Vec<String>,
    /// Who may use the gateway. Empty: everybody who reaches it, which is why it then listens on loopback only.
    pub tokens: Tokens,
}

/// What becomes of a cut stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContinueStreams {
    /// A greedy one is generated anew and goes on where it was cut, if it is the same up to there. Another one ends with an
    /// error.
    Greedy,
    /// It ends with an error.
    Never,
}

/// What a request gets that names no model of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownModel {
    /// 404.
    Refuse,
    /// The first server's model. The answer says so.
    Default,
}

/// Bearer tokens. Never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tokens(Vec<String>);

impl GatewaySettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let settings = Self {
            listen: section.read("listen", |value| listen(&text(value)?)).0,
            max_inflight: section.read("max_inflight", |value| Count::read(value, 1)).nonzero(),
            max_queue: section.read("max_queue", integer(0..=100_000)),
            hold_budget: section.read("hold_budget", span),
            climb_after: section.read("climb_after", duration),
            stall_timeout: section.read("stall_timeout", span),
            continue_streams: section.read("continue_streams", choice),
            unknown_model: section.read("unknown_model", choice),
            max_connections: section.read("max_connections", |value| Count::read(value, 8)).nonzero(),
            max_body: section.read("max_body", size).0,
            max_buffered: section.read("max_buffered", size).0,
            write_timeout: section.read("write_timeout", span),
            allowed_hosts: section.read("allowed_hosts", |value| hosts(texts(value)?)),
            allowed_origins: section.read("allowed_origins", |value| origins(texts(value)?)),
            tokens: section.read_found("tokens", Tokens::read),
        };
        if settings.max_buffered < settings.max_body {
            section.conflict(
                "max_buffered",
                "max_body",
                "no request of that size could ever be held",
                "gateway.max_buffered must not be less than gateway.max_body",
            );
        }
        if settings.listen.is_some_and(|address| !address.ip().is_loopback()) && settings.tokens.is_empty() {
            section.conflict(
                "listen",
                "tokens",
                "everybody who reaches this machine could use the server",
                "set gateway.tokens, or listen on a loopback address, such as \"127.0.0.1:8080\"",
            );
        }
        settings
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self {
            listen,
            max_inflight,
            max_queue,
            hold_budget,
            climb_after,
            stall_timeout,
            continue_streams,
            unknown_model,
            max_connections,
            max_body,
            max_buffered,
            write_timeout,
            allowed_hosts,
            allowed_origins,
            tokens,
        } = self;
        diff.key("listen", &Effect::Program, listen, &new.listen);
        diff.live("max_inflight", max_inflight, &new.max_inflight);
        diff.live("max_queue", max_queue, &new.max_queue);
        diff.live("hold_budget", hold_budget, &new.hold_budget);
        diff.live("climb_after", climb_after, &new.climb_after);
        diff.live("stall_timeout", stall_timeout, &new.stall_timeout);
        diff.live("continue_streams", continue_streams, &new.continue_streams);
        diff.live("unknown_model", unknown_model, &new.unknown_model);
        diff.live("max_connections", max_connections, &new.max_connections);
        diff.live("max_body", &Size(*max_body), &Size(new.max_body));
        diff.live("max_buffered", &Size(*max_buffered), &Size(new.max_buffered));
        diff.live("write_timeout", write_timeout, &new.write_timeout);
        diff.live("allowed_hosts", allowed_hosts, &new.allowed_hosts);
        diff.live("allowed_origins", allowed_origins, &new.allowed_origins);
        diff.live("tokens", tokens, &new.tokens);
    }

    /// What holds when `new` has come after these settings: the address is taken for good.
    pub(crate) fn followed_by(&self, new: &Self) -> Self {
        Self { listen: self.listen, ..new.clone() }
    }
}

/// An address, or nothing.
struct Listen(Option<SocketAddr>);

/// A number of things, at least so many.
struct Count(u32);

fn listen(text: &str) -> Result<Listen, Reject> {
    if text.is_empty() {
        return Ok(Listen(None));
    }
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map(|address| Listen(Some(address))).map_err(|_| {
        Reject::malformed(
            "this is no address with a port",
            r#"an address with a port, such as "127.0.0.1:8080", or """#,
        )
    })
}

/// Names without ports: the port is the gateway's own.
fn hosts(names: Vec<String>) -> Result<Vec<String>, Reject> {
    for (at, name) in names.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-[]:".contains(&byte);
        let has_port = !name.ends_with(']') && name.contains(':');
        if name.is_empty() || !name.bytes().all(plain) || has_port || name.ends_with('.') {
            let help = r#"a name in lower case without a port, such as "mac-studio.local""#;
            return Err(Reject::invalid("this is no such name", help).in_item(at + 1));
        }
    }
    Ok(names)
}

/// What a browser sends as `Origin`: scheme, name and port.
fn origins(origins: Vec<String>) -> Result<Vec<String>, Reject> {
    for (at, origin) in origins.iter().enumerate() {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"/?#*@\\".contains(&byte);
        if !rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain)) {
            let help = r#"scheme, name and port as a browser sends them, such as "http://localhost:3000""#;
            return Err(Reject::invalid("this is no origin", help).in_item(at + 1));
        }
    }
    Ok(origins)
}

// === impl Tokens ===

impl Tokens {
    /// The shortest token that is not guessed in a day.
    const SHORTEST: usize = 16;

    fn read(found: &Found) -> Result<Self, Reject> {
        let tokens = texts(&found.value)?;
        if matches!(found.origin, Origin::Flag(_)) && !tokens.is_empty() {
            let help = "a file, or the variable MLX_TREE__GATEWAY__TOKENS";
            return Err(Reject::invalid("everybody can read the arguments of a process", help));
        }
        for (at, token) in tokens.iter().enumerate() {
            let help = "16 or more printable characters without spaces, such as the output of `openssl rand -hex 24`";
            if token.len() < Self::SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Reject::invalid("this is no token", help).in_item(at + 1));
            }
        }
        Ok(Self(tokens))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens themselves.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|_| MASK)).finish()
    }
}

impl Shown for Tokens {
    fn shown(&self) -> String {
        let masks: Vec<_> = self.0.iter().map(|_| format!("\"{MASK}\"")).collect();
        format!("[{}]", masks.join(", "))
    }
}

// === impl Listen ===

impl Shown for Listen {
    fn shown(&self) -> String {
        self.0.map_or_else(|| "\"\"".to_owned(), |address| address.shown())
    }
}

// === impl Count ===

impl Count {
    fn read(value: &figment::value::Value, least: i128) -> Result<Self, Reject> {
        integer(least..=100_000)(value).map(Self)
    }

    fn nonzero(self) -> NonZeroU32 {
        NonZeroU32::new(self.0).unwrap_or(NonZeroU32::MIN)
    }
}

impl Shown for Count {
    fn shown(&self) -> String {
        self.0.to_string()
    }
}

// === impl ContinueStreams, UnknownModel ===

impl Choice for ContinueStreams {
    const WORDS: &'static [(&'static str, Self)] = &[("greedy", Self::Greedy), ("never", Self::Never)];
}

impl Choice for UnknownModel {
    const WORDS: &'static [(&'static str, Self)] = &[("refuse", Self::Refuse), ("default", Self::Default)];
}
