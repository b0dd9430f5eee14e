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

fn in_russian(command: Command) -> Command {
    let mut command = command.help_template(TEMPLATE).subcommand_help_heading("Команды");
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
    let help = said(argument.get_help());
    // Headings live as long as the program, which prints its help once.
    let argument = argument.help_heading(&*heading.leak());
    match help {
        Some(help) => argument.help(help),
        None => argument,
    }
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
        let help = localised(Arguments::command(), Language::Ru).render_help().to_string();
        assert!(help.contains("Использование: mlx-tree"), "{help}");
        for english in ["Usage:", "Commands:", "Options:", "Print help", "Exit codes"] {
            assert!(!help.contains(english), "{english}: {help}");
        }
    }
}
