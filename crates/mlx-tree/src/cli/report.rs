//! An error on the terminal: `error:`, `caused by:`, `help:`, and an exit code that says what kind it is.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// All went well.
    Ok = 0,
    /// A command could not do what it was asked for.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 64,
    /// A port is taken.
    PortTaken = 69,
    /// A bug in mlx-tree.
    Bug = 70,
    /// The tree gave up, or another mlx-tree runs already.
    Escalated = 75,
    /// The configuration makes no sense, or the environment lacks something that it asks for.
    Config = 78,
    /// Ended by Ctrl-C.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

/// What went wrong, and what a person can do about it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: Code,
    pub(crate) error: Box<dyn Error + Send + Sync>,
    pub(crate) help: Option<String>,
}

// === impl Code ===

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn new(code: Code, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code, error: error.into(), help: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(crate) fn maybe_help(self, help: Option<String>) -> Self {
        Self { help: help.or(self.help), ..self }
    }

    /// The report as text.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error: {}\n", self.error);
        let mut source = self.error.source();
        while let Some(cause) = source {
            text.push_str(&format!("caused by: {cause}\n"));
            source = cause.source();
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("help: {help}\n"));
        }
        text
    }

    /// Writes it to stderr and answers the exit code.
    pub(crate) fn print(&self) -> Code {
        let _ = io::stderr().write_all(self.text().as_bytes());
        self.code
    }
}
