//! What one launch of the fake of Ollama shall do, as plain data, and the flags that say so.

use crate::{UsageError, options::Help};
use std::{collections::VecDeque, ffi::OsString, time::Duration};

/// The `--help` text of the fake.
pub const OLLAMA_HELP: &str = include_str!("help.txt");

/// Everything a launch can be told. The default is a healthy server on `127.0.0.1:11434` with one model.
#[derive(Clone, Debug, PartialEq)]
pub struct OllamaOptions {
    /// `--host`.
    pub host: String,
    /// `--port`; 0 takes a free one.
    pub port: u16,
    /// `--version`: what it says it is, and whether it knows `truncate`.
    pub version: String,
    /// `--model`: the models that it has; may repeat.
    pub models: Vec<String>,
    /// `--remote`: models that are really run at `https://ollama.com`; may repeat.
    pub remote: Vec<String>,
    /// `--context`: what its models have been trained for.
    pub context: u64,
    /// `--capabilities`, split at commas.
    pub capabilities: Vec<String>,
    /// `--answer-tokens`: the length of an answer that nothing else ends.
    pub answer_tokens: u64,
    /// `--thinking`: so many tokens of thought first.
    pub thinking: u64,
    /// `--tps`: tokens a second; as fast as it goes if 0.
    pub tokens_per_second: u32,
    /// `--load`: how long loading a model takes.
    pub load: Duration,
    /// `--busy-above`: more requests than this at once are refused with 503.
    pub busy_above: Option<u64>,
    /// What goes wrong, if anything does.
    pub fault: Option<OllamaFault>,
    /// Set by `--help`.
    pub help: Option<Help>,
}

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OllamaFault {
    /// `--overload`: 503.
    Overload,
    /// `--status N`: an error of this status, before any line.
    Status(u16),
    /// `--hang`: no head, ever.
    Hang,
    /// `--stall-after N`: nothing more after so many tokens.
    StallAfter(u64),
    /// `--error-after N`: an error line after so many tokens.
    ErrorAfter(u64),
    /// `--cut-after N`: the connection breaks after so many tokens.
    CutAfter(u64),
    /// `--end-after N`: the body ends, well-formed, after so many tokens and without `done`.
    EndAfter(u64),
    /// `--no-reason`: `done` without a `done_reason`, as when its runner has gone away.
    NoReason,
    /// `--garbage-after N`: a line that is no JSON after so many tokens.
    GarbageAfter(u64),
}

impl Default for OllamaOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 11434,
            version: "0.33.0".to_owned(),
            models: vec!["tiny:latest".to_owned()],
            remote: Vec::new(),
            context: 32_768,
            capabilities: vec!["completion".to_owned(), "tools".to_owned()],
            answer_tokens: 16,
            thinking: 0,
            tokens_per_second: 0,
            load: Duration::ZERO,
            busy_above: None,
            fault: None,
            help: None,
        }
    }
}

// === impl OllamaOptions ===

impl OllamaOptions {
    /// Reads a command line.
    ///
    /// # Errors
    /// The first word that makes no sense.
    pub fn from_args<I>(args: I) -> Result<Self, UsageError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let mut words = VecDeque::new();
        for word in args {
            let word = word.into().into_string();
            words.push_back(word.map_err(|word| UsageError::NotText { word: word.to_string_lossy().into_owned() })?);
        }
        let (mut options, mut models) = (Self::default(), Vec::new());
        while let Some(flag) = words.pop_front() {
            options.apply(&flag, &mut words, &mut models)?;
        }
        if !models.is_empty() {
            options.models = models;
        }
        Ok(options)
    }

    fn apply(&mut self, flag: &str, words: &mut VecDeque<String>, models: &mut Vec<String>) -> Result<(), UsageError> {
        let mut text = || words.pop_front().ok_or_else(|| UsageError::MissingValue { flag: flag.to_owned() });
        match flag {
            "--host" => self.host = text()?,
            "--port" => self.port = number(flag, text()?)?,
            "--version" => self.version = text()?,
            "--model" => models.push(text()?),
            "--remote" => self.remote.push(text()?),
            "--context" => self.context = number(flag, text()?)?,
            "--capabilities" => self.capabilities = text()?.split(',').map(str::to_owned).collect(),
            "--answer-tokens" => self.answer_tokens = number(flag, text()?)?,
            "--thinking" => self.thinking = number(flag, text()?)?,
            "--tps" => self.tokens_per_second = number(flag, text()?)?,
            "--load-ms" => self.load = Duration::from_millis(number(flag, text()?)?),
            "--busy-above" => self.busy_above = Some(number(flag, text()?)?),
            "--overload" => self.fault = Some(OllamaFault::Overload),
            "--status" => self.fault = Some(OllamaFault::Status(number(flag, text()?)?)),
            "--hang" => self.fault = Some(OllamaFault::Hang),
            "--stall-after" => self.fault = Some(OllamaFault::StallAfter(number(flag, text()?)?)),
            "--error-after" => self.fault = Some(OllamaFault::ErrorAfter(number(flag, text()?)?)),
            "--cut-after" => self.fault = Some(OllamaFault::CutAfter(number(flag, text()?)?)),
            "--end-after" => self.fault = Some(OllamaFault::EndAfter(number(flag, text()?)?)),
            "--no-reason" => self.fault = Some(OllamaFault::NoReason),
            "--garbage-after" => self.fault = Some(OllamaFault::GarbageAfter(number(flag, text()?)?)),
            "--help" => self.help = Some(Help),
            _ => return Err(UsageError::UnknownFlag { flag: flag.to_owned() }),
        }
        Ok(())
    }

    /// Whether it knows `truncate` and `shift`; older ones overlook them.
    pub(super) fn knows_truncate(&self) -> bool {
        let mut numbers = self.version.split(['.', '-']).map(|number| number.parse::<u64>().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        (next(), next(), next()) >= (0, 12, 6)
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: String) -> Result<T, UsageError> {
    match value.parse() {
        Ok(number) => Ok(number),
        Err(_) => Err(UsageError::BadValue { flag: flag.to_owned(), value, expected: "a number" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_flag_and_no_other() {
        let known: Vec<&str> = include_str!("options.rs")
            .split('"')
            .filter(|word| word.starts_with("--") && word[2..].chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            .filter(|word| word.len() > 2)
            .collect();
        assert!(known.len() > 20, "{known:?}");
        for flag in OLLAMA_HELP.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
            assert!(!flag.starts_with("--") || known.contains(&flag), "{flag} is in the help only");
        }
        for flag in known {
            assert!(OLLAMA_HELP.contains(flag), "{flag} is missing in the help");
        }
    }

    #[test]
    fn words_that_make_no_sense_are_named() {
        let error = |line: &str| OllamaOptions::from_args(line.split_whitespace()).unwrap_err().to_string();
        assert_eq!(error("--modle x"), "unknown flag --modle; --help lists them");
        assert_eq!(error("--port"), "--port needs a value");
        assert_eq!(error("--port x"), "--port \"x\": expected a number");
    }

    #[test]
    fn truncate_is_known_since_0_12_6() {
        let knows =
            |version: &str| OllamaOptions { version: version.to_owned(), ..OllamaOptions::default() }.knows_truncate();
        assert_eq!(["0.11.0", "0.12.5", "0.12.6", "0.33.0-rc2", "1.0.0"].map(knows), [false, false, true, true, true]);
    }
}
