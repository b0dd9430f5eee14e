//! `[control]`: who may ask about the server.

use std::net::SocketAddr;

use crate::Problem;
use crate::plan::{Diff, Effect};
use crate::reader::Section;
use crate::value::{Reject, text};

/// The control API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlSettings {
    /// Where it listens: a loopback address. Port 0 means a free one.
    pub listen: SocketAddr,
}

impl ControlSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self { listen: section.read("listen", |value| address(&text(value)?)) }
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { listen } = self;
        diff.key("listen", &Effect::Program, listen, &new.listen);
    }
}

/// A loopback address with a port. Nothing else is safe while there are no tokens: whoever reaches the control API
/// controls the server.
fn address(text: &str) -> Result<SocketAddr, Reject> {
    const HELP: &str = r#"an address with a port, such as "127.0.0.1:8081""#;
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = numeric
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| Reject::malformed("this is no address with a port", HELP))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(Reject {
            problem: Problem::NotLoopback("others could reach the control API, and it has no tokens".to_owned()),
            help: Some("a loopback address, such as \"127.0.0.1:8081\"".to_owned()),
        })
    }
}
