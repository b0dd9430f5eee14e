//! The first thing a person sees: who is here, where, and what to type next.

use std::fmt::Write as _;
use std::net::SocketAddr;

use mlx_tree::api::Language;
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
    pub(crate) language: Language,
}

// === impl Banner ===

impl Banner<'_> {
    /// The banner as text.
    pub(crate) fn text(&self) -> String {
        let language = self.language;
        let mut text = format!("mlx-tree {} · pid {}\n", env!("CARGO_PKG_VERSION"), std::process::id());
        if let Some(clients) = self.clients {
            let what = language.pick(
                "OpenAI's API; requests wait here while the server restarts",
                "API OpenAI; пока сервер перезапускается, запросы ждут здесь",
            );
            text.push_str(&row(language.pick("clients", "клиенты"), &format!("http://{clients}/v1   ({what})")));
        }
        text.push_str(&row(language.pick("server", "сервер"), &format!("{} {}", self.kind, self.address())));
        text.push_str(&row(language.pick("model", "модель"), self.model));
        if let Some(note) = self.note {
            text.push_str(&row("", &format!("⚠️  {}", sentences(&language.say(note)))));
        }
        let others = self.settings.further_servers.iter();
        let others: Vec<_> = others.map(|it| format!("{}: {} · {}", it.name(), it.kind.as_str(), it.model)).collect();
        text.push_str(&row(language.pick("others", "другие"), &others.join("\n")));
        if let Some(python) = self.python {
            text.push_str(&row("python", python));
        }
        let what = language.pick("dashboard; the status is at /status", "панель; состояние — по адресу /status");
        text.push_str(&row(language.pick("control", "контроль"), &format!("http://{}/   ({what})", self.control)));
        text.push_str(&row(language.pick("tree", "дерево"), tree(language)));
        if let Some(request) = self.request() {
            text.push_str(&row(language.pick("try", "проба"), &request));
        }
        let end = language.pick("Ctrl-C ends it all", "Ctrl-C завершает всё");
        text.push_str(&row(
            language.pick("next", "дальше"),
            &format!("mlx-tree status · top · why · logs -f · restart · drain · stop · reload     {end}"),
        ));
        text.push('\n');
        text
    }

    fn address(&self) -> String {
        let server = &self.settings.server;
        match server.port {
            0 => self
                .language
                .pick(format!("at a free port of {}", server.host), format!("на свободном порту {}", server.host)),
            port => self.language.pick("at ", "по адресу ").to_owned() + &self.url(port),
        }
    }

    fn url(&self, port: u16) -> String {
        format!("http://{}", SocketAddr::new(self.settings.server.host, port))
    }

    /// A request to copy, where no more than this is needed.
    fn request(&self) -> Option<String> {
        let base = match (self.clients, self.settings.server.port) {
            (Some(clients), _) => format!("http://{clients}"),
            (None, 0) => return None,
            (None, port) => self.url(port),
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

/// The tree and what each child is for.
fn tree(language: Language) -> &'static str {
    language.pick(
        "root supervisor · one for one\n\
         ├─ server    owns the process group of mlx_lm.server, and ends when that ends\n\
         ├─ health    asks whether it is alive, busy or down, and tells its owner\n\
         ├─ breaker   holds back restarts that do not help, then tries one\n\
         ├─ gateway   the clients' one address: holds and replays their requests\n\
         └─ …         children of your own",
        "root supervisor · one for one\n\
         ├─ server    владеет группой процессов mlx_lm.server и завершается вместе с ней\n\
         ├─ health    выясняет, жив он, занят или упал, и сообщает владельцу\n\
         ├─ breaker   сдерживает перезапуски, которые не помогают, затем пробует один\n\
         ├─ gateway   единый адрес для клиентов: удерживает и повторяет их запросы\n\
         └─ …         ваши собственные потомки",
    )
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
