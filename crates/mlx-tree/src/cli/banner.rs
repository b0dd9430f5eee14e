//! The first thing a person sees: who is here, where, and what to type next.

use std::fmt::Write as _;
use std::net::SocketAddr;

use mlx_tree::settings::{ServerKind, Settings};

/// What the banner says.
pub(crate) struct Banner<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) clients: Option<SocketAddr>,
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
        let mut text = format!("mlx-tree {} · pid {}\n", env!("CARGO_PKG_VERSION"), std::process::id());
        if let Some(clients) = self.clients {
            text.push_str(&row(
                "clients",
                &format!("http://{clients}/v1   (OpenAI's API; requests wait here while the server restarts)"),
            ));
        }
        text.push_str(&row("server", &format!("{} at {}", self.kind, self.address())));
        text.push_str(&row("model", self.model));
        if let Some(note) = self.note {
            text.push_str(&row("", &format!("⚠️  {}", sentences(note))));
        }
        let others = self.settings.further_servers.iter();
        let others: Vec<_> = others.map(|it| format!("{}: {} · {}", it.name(), it.kind.as_str(), it.model)).collect();
        text.push_str(&row("others", &others.join("\n")));
        if let Some(python) = self.python {
            text.push_str(&row("python", python));
        }
        text.push_str(&row("control", &format!("http://{}/status", self.control)));
        text.push_str(&row(
            "tree",
            "root supervisor · one for one\n\
             ├─ server    owns the process group of mlx_lm.server, and ends when that ends\n\
             ├─ health    asks whether it is alive, busy or down, and tells its owner\n\
             ├─ breaker   holds back restarts that do not help, then tries one\n\
             ├─ gateway   the clients' one address: holds and replays their requests\n\
             └─ …         children of your own",
        ));
        if let Some(request) = self.request() {
            text.push_str(&row("try", &request));
        }
        text.push_str(&row(
            "next",
            "mlx-tree status · logs -f · stop · start · restart · reset     Ctrl-C ends it all",
        ));
        text.push('\n');
        text
    }

    fn address(&self) -> String {
        let server = &self.settings.server;
        match server.port {
            0 => format!("a free port of {}", server.host),
            port => format!("http://{}", SocketAddr::new(server.host, port)),
        }
    }

    /// A request to copy, where no more than this is needed.
    fn request(&self) -> Option<String> {
        let base = match (self.clients, self.settings.server.port) {
            (Some(clients), _) => format!("http://{clients}"),
            (None, 0) => return None,
            (None, _) => self.address(),
        };
        let open = self.settings.gateway.tokens.is_empty();
        match self.settings.server.kind {
            ServerKind::MlxLm if open => Some(format!(
                "curl {base}/v1/completions -H 'Content-Type: application/json' \\\n     \
                 -d '{{\"prompt\": \"Once upon a time\", \"max_tokens\": 20}}'"
            )),
            ServerKind::MlxLm | ServerKind::MlxVlm | ServerKind::LlamaCpp | ServerKind::Openai | ServerKind::Http => {
                None
            }
        }
    }
}

/// One thing with its name; further lines stand below the first.
pub(crate) fn row(name: &str, value: &str) -> String {
    let mut text = String::new();
    let mut name = name;
    for line in value.lines() {
        let _ = writeln!(text, "  {name:<9}{line}");
        name = "";
    }
    text
}

/// A remark in lines that a terminal need not break.
fn sentences(remark: &str) -> String {
    remark.replace(". ", ".\n    ").replace("; ", ";\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_a_line_a_sentence() {
        let shown = row("", &format!("⚠️  {}", sentences("it babbles. For a real one: mlx-tree --model a/b")));
        assert_eq!(shown, "           ⚠️  it babbles.\n               For a real one: mlx-tree --model a/b\n");
    }
}
