//! The command line: reads it, and does what it says.

mod arguments;
mod ask;
mod banner;
mod doctor;
mod events;
mod fleet;
mod generate;
mod liaison;
mod logging;
mod notices;
mod picture;
mod progress;
mod report;
mod run;
mod service;
mod settings;
mod speech;
mod terminal;
mod top;
mod why;

use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};

use self::arguments::{Arguments, Command, NotifyAction};
use self::report::{Code, Report};

/// The whole program.
pub(crate) fn main() -> Code {
    let command = speech::localised(Arguments::command(), settings::spoken());
    let parsed = command.try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        // A command of commands alone: which there are is all that there is to say.
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return Code::Usage;
        }
        Err(error) if error.use_stderr() => return Report::usage(&error).print(settings::spoken()),
        // Help, or the version.
        Err(text) => {
            let _ = text.print();
            return Code::Ok;
        }
    };
    match dispatch(arguments) {
        Ok(code) => code,
        Err(report) => report.print(settings::spoken()),
    }
}

fn dispatch(arguments: Arguments) -> Result<Code, Report> {
    let Arguments { command, settings } = arguments;
    match command.unwrap_or(Command::Run { args: Vec::new() }) {
        // These two are other processes of ours; they read no settings.
        Command::Guard => std::process::exit(mlx_tree::process::guard::guard_main().into()),
        Command::StandIn { flags } => stand_in(flags),
        Command::Run { args } => {
            let args = (!args.is_empty()).then(|| mlx_tree::settings::Flag::list("--", "server.args", args));
            let settings = settings::load_with(&settings, args.into_iter().collect())?;
            block_on(run::run(settings, run::What::Server))
        }
        Command::Demo { flags } => {
            let command = mlx_tree::settings::Flag::list("demo", "server.command", demo_command(flags)?);
            let settings = settings::load_with(&settings, vec![command])?;
            block_on(run::run(settings, run::What::Demo))
        }
        Command::Setup => {
            let settings = settings::load(&settings)?;
            block_on(run::set_up(settings))
        }
        Command::Notify { action: NotifyAction::Test { name } } => {
            block_on(notices::test(settings::load(&settings)?, name))
        }
        Command::Top { no_mouse } => {
            let settings = settings::load_to_ask(&settings)?;
            top::check_terminal(&settings)?;
            block_on(top::top(settings, no_mouse))
        }
        Command::Service(command) => service::run(command, &settings),
        Command::Completions { shell } => Ok(generate::completions(shell)),
        Command::Man { dir } => generate::man(dir.as_deref()),
        Command::Check => settings::check(&settings),
        Command::Status { json } => block_on(ask::status(settings::load_to_ask(&settings)?, json)),
        Command::Logs { lines, follow } => block_on(ask::logs(settings::load_to_ask(&settings)?, lines, follow)),
        Command::Events { lines, follow, json } => {
            let loaded = settings::load_to_ask(&settings)?;
            let form = if json { events::Form::Json } else { events::Form::Told(loaded.language()) };
            let until = if follow { events::Until::TheEnd } else { events::Until::Now };
            block_on(events::events(loaded, lines, form, until))
        }
        Command::Token => ask::token(&settings::load_to_ask(&settings)?),
        Command::Why { id, server, ends, json } => {
            block_on(why::why(settings::load_to_ask(&settings)?, why::Wanted { id, server, ends, json }))
        }
        Command::Doctor { json } => {
            block_on(doctor::doctor(settings::load(&settings), settings::spoken, doctor::Form::of(json)))
        }
        Command::Start => ask(&settings, mlx_tree::control::Verb::Start),
        Command::Stop => ask(&settings, mlx_tree::control::Verb::Stop),
        Command::Restart => ask(&settings, mlx_tree::control::Verb::Restart),
        Command::Drain => ask(&settings, mlx_tree::control::Verb::Drain),
        Command::Reload { dry_run } => block_on(ask::reload(settings::load_to_reload(&settings)?, dry_run)),
        Command::Reset => ask(&settings, mlx_tree::control::Verb::Reset),
        Command::Shutdown => ask(&settings, mlx_tree::control::Verb::Shutdown),
    }
}

fn ask(settings: &arguments::SettingsArguments, verb: mlx_tree::control::Verb) -> Result<Code, Report> {
    block_on(ask::perform(settings::load_to_ask(settings)?, verb))
}

/// One thread: the program waits nearly always, and each further thread would cost memory for nothing.
fn block_on(work: impl Future<Output = Result<Code, Report>>) -> Result<Code, Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // A blocking task panics if there is no thread for it and none can be made: where processes are short, the one that
        // there is must outlive the pause between two health checks.
        .thread_keep_alive(std::time::Duration::from_secs(600))
        .build();
    let runtime = runtime.map_err(|error| Report::new(Code::Bug, error))?;
    let outcome = runtime.block_on(work);
    // A blocking task that hangs (a dead disk) must not keep a program that is done.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    logging::finish();
    outcome
}

fn stand_in(flags: Vec<String>) -> Result<Code, Report> {
    use mlx_tree::stand_in::{OllamaOptions, Options, run, run_ollama};
    let mut words = flags.into_iter().map(OsString::from).peekable();
    let outcome = if words.next_if(|word| word == "ollama").is_some() {
        OllamaOptions::from_args(words).map(run_ollama)
    } else {
        Options::from_args(words).map(run)
    };
    let code =
        outcome.map_err(|error| Report::new(Code::Usage, error).help("`mlx-tree stand-in --help` lists the flags"))?;
    std::process::exit(if code == std::process::ExitCode::SUCCESS { 0 } else { Code::Usage as i32 })
}

fn demo_command(flags: Vec<String>) -> Result<Vec<String>, Report> {
    let program = own_program()?.into_string().map_err(|_| {
        Report::new(Code::Config, "the path of this program is not UTF-8").help("put it where its path is plain text")
    })?;
    let head = [program, "stand-in".to_owned(), "--host".to_owned(), "{host}".to_owned()];
    Ok(head.into_iter().chain(["--port".to_owned(), "{port}".to_owned()]).chain(flags).collect())
}

fn own_program() -> Result<OsString, Report> {
    let program = std::env::current_exe().map_err(|error| Report::new(Code::Bug, error))?;
    Ok(program.into_os_string())
}

/// Prints to stdout. A reader that has gone away (`| head`) is no error.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
