//! `mlx-tree service …` on the command line.

use clap::{Args, Subcommand, ValueEnum};
use mlx_tree::service::{Name, RunAs};

/// What is wanted of the service.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Install it, with the settings that are given here, and start it, now and from now on
    Install {
        #[command(flatten)]
        which: Which,
        /// Put a file of this name that mlx-tree has not written aside
        #[arg(long)]
        replace: bool,
    },
    /// End it and take it away
    Uninstall {
        #[command(flatten)]
        which: Which,
    },
    /// Show how it is
    Status {
        #[command(flatten)]
        which: Which,
    },
    /// Print the file that `install` would write
    Print {
        #[command(flatten)]
        which: Which,
    },
}

/// Which service is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// A service of your own, which needs no root (this is the default)
    #[arg(long, conflicts_with = "system")]
    pub(crate) user: bool,
    /// A service of the machine (systemd only)
    #[arg(long)]
    pub(crate) system: bool,
    /// What it is called
    #[arg(long, value_name = "NAME", default_value = "mlx-tree")]
    pub(crate) name: Name,
    /// Whose account a service of the machine runs under
    #[arg(long, value_name = "USER", default_value = "mlx-tree", requires = "system")]
    pub(crate) run_as: RunAs,
    /// Who runs it; by itself, whoever does so here
    #[arg(long, value_name = "MANAGER")]
    pub(crate) manager: Option<ManagerWord>,
}

/// Who runs services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ManagerWord {
    Systemd,
    Launchd,
}
