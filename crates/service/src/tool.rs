//! The service manager's own command, run to its end.

use std::io;
use std::process::{Command, Stdio};

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not there, or cannot be run.
    #[error("`{program}` cannot be run")]
    Absent {
        /// The command.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It said no.
    #[error("`{line}` failed: {said}")]
    Failed {
        /// The whole command line.
        line: String,
        /// What it said, in one line.
        said: String,
    },
}

/// Runs `words` and answers what it printed.
///
/// # Errors
/// [`ToolError`]; one that ends with another code than 0 has failed.
pub(crate) fn run(words: &[&str]) -> Result<String, ToolError> {
    let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        // What it prints is read, so it must not be translated, shortened or coloured.
        .env("LC_ALL", "C")
        .env("SYSTEMD_PAGER", "")
        .env("SYSTEMD_COLORS", "0")
        .output()
        .map_err(|source| ToolError::Absent { program: (*program).to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = if said.is_empty() { output.status.to_string() } else { said.join(" · ") };
    Err(ToolError::Failed { line: words.join(" "), said })
}
