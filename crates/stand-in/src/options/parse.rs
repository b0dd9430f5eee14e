//! The command line: each flag sets one field.

use super::{
    AfterGenerationEnds, CloseAt, Death, Delay, Grandchild, HealthTick, Help, Length, OnPortTaken, OnTerm, Options,
    Role, Silence, UsageError,
};
use std::{collections::VecDeque, ffi::OsString, num::NonZeroU32, str::FromStr, time::Duration};

/// Flags of `mlx_lm.server` that take a value the stand-in has no use for.
const IGNORED_WITH_VALUE: &[&str] = &[
    "--adapter-path",
    "--draft-model",
    "--num-draft-tokens",
    "--log-level",
    "--chat-template",
    "--temp",
    "--top-p",
    "--top-k",
    "--min-p",
    "--chat-template-args",
    "--decode-concurrency",
    "--prompt-concurrency",
    "--prefill-step-size",
    "--prompt-cache-size",
    "--prompt-cache-bytes",
    "--kv-bits",
    "--kv-group-size",
    "--quantized-kv-start",
];

/// The same, without a value.
const IGNORED: &[&str] = &["--trust-remote-code", "--use-default-chat-template", "--pipeline"];

struct Words {
    rest: VecDeque<String>,
    flag: String,
    /// The part after `=` in `--flag=value`.
    inline: Option<String>,
}

// === impl Options ===

impl Options {
    /// Applies more flags over what is already set; later ones win.
    pub(crate) fn apply<I>(&mut self, args: I) -> Result<(), UsageError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let mut words = Words::new(args)?;
        while words.next_flag() {
            self.apply_flag(&mut words)?;
        }
        // `--abort` alone means now; with a trigger it says how that one ends the process.
        let triggers = &mut self.triggers;
        let none = triggers.on_request.is_none()
            && triggers.after_tokens.is_none()
            && triggers.on_substring.is_none()
            && triggers.above.is_none()
            && triggers.after.is_none();
        if triggers.death != Death::Exit && none {
            triggers.after = Some(Duration::ZERO);
        }
        Ok(())
    }

    fn apply_flag(&mut self, words: &mut Words) -> Result<(), UsageError> {
        let flag = words.flag.clone();
        match flag.as_str() {
            "--help" | "-h" => self.help = Some(Help),
            "--model" => self.identity.model = Some(words.text()?),
            "--host" => self.identity.host = words.text()?,
            "--port" => self.identity.port = words.number("a port number")?,
            "--allowed-origins" => {
                self.identity.allowed_origins = words.text()?.split(',').map(Into::into).collect();
            }
            "--max-tokens" => self.identity.max_tokens = words.number("a number of tokens")?,
            "--backlog" => self.identity.backlog = words.number("a number of connections")?,
            "--control" => self.identity.control = true,
            "--script" => self.script = Some(words.text()?.into()),
            "--only-with" => self.scope.with = Some(words.text()?),
            "--from-request" => self.scope.from = Some(words.number("the number of a request")?),
            "--until-request" => self.scope.until = Some(words.number("the number of a request")?),
            _ => {
                let known = self.apply_death(&flag, words)?
                    || self.apply_process(&flag, words)?
                    || self.apply_service(&flag, words)?
                    || self.apply_wire(&flag, words)?;
                if !known {
                    words.skip_ignored()?;
                }
            }
        }
        words.no_value_left()
    }

    fn apply_death(&mut self, flag: &str, words: &mut Words) -> Result<bool, UsageError> {
        let triggers = &mut self.triggers;
        match flag {
            "--exit-after" => triggers.after = Some(words.time()?),
            "--die-on-request" => triggers.on_request = Some(words.number("the number of a request")?),
            "--before-bytes" => triggers.before_bytes = true,
            "--die-after-tokens" => triggers.after_tokens = Some(words.number("a number of tokens")?),
            "--die-on-substring" => triggers.on_substring = Some(words.text()?),
            "--crash-above" => triggers.above = Some(words.number("a number of requests")?),
            "--code" => triggers.code = words.number("an exit code")?,
            "--abort" => triggers.death = Death::Abort,
            "--segv" => triggers.death = Death::Segv,
            "--oom" => triggers.death = Death::Kill,
            "--last-words" => triggers.last_words.push(words.text()?),
            "--ignore-term" => self.process.on_term = OnTerm::Ignore,
            "--die-on-term" => {
                self.process.on_term = OnTerm::DieAfter(words.optional(parse_time).unwrap_or_default());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn apply_process(&mut self, flag: &str, words: &mut Words) -> Result<bool, UsageError> {
        match flag {
            "--listen-after" => self.process.listen_after = Some(words.delay()?),
            "--bind-error-exit" => self.process.on_port_taken = OnPortTaken::Exit,
            "--bind-error-hang" => self.process.on_port_taken = OnPortTaken::Hang,
            "--fork-grandchild" => {
                self.process.grandchild.get_or_insert(Grandchild::SameGroup);
            }
            "--setsid" => self.process.grandchild = Some(Grandchild::OwnSession),
            "--as-grandchild" => self.process.role = Role::Grandchild,
            "--spew" => self.output.spew = true,
            "--spew-at-most" => {
                self.output.spew = true;
                self.output.spew_at_most = Some(words.number("a number of bytes")?);
            }
            "--one-line" => self.output.one_line = Some(words.optional(parse).unwrap_or(10 << 20)),
            "--binary-output" => self.output.binary = true,
            "--close-stdio" => self.output.close_stdio = true,
            "--print-argv" => self.output.print_argv = true,
            "--stderr" => self.output.lines.push(words.text()?),
            "--quiet" => self.output.quiet = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn apply_service(&mut self, flag: &str, words: &mut Words) -> Result<bool, UsageError> {
        let (health, generation) = (&mut self.health, &mut self.generation);
        match flag {
            "--health-delay" => health.delay = Some(words.delay()?),
            "--health-delay-when-busy" => health.delay_when_busy = Some(words.delay()?),
            "--health-pattern" => health.pattern = words.value("1, 0 and x, as in 110x", parse_pattern)?,
            "--health-when-dead" => {
                health.when_dead = words.value("200 or 503", |text| match text {
                    "200" => Some(AfterGenerationEnds::Healthy),
                    "503" => Some(AfterGenerationEnds::Unavailable),
                    _ => None,
                })?;
            }
            "--load" => generation.load = Some(words.delay()?),
            "--load-fails" => generation.load_error = Some(words.text()?),
            "--prefill" => generation.prefill = Some(words.time()?),
            "--keepalive-every" => generation.keepalive_every = words.time()?,
            "--tps" => generation.tokens_per_second = Some(words.number::<NonZeroU32>("tokens a second, 1 or more")?),
            "--leak" => generation.leak = Some(words.number("a number of bytes")?),
            "--burn" => generation.burn = true,
            "--answer-tokens" => generation.answer = words.value("a number of tokens, or inf", parse_length)?,
            "--context" => generation.context = Some(words.number("a number of tokens")?),
            "--kill-generation-thread" => generation.ends_after = Some(words.optional(parse).unwrap_or(0)),
            "--real-bugs" => generation.real_bugs = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn apply_wire(&mut self, flag: &str, words: &mut Words) -> Result<bool, UsageError> {
        let (network, http, stream) = (&mut self.network, &mut self.http, &mut self.stream);
        match flag {
            "--single-thread" => network.single_thread = true,
            "--hang" => {
                words.value("http", |text| (text == "http").then_some(()))?;
                network.hang_after.get_or_insert(Duration::ZERO);
            }
            "--hang-after" => network.hang_after = Some(words.time()?),
            "--close-at" => {
                let expected = "accept, header, in-header, body or tokens:N";
                network.close_at = Some(words.value(expected, parse_close_at)?);
            }
            "--reset" => network.reset = true,
            "--headers-then-silence" => {
                network.silence.get_or_insert(Silence::Total);
            }
            "--comments" => network.silence = Some(Silence::Comments),
            "--all-404" => http.all_404 = true,
            "--status" => http.status = Some(words.number("a status code")?),
            "--bad-json" => http.bad_json = true,
            "--html" => http.html = true,
            "--length-off" => http.length_off = words.number("a number of bytes")?,
            "--no-done" => stream.no_done = true,
            "--no-finish" => stream.no_finish = true,
            "--double-done" => stream.double_done = true,
            "--data-after-done" => stream.data_after_done = true,
            "--crlf" => stream.crlf = true,
            "--no-space" => stream.no_space = true,
            "--garbage" => stream.garbage = Some(words.optional(parse).unwrap_or(1)),
            "--error-in-stream" => stream.error = Some(words.optional(parse).unwrap_or(1)),
            "--stall-after" => stream.stall = Some(words.number("a number of tokens")?),
            "--split-utf8" => stream.split_utf8 = true,
            "--big-line" => stream.big_line = Some(words.optional(parse).unwrap_or(5 << 20)),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

// === impl Words ===

impl Words {
    fn new<I>(args: I) -> Result<Self, UsageError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let mut rest = VecDeque::new();
        for word in args {
            let word = word
                .into()
                .into_string()
                .map_err(|word| UsageError::NotText { word: word.to_string_lossy().into_owned() })?;
            rest.push_back(word);
        }
        if rest.front().is_some_and(|word| word == "-m") {
            rest.drain(..rest.len().min(2));
        }
        if rest.front().is_some_and(|word| word == "server") {
            rest.pop_front();
        }
        Ok(Self { rest, flag: String::new(), inline: None })
    }

    fn next_flag(&mut self) -> bool {
        let Some(word) = self.rest.pop_front() else { return false };
        (self.flag, self.inline) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
            Some(_) | None => (word, None),
        };
        true
    }

    fn text(&mut self) -> Result<String, UsageError> {
        self.inline
            .take()
            .or_else(|| self.rest.pop_front())
            .ok_or_else(|| UsageError::MissingValue { flag: self.flag.clone() })
    }

    fn value<T>(&mut self, expected: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, UsageError> {
        let value = self.text()?;
        read(&value).ok_or_else(|| UsageError::BadValue { flag: self.flag.clone(), value, expected })
    }

    fn number<T: FromStr>(&mut self, expected: &'static str) -> Result<T, UsageError> {
        self.value(expected, parse)
    }

    fn time(&mut self) -> Result<Duration, UsageError> {
        self.value("a time, as 500ms or 2s", parse_time)
    }

    fn delay(&mut self) -> Result<Delay, UsageError> {
        self.value("a time, as 500ms, 2s or forever", |text| match text {
            "inf" | "forever" => Some(Delay::Forever),
            _ => parse_time(text).map(Delay::For),
        })
    }

    /// The next word if it fits; a flag such as `--one-line` may stand alone.
    fn optional<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = read(self.inline.as_ref().or(self.rest.front())?)?;
        if self.inline.take().is_none() {
            self.rest.pop_front();
        }
        Some(found)
    }

    fn skip_ignored(&mut self) -> Result<(), UsageError> {
        let flag = self.flag.as_str();
        if IGNORED_WITH_VALUE.contains(&flag) {
            return self.text().map(drop);
        }
        if IGNORED.contains(&flag) {
            return Ok(());
        }
        Err(UsageError::UnknownFlag { flag: self.flag.clone() })
    }

    fn no_value_left(&mut self) -> Result<(), UsageError> {
        match self.inline.take() {
            None => Ok(()),
            Some(value) => Err(UsageError::BadValue { flag: self.flag.clone(), value, expected: "no such value" }),
        }
    }
}

fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(digits.parse::<f64>().ok()? * unit).ok()
}

fn parse_pattern(text: &str) -> Option<Vec<HealthTick>> {
    text.chars()
        .map(|c| match c {
            '1' => Some(HealthTick::Ok),
            '0' => Some(HealthTick::Unavailable),
            'x' => Some(HealthTick::Closed),
            _ => None,
        })
        .collect()
}

fn parse_length(text: &str) -> Option<Length> {
    match text {
        "inf" | "forever" => Some(Length::Endless),
        _ => parse(text).map(Length::Tokens),
    }
}

fn parse_close_at(text: &str) -> Option<CloseAt> {
    match text {
        "accept" => Some(CloseAt::Accept),
        "header" => Some(CloseAt::Header),
        "in-header" => Some(CloseAt::InHeader),
        "body" => Some(CloseAt::Body),
        _ => parse(text.strip_prefix("tokens:")?).map(CloseAt::Tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, UsageError> {
        Options::from_args(line.split_whitespace())
    }

    #[test]
    fn the_command_line_of_the_real_server_is_accepted() {
        let line = "-m mlx_lm server --model /m/tiny --host 127.0.0.1 --port 9001 --allowed-origins http://a,http://b \
                    --log-level INFO --decode-concurrency 8 --trust-remote-code --max-tokens=100";
        let options = options(line).unwrap();
        assert_eq!(options.identity.model.as_deref(), Some("/m/tiny"));
        assert_eq!(options.identity.port, 9001);
        assert_eq!(options.identity.allowed_origins, ["http://a", "http://b"]);
        assert_eq!(options.identity.max_tokens, 100);
    }

    #[test]
    fn a_later_flag_wins() {
        let mut options = options("--exit-after 5s --code 3").unwrap();
        options.apply(["--exit-after", "0"]).unwrap();
        assert_eq!(options.triggers.after, Some(Duration::ZERO));
        assert_eq!(options.triggers.code, 3);
    }

    #[test]
    fn abort_without_a_trigger_is_at_once_and_with_one_is_its_manner() {
        assert_eq!(options("--abort").unwrap().triggers.after, Some(Duration::ZERO));
        let on_request = options("--abort --die-on-request 2").unwrap().triggers;
        assert_eq!((on_request.after, on_request.death), (None, Death::Abort));
    }

    #[test]
    fn optional_values_may_be_left_out() {
        let options = options("--one-line --die-on-term --kill-generation-thread 3 --garbage").unwrap();
        assert_eq!(options.output.one_line, Some(10 << 20));
        assert_eq!(options.process.on_term, OnTerm::DieAfter(Duration::ZERO));
        assert_eq!(options.generation.ends_after, Some(3));
        assert_eq!(options.stream.garbage, Some(1));
    }

    #[test]
    fn times_are_read_in_their_units() {
        let times = ["500ms", "2s", "1.5", "2m", "1h"].map(parse_time);
        let expected = [500, 2_000, 1_500, 120_000, 3_600_000].map(|ms| Some(Duration::from_millis(ms)));
        assert_eq!(times, expected);
        assert_eq!(parse_time("2d"), None);
        assert_eq!(parse_time("-1s"), None);
    }

    #[test]
    fn each_wrong_word_is_named() {
        let errors =
            ["--prot 1", "--port", "--port http", "--spew=1"].map(|line| options(line).unwrap_err().to_string());
        assert_eq!(
            errors,
            [
                "unknown flag --prot; --help lists them",
                "--port needs a value",
                "--port \"http\": expected a port number",
                "--spew \"1\": expected no such value",
            ]
        );
    }

    #[test]
    fn the_help_names_every_flag_and_no_other() {
        let source = include_str!("parse.rs");
        let known: Vec<&str> = source
            .split('"')
            .filter(|word| word.starts_with("--") && !word.contains(' ') && !word.contains('=') && word.len() > 2)
            .collect();
        for flag in super::super::HELP.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
            assert!(!flag.starts_with("--") || known.contains(&flag), "{flag} is in the help only");
        }
        for flag in known {
            let hidden = IGNORED.contains(&flag)
                || IGNORED_WITH_VALUE.contains(&flag)
                || ["--as-grandchild", "--prot", "--help"].contains(&flag);
            assert!(hidden || super::super::HELP.contains(flag), "{flag} is missing in the help");
        }
    }
}
