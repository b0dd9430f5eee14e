//! What the user's arguments must not say: where the server listens, which model it loads, whose code it runs.

use std::net::IpAddr;

use super::{ServerKind, ServerSettings};
use crate::Problem;
use crate::reader::Section;
use crate::value::Reject;

/// What mlx-tree sets itself, with what to do instead. argparse takes any unambiguous beginning of a flag for the flag.
const RESERVED: [(&str, &str); 4] = [
    ("--host", "use server.host"),
    ("--port", "use server.port"),
    ("--model", "use server.model"),
    ("--allowed-origins", "leave it out: it stays restricted"),
];

const REMOTE_CODE: &str = "--trust-remote-code";

pub(super) fn check(settings: &ServerSettings, section: &mut Section<'_, '_>) {
    let command = settings.command.as_ref().map(|command| command.words()).unwrap_or_default();
    let (args_key, command_key) = (section.key("args"), section.key("command"));

    if command.is_empty() && section.reader().is_sound(&command_key) && needs_command(settings.kind) {
        section.conflict(
            "kind",
            "command",
            "nothing says how a server of this kind is started",
            "give server.command the whole command line, with {port} in it",
        );
    }
    for arg in &settings.args {
        if let Some((flag, instead)) = reserved(arg, settings.kind) {
            let problem = Problem::ReservedArgument { argument: name_of(arg).to_owned(), flag: flag.to_owned() };
            section.reader().reject(&args_key, Reject { problem, help: Some(instead.to_owned()) });
        }
    }
    for (flag, value) in command.iter().zip(command.iter().skip(1).map(Some).chain([None])) {
        if let Some(host) = host_of(flag, value) {
            let problem = Problem::NotLoopback(format!("the command listens on {host}, which others could reach"));
            let help = Some("{host} in its place".to_owned());
            section.reader().reject(&command_key, Reject { problem, help });
        }
    }
    if !settings.trust_remote_code {
        for (key, words) in [(&args_key, settings.args.as_slice()), (&command_key, command)] {
            if let Some(word) = words.iter().find(|word| is_remote_code(word)) {
                let problem = Problem::RemoteCode(name_of(word).to_owned());
                let help = Some("set server.trust_remote_code = true if you trust the model's authors".to_owned());
                section.reader().reject(key, Reject { problem, help });
            }
        }
    }
}

const fn needs_command(kind: ServerKind) -> bool {
    match kind {
        ServerKind::Openai | ServerKind::Http => true,
        ServerKind::MlxLm | ServerKind::MlxVlm | ServerKind::LlamaCpp => false,
    }
}

/// The reserved flag that an argument sets, and what to use instead.
fn reserved(arg: &str, kind: ServerKind) -> Option<(&'static str, &'static str)> {
    if kind == ServerKind::LlamaCpp && name_of(arg) == "-m" {
        return Some(("--model", "use server.model"));
    }
    RESERVED.into_iter().find(|(flag, _)| abbreviates(arg, flag))
}

fn is_remote_code(word: &str) -> bool {
    abbreviates(word, REMOTE_CODE)
}

/// Whether an argument is this flag, or a beginning of it, with or without `=value`. Underscores count as hyphens.
fn abbreviates(arg: &str, flag: &str) -> bool {
    let name = name_of(arg).replace('_', "-");
    name.len() > 2 && flag.starts_with(&name)
}

/// A flag without its value.
fn name_of(arg: &str) -> &str {
    arg.split_once('=').map_or(arg, |(name, _)| name)
}

/// The host that a flag of the command sets, unless it is filled in or a loopback address.
fn host_of<'a>(flag: &'a str, next: Option<&'a String>) -> Option<&'a str> {
    if !abbreviates(flag, "--host") {
        return None;
    }
    let host = match flag.split_once('=') {
        Some((_, host)) => host,
        None => next?.as_str(),
    };
    let harmless = host == "{host}"
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|host| host.is_loopback());
    (!harmless).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_flag_is_known_in_every_form_that_argparse_accepts() {
        for arg in
            ["--host", "--host=0.0.0.0", "--ho", "--port", "--po=9", "--model", "--allowed-origins", "--allowed_or"]
        {
            assert!(reserved(arg, ServerKind::MlxLm).is_some(), "{arg}");
        }
        for arg in ["--temp", "0.5", "--", "-m", "--max-tokens", "--model-draft", "host", "--log-level=INFO"] {
            assert!(reserved(arg, ServerKind::MlxLm).is_none(), "{arg}");
        }
    }

    #[test]
    fn llama_cpp_has_a_short_flag_for_the_model() {
        assert!(reserved("-m", ServerKind::LlamaCpp).is_some());
    }

    #[test]
    fn remote_code_is_known_in_every_form() {
        for word in ["--trust-remote-code", "--trust_remote_code", "--trust", "--trust-remote-code=1"] {
            assert!(is_remote_code(word), "{word}");
        }
        assert!(!is_remote_code("--trace"));
    }

    #[test]
    fn a_command_may_listen_where_it_is_told_and_on_loopback() {
        let next = |text: &str| Some(text.to_owned());
        for harmless in ["{host}", "127.0.0.1", "::1", "[::1]", "localhost"] {
            assert_eq!(host_of("--host", next(harmless).as_ref()), None, "{harmless}");
        }
        assert_eq!(host_of("--host=0.0.0.0", None), Some("0.0.0.0"));
        assert_eq!(host_of("--host", next("192.168.1.2").as_ref()), Some("192.168.1.2"));
        assert_eq!(host_of("--port", next("{port}").as_ref()), None);
    }
}
