//! An error on the terminal: `error:`, `caused by:`, `help:`, and an exit code that says what kind it is.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use mlx_tree::api::Language;

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
    pub(crate) help: Vec<String>,
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
        Self { code, error: error.into(), help: Vec::new() }
    }

    /// What clap found wrong with the command line.
    pub(crate) fn usage(error: &clap::Error) -> Self {
        let text = error.to_string();
        let mut paragraphs = text.split("\n\n");
        let (values, first): (Vec<_>, Vec<_>) =
            paragraphs.next().unwrap_or_default().lines().partition(|line| line.trim_start().starts_with('['));
        let mut report = Self::new(Code::Usage, first.join("\n").trim_start_matches("error: "));
        for line in values {
            report = report.help(line.trim().trim_matches(['[', ']']));
        }
        let mut command = "mlx-tree".to_owned();
        for line in paragraphs.flat_map(str::lines).map(str::trim) {
            if let Some(tip) = line.strip_prefix("tip: ") {
                report = report.help(tip);
            } else if let Some(usage) = line.strip_prefix("Usage: ") {
                let words = usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-']));
                command = words.collect::<Vec<_>>().join(" ");
            }
        }
        report.help(format!("`{command} --help` shows what there is"))
    }

    /// Adds a line of help.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help.extend(help);
        self
    }

    /// The report as text.
    pub(crate) fn text(&self, language: Language) -> String {
        let said = |text: &str| said(language, text);
        let mut text = format!("{}: {}\n", language.pick("error", "ошибка"), said(&self.error.to_string()));
        let mut source = self.error.source();
        while let Some(cause) = source {
            let _ = writeln!(text, "{}: {}", language.pick("caused by", "причина"), said(&cause.to_string()));
            source = cause.source();
        }
        for help in &self.help {
            let _ = writeln!(text, "{}: {}", language.pick("help", "что делать"), said(help));
        }
        text
    }

    /// Writes it to stderr in this language and answers the exit code.
    pub(crate) fn print(&self, language: Language) -> Code {
        let _ = io::stderr().write_all(self.text(language).as_bytes());
        self.code
    }
}

/// A text of several lines, each of them said in this language.
pub(crate) fn said(language: Language, text: &str) -> String {
    let help = language.pick("help: ", "что делать: ");
    let line = |line: &str| {
        let sentence = line.trim_start();
        let indent = &line[..line.len() - sentence.len()];
        match sentence.strip_prefix("help: ") {
            Some(advice) => format!("{indent}{help}{}", language.say(advice)),
            None => format!("{indent}{}", language.say(sentence)),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}
