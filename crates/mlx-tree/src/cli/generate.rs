//! Completions for shells and man pages, made from the command line itself.

use std::io;
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use mlx_tree::settings::{Environment, Sources, load};

use super::arguments::Arguments;
use super::print;
use super::report::{Code, Report};

/// `mlx-tree completions`.
pub(crate) fn completions(shell: Shell) -> Code {
    // The keys are what nobody remembers; their values are for `mlx-tree check` to explain.
    let keys: Vec<_> = keys().into_iter().map(|key| fixed(format!("{key}="))).collect();
    let mut command = shown(&Arguments::command())
        .mut_arg("set", |set| set.value_parser(PossibleValuesParser::new(keys)).hide_possible_values(true));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "mlx-tree", &mut script);
    let script = String::from_utf8_lossy(&script);
    print(&match shell {
        // clap_complete 4.6 takes the hyphen in our name for the end of a command in one half of this script and not in the
        // other, so that nothing would be completed behind a command.
        Shell::Bash => script.replace("mlx__subcmd__tree", "mlx__tree"),
        _ => script.into_owned(),
    });
    Code::Ok
}

/// `mlx-tree man`: the page of the program; with a directory, that and one for each command, as files in it.
pub(crate) fn man(directory: Option<&Path>) -> Result<Code, Report> {
    let failed = |error: io::Error| Report::new(Code::Failed, error);
    let mut command = shown(&Arguments::command());
    command.build();
    let Some(directory) = directory else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page).map_err(failed)?;
        print(&String::from_utf8_lossy(&page));
        return Ok(Code::Ok);
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    pages(&command, directory).map_err(failed)?;
    Ok(Code::Ok)
}

/// The page of a command, and those of the commands below it.
fn pages(command: &Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    Man::new(command.clone().name(fixed(name))).generate_to(directory)?;
    command.get_subcommands().filter(|below| below.get_name() != "help").try_for_each(|below| pages(below, directory))
}

/// The command line without what people are not told of.
fn shown(command: &Command) -> Command {
    // clap has no way to take a command away, so one is put together from the others.
    let kept = command.get_subcommands().filter(|below| !below.is_hide_set()).cloned();
    let mut fresh = Command::new("mlx-tree")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(kept)
        .args(command.get_arguments().cloned());
    if let Some(about) = command.get_about() {
        fresh = fresh.about(about.clone());
    }
    if let Some(after) = command.get_after_help() {
        fresh = fresh.after_help(after.clone());
    }
    fresh
}

/// clap wants text that lives as long as the program, which prints a page and ends.
fn fixed(text: String) -> &'static str {
    text.leak()
}

/// All keys of the configuration, as they are without any file.
fn keys() -> Vec<String> {
    let nowhere = Environment::from_variables([("HOME", "/")]);
    let Ok(loaded) = load(&Sources::new(nowhere)) else { return Vec::new() };
    let text = loaded.to_string();
    text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.trim().to_owned()).collect()
}
