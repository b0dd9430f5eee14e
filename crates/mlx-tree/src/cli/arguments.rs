//! The command line.

mod service;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::service::{ManagerWord, ServiceCommand, Which};

/// What `--help` says below the options.
const AFTER_HELP: &str = "\
Without a command mlx-tree runs the tree in the foreground: it finds or makes a Python with mlx_lm, starts the server, \
watches it, and brings it back however it goes down. Nothing has to be configured; `mlx-tree check` shows what can be.

Exit codes: 0 done, 1 refused, 64 wrong usage, 69 port taken, 70 a bug, 75 the tree gave up or another mlx-tree runs \
already, 78 wrong configuration, 130 ended by Ctrl-C.";

/// Keeps a local LLM server alive: an OTP-style supervision tree around mlx_lm.server
#[derive(Debug, Parser)]
#[command(name = "mlx-tree", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
}

/// Where the settings come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingsArguments {
    /// Read this configuration file too, over the user's own
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Set one key, over everything else; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", global = true, value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,

    /// The model: a directory, a hub name, or builtin:tiny [server.model]
    #[arg(long, value_name = "MODEL", global = true)]
    pub(crate) model: Option<String>,

    /// The port that clients use; 0 for any free one [gateway.listen]
    #[arg(long, value_name = "PORT", global = true)]
    pub(crate) port: Option<u16>,

    /// The directory of locks, history and access token [state_dir]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) state_dir: Option<PathBuf>,

    /// How the log is written: narration, text or json [log.format]
    #[arg(long, value_name = "FORMAT", global = true, hide_possible_values = true)]
    pub(crate) log_format: Option<LogFormat>,
}

/// How the log is written: plain words for people, records as text, or records as JSON, one a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Narration,
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the tree in the foreground (the same as no command)
    Run {
        /// Further arguments for the server, after `--` [server.args]
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Run the tree over a built-in stand-in server: no Python, no MLX
    Demo {
        /// Further flags for the stand-in, after `--`; `mlx-tree stand-in --help` lists them
        #[arg(last = true, value_name = "FLAGS")]
        flags: Vec<String>,
    },
    /// Show the running tree
    Status {
        /// Show it as JSON, as the control API answers it
        #[arg(long)]
        json: bool,
    },
    /// Show the running tree in the terminal, and keep it up to date
    Top {
        /// Leave the mouse to the terminal
        #[arg(long)]
        no_mouse: bool,
    },
    /// Start the server again after `stop`
    Start,
    /// Stop the server and keep it stopped; the tree stays
    Stop,
    /// Let the server finish what it works on, forget its failures, and start it afresh
    Restart,
    /// Let the server finish what it works on, and stop it; the tree stays
    Drain,
    /// Read the configuration again and apply what has changed; a server is restarted only if it has to be
    Reload {
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Forget all failures and close the breaker
    Reset,
    /// End the server and mlx-tree itself
    Shutdown,
    /// Show what the server wrote
    Logs {
        /// Show so many of the last lines
        #[arg(short = 'n', long, default_value_t = 50, value_name = "LINES")]
        lines: usize,
        /// Go on with those to come
        #[arg(short, long)]
        follow: bool,
    },
    /// Show what has happened
    Events {
        /// Show so many of the last events
        #[arg(short = 'n', long, default_value_t = 50, value_name = "LINES")]
        lines: usize,
        /// Go on with those to come
        #[arg(short, long)]
        follow: bool,
        /// Show them as JSON, one a line, with all that is routine
        #[arg(long)]
        json: bool,
    },
    /// Show the token that the verbs of the control API need
    Token,
    /// Those who are told when something needs a human
    Notify {
        #[command(subcommand)]
        action: NotifyAction,
    },
    /// Explain why servers went down, and what can be done about it
    Why {
        /// Tell this report whole: its name, or a part of it that no other has
        #[arg(value_name = "ID")]
        id: Option<String>,
        /// Tell of this server only
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
        /// Tell so many ends; those that say the same count once
        #[arg(short = 'n', long, default_value_t = 3, value_name = "ENDS")]
        ends: usize,
        /// Show the reports as JSON, newest first
        #[arg(long)]
        json: bool,
    },
    /// Look at everything that mlx-tree needs, and say how to mend what is wrong
    Doctor {
        /// Show the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration, and show where each value comes from
    Check,
    /// Find or make the Python environment and the model, and run nothing
    Setup,
    /// Have the system run mlx-tree: systemd or launchd
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Print completions for a shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: Shell,
    },
    /// Print the man page
    Man {
        /// Write it, and those of the commands, into this directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Be the stand-in server of `demo`
    #[command(hide = true, disable_help_flag = true)]
    StandIn {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<String>,
    },
    /// End the server should mlx-tree be killed
    #[command(hide = true)]
    Guard,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyAction {
    /// Tell them that this is a test, and say whether it arrived
    Test {
        /// Only the one that is called so
        name: Option<String>,
    },
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("must look like server.model=builtin:tiny".to_owned()),
    }
}
