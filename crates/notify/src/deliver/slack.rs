//! The shape that Slack's incoming webhooks take, and Mattermost's, and Discord's below `/slack`.

use mlx_tree_api::Level;
use serde_json::{Value, json};

use crate::{Message, Source, Standing};

pub(super) fn json(message: &Message, source: &Source) -> Value {
    let mark = match (message.notice.standing, message.notice.level) {
        (Standing::Recovered, _) => "🟢",
        (Standing::Test, _) => "🔔",
        (Standing::Raised, Level::Error) => "🔴",
        (Standing::Raised, Level::Warn) => "🟡",
        (Standing::Raised, Level::Info | Level::Debug) => "🔵",
    };
    let mut lines = vec![format!("{mark} *{}*", escaped(&message.title(source)))];
    lines.extend(message.lines(source.language).iter().map(|line| escaped(line)));
    json!({ "text": lines.join("\n") })
}

/// Without what would be a link, a person or a whole channel to be called.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{200b}")
}
