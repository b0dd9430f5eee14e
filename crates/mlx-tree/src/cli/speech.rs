//! The command line's own help, in the reader's language.

use clap::builder::StyledStr;
use clap::{Arg, Command};
use mlx_tree::api::Language;

/// Where clap's own words stand in Russian.
const TEMPLATE: &str = "{about-with-newline}\nИспользование: {usage}\n\n{all-args}{after-help}";

/// `command` with its help in this language.
pub(crate) fn localised(mut command: Command, language: Language) -> Command {
    match language {
        Language::En => command,
        Language::Ru => {
            // What clap adds by itself is there only then.
            command.build();
            in_russian(command)
        }
    }
}

fn in_russian(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace("[OPTIONS]", "[ПАРАМЕТРЫ]");
    let usage = usage.replace("[COMMAND]", "[КОМАНДА]").replace("<COMMAND>", "<КОМАНДА>");
    let mut command = command.override_usage(usage).help_template(TEMPLATE).subcommand_help_heading("Команды");
    if let Some(about) = said(command.get_about()) {
        command = command.about(about);
    }
    if let Some(after) = said(command.get_after_help()) {
        command = command.after_help(after);
    }
    command.mut_args(argument).mut_subcommands(in_russian)
}

fn argument(argument: Arg) -> Arg {
    let heading = match argument.get_help_heading() {
        Some(heading) => Language::Ru.say(heading).into_owned(),
        None if argument.is_positional() => "Аргументы".to_owned(),
        None => "Параметры".to_owned(),
    };
    let help = said(argument.get_help()).map(|help| help + &notes(&argument));
    // Headings live as long as the program, which prints its help once.
    let argument = argument.help_heading(&*heading.leak()).hide_default_value(true).hide_possible_values(true);
    match help {
        Some(help) => argument.help(help),
        None => argument,
    }
}

/// What clap adds to the help of an argument by itself.
fn notes(argument: &Arg) -> String {
    let list = |words: Vec<String>, before: &str| match words.is_empty() {
        true => String::new(),
        false => format!(" [{before}: {}]", words.join(", ")),
    };
    let takes = argument.get_action().takes_values();
    let defaults = argument.get_default_values().iter().filter(|_| takes && !argument.is_hide_default_value_set());
    let values =
        argument.get_possible_values().into_iter().filter(|_| takes && !argument.is_hide_possible_values_set());
    list(defaults.map(|value| value.to_string_lossy().into_owned()).collect(), "по умолчанию")
        + &list(values.map(|value| value.get_name().to_owned()).collect(), "значения")
}

fn said(text: Option<&StyledStr>) -> Option<String> {
    text.map(|text| Language::Ru.say(&text.to_string()).into_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::arguments::Arguments;

    /// Every text of a command that is shown, and of those below it.
    fn texts(command: &Command, found: &mut Vec<String>) {
        if command.is_hide_set() {
            return;
        }
        found.extend([command.get_about(), command.get_after_help()].into_iter().flatten().map(ToString::to_string));
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            found.extend(argument.get_help().map(ToString::to_string));
            found.extend(argument.get_help_heading().map(str::to_owned));
        }
        for below in command.get_subcommands() {
            texts(below, found);
        }
    }

    #[test]
    fn all_help_is_known_in_russian() {
        let mut command = Arguments::command();
        command.build();
        let mut found = Vec::new();
        texts(&command, &mut found);
        assert!(found.len() > 30, "{found:?}");
        found.sort();
        found.dedup();
        let unknown: Vec<_> = found.into_iter().filter(|text| Language::Ru.say(text) == text.as_str()).collect();
        assert!(unknown.is_empty(), "give it a place in crates/language/src/russian/help.rs:\n{}", unknown.join("\n"));
    }

    #[test]
    fn the_russian_help_has_no_english_in_it() {
        let mut command = localised(Arguments::command(), Language::Ru);
        let events = command.find_subcommand_mut("events").expect("there is one").render_help().to_string();
        assert!(events.contains("[по умолчанию: 50]") && !events.contains("[default"), "{events}");
        let help = command.render_help().to_string();
        assert!(help.contains("Использование: mlx-tree"), "{help}");
        for english in ["Usage:", "Commands:", "Options:", "Print help", "Exit codes", "[OPTIONS]"] {
            assert!(!help.contains(english), "{english}: {help}");
        }
    }
}
