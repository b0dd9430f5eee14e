//! `mlx-tree top`: the running tree in the terminal.

use std::io::{self, IsTerminal as _};

use mlx_tree::settings::Environment;
use mlx_tree::top::{Colors, Ended, Options, Pointer, TopError, run};

use super::report::{Code, Report};
use super::settings::Loaded;

/// Whether there is a terminal to draw on.
pub(crate) fn check_terminal(loaded: &Loaded) -> Result<(), Report> {
    let dumb = loaded.environment.get("TERM").is_none_or(|name| name == "dumb");
    if io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb {
        return Ok(());
    }
    let help = "`mlx-tree status` shows the same once, as text; `mlx-tree status --json` for programs";
    Err(Report::new(Code::Usage, "this is no terminal").help(help))
}

pub(crate) async fn top(loaded: Loaded, no_mouse: bool) -> Result<Code, Report> {
    let options = Options {
        language: loaded.language(),
        colors: colors(&loaded.environment),
        pointer: if no_mouse { Pointer::Off } else { Pointer::On },
    };
    match run(loaded.settings.state_dir, options).await {
        Ok(Ended::Quit) => Ok(Code::Ok),
        Ok(Ended::Interrupted) => Ok(Code::Interrupted),
        Ok(Ended::Terminated) => Ok(Code::Terminated),
        Err(error @ TopError::Terminal(_)) => Err(Report::new(Code::Failed, error)),
        Err(error @ TopError::Bug(_)) => Err(Report::new(Code::Bug, error)),
    }
}

/// See <https://no-color.org>.
fn colors(environment: &Environment) -> Colors {
    if environment.get("NO_COLOR").is_some() { Colors::None } else { Colors::Sixteen }
}
