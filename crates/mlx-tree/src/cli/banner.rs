//! The first thing a person sees: who is here, where, and what to type next.

use std::fmt::Write as _;
use std::net::SocketAddr;

use mlx_tree::settings::Settings;

/// What the banner says.
pub(crate) struct Banner<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) control: SocketAddr,
    pub(crate) python: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) model: &'a str,
    pub(crate) note: Option<&'a str>,
}

// === impl Banner ===

impl Banner<'_> {
    /// The banner as text.
    pub(crate) fn text(&self) -> String {
        let server = &self.settings.server;
        let address = match server.port {
            0 => format!("a free port of {}", server.host),
            port => format!("http://{}", SocketAddr::new(server.host, port)),
        };
        let mut text = format!("mlx-tree {} · pid {}\n", env!("CARGO_PKG_VERSION"), std::process::id());
        let _ = writeln!(text, "  server   {} at {address}", self.kind);
        let _ = writeln!(text, "  model    {}", self.model);
        if let Some(note) = self.note {
            let _ = writeln!(text, "           ⚠️  {note}");
        }
        if let Some(python) = self.python {
            let _ = writeln!(text, "  python   {python}");
        }
        let _ = writeln!(text, "  control  http://{}/status", self.control);
        text.push_str("  tree     root (one for one)\n");
        text.push_str("           ├─ server   owns the process, restarts it by its policy\n");
        text.push_str("           ├─ health   asks whether it is alive\n");
        text.push_str("           └─ breaker  stops restarts that do not help\n");
        text.push_str(
            "  next     mlx-tree status · logs -f · stop · start · restart · reset     Ctrl-C ends it all\n\n",
        );
        text
    }
}
