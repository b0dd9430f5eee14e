//! What one launch of the stand-in shall do, as plain data.
//!
//! The command line is one way to make it ([`Options::from_args`]); tests in one process may fill the fields themselves.

use std::{ffi::OsString, num::NonZeroU32, path::PathBuf, time::Duration};

mod parse;
mod usage;

pub use usage::UsageError;

/// The `--help` text: every flag, one line each.
pub const HELP: &str = include_str!("options/help.txt");

/// Everything a launch can be told. The default is a healthy server on `127.0.0.1:8080`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Who it says it is and where it listens.
    pub identity: Identity,
    /// How it comes up, is asked to end, and what else its process does.
    pub process: Process,
    /// What its process writes to its pipes.
    pub output: Output,
    /// What makes it end by itself, and how it ends then.
    pub triggers: Triggers,
    /// What `/health` answers.
    pub health: Health,
    /// How tokens come.
    pub generation: Generation,
    /// Connection faults.
    pub network: Network,
    /// Faults of a plain answer.
    pub http: Http,
    /// Faults of a streamed answer.
    pub stream: Stream,
    /// Which completion requests the faults of one request concern.
    pub scope: Scope,
    /// One line of flags for each launch; applied over the command line by [`crate::run`].
    pub script: Option<PathBuf>,
    /// Set by `--help`: print [`HELP`] and end with 0.
    pub help: Option<Help>,
}

/// The marker that `--help` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Help;

/// Model name, address and origins, as `mlx_lm.server` takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// `--model`; only listed by `/v1/models`.
    pub model: Option<String>,
    /// `--host`.
    pub host: String,
    /// `--port`; 0 takes a free one, which is then told on stderr.
    pub port: u16,
    /// `--allowed-origins`, split at commas.
    pub allowed_origins: Vec<String>,
    /// `--max-tokens`: the length of an answer whose request names none.
    pub max_tokens: u64,
    /// `--backlog`: the listen backlog.
    pub backlog: i32,
    /// `--control`: serve `/_fake/…`.
    pub control: bool,
}

/// A length of time that may be for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// So long.
    For(Duration),
    /// It never ends.
    Forever,
}

/// What to do when the port is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPortTaken {
    /// Print the traceback and stay, as `mlx_lm.server` does.
    #[default]
    Hang,
    /// Print the traceback and end with 1.
    Exit,
}

/// What SIGTERM does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTerm {
    /// End at once by the signal, as `mlx_lm.server` does.
    #[default]
    Die,
    /// Nothing.
    Ignore,
    /// End after this time with the code of [`Triggers::code`].
    DieAfter(Duration),
}

/// The life of the process apart from its HTTP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// `--listen-after`: the imports before anything listens.
    pub listen_after: Option<Delay>,
    /// `--bind-error-exit` / `--bind-error-hang`.
    pub on_port_taken: OnPortTaken,
    /// `--ignore-term`, `--die-on-term`.
    pub on_term: OnTerm,
    /// `--fork-grandchild`: serve in a child process that shares port, pipes and group.
    pub grandchild: Option<Grandchild>,
    /// Internal: this process is the grandchild.
    pub role: Role,
}

/// How the serving grandchild is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grandchild {
    /// In the same process group.
    SameGroup,
    /// In a session of its own (`--setsid`).
    OwnSession,
}

/// Which of the two processes of `--fork-grandchild` this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The one that was launched.
    #[default]
    Leader,
    /// The one that the leader made (`--as-grandchild`, added by itself).
    Grandchild,
}

/// What goes to stdout and stderr beside the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// `--spew`: lines to stdout as fast as they go.
    pub spew: bool,
    /// `--spew-at-most`: so many bytes of them, and then a line about it to stderr.
    pub spew_at_most: Option<u64>,
    /// `--one-line`: so many bytes to stdout without a newline.
    pub one_line: Option<u64>,
    /// `--binary-output`: every byte value to both pipes, then a newline.
    pub binary: bool,
    /// `--close-stdio`: close stdout and stderr once it listens.
    pub close_stdio: bool,
    /// `--print-argv`: the arguments and the working directory, to stderr.
    pub print_argv: bool,
    /// `--stderr`: lines to print at the start.
    pub lines: Vec<String>,
    /// `--quiet`: no log line for a request.
    pub quiet: bool,
}

/// How the process ends when a trigger fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Death {
    /// `exit(code)`.
    #[default]
    Exit,
    /// SIGABRT, after a line like the Metal assertion's.
    Abort,
    /// SIGSEGV.
    Segv,
    /// SIGKILL, as the kernel's memory killer does.
    Kill,
}

/// What makes the process end by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Triggers {
    /// `--exit-after`: this long after the launch.
    pub after: Option<Duration>,
    /// `--die-on-request`: at the n-th completion request in scope.
    pub on_request: Option<u64>,
    /// `--before-bytes`: with `on_request`, before any byte of the answer.
    pub before_bytes: bool,
    /// `--die-after-tokens`: after the n-th token of an answer in scope.
    pub after_tokens: Option<u64>,
    /// `--die-on-substring`: at a body that holds this.
    pub on_substring: Option<String>,
    /// `--crash-above`: when more completion requests than this are in flight.
    pub above: Option<u64>,
    /// `--abort`, `--segv`, `--oom`.
    pub death: Death,
    /// `--code`: the exit code.
    pub code: u8,
    /// `--last-words`: lines to stderr just before the end.
    pub last_words: Vec<String>,
}

/// One answer of `/health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthTick {
    /// 200 (`1`).
    Ok,
    /// 503 (`0`).
    Unavailable,
    /// The connection is closed without an answer (`x`).
    Closed,
}

/// What `/health` says once generation has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterGenerationEnds {
    /// 200, and requests wait for ever: a live thread that serves nobody, or mlx-lm up to 0.31.
    #[default]
    Healthy,
    /// 503, and requests get 404 "generation thread died": mlx-lm 0.32.
    Unavailable,
}

/// What `/health` does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// `--health-delay`: before each answer.
    pub delay: Option<Delay>,
    /// `--health-delay-when-busy`: the same, only while a completion is being worked on.
    pub delay_when_busy: Option<Delay>,
    /// `--health-pattern`: the answers, over and over; empty is always 200.
    pub pattern: Vec<HealthTick>,
    /// `--health-when-dead 200|503`.
    pub when_dead: AfterGenerationEnds,
}

/// A number of tokens that may be endless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many, then finish reason `stop`.
    Tokens(u64),
    /// Until the request's own limit, then `length`.
    Endless,
}

/// How the model loads and how tokens come.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// `--load`: the time from the launch until the first token can come.
    pub load: Option<Delay>,
    /// `--load-fails`: every completion is 404 with this text.
    pub load_error: Option<String>,
    /// `--prefill`: the time an answer takes before its first token.
    pub prefill: Option<Duration>,
    /// `--keepalive-every`: the distance of the comments during prefill.
    pub keepalive_every: Duration,
    /// `--tps`: tokens a second of one answer; none is as fast as it goes.
    pub tokens_per_second: Option<NonZeroU32>,
    /// `--leak`: so many bytes more are kept by each completion.
    pub leak: Option<usize>,
    /// `--burn`: keeps a processor busy between tokens, as a real model does.
    pub burn: bool,
    /// `--answer-tokens`: the natural length of an answer.
    pub answer: Length,
    /// `--context`: longer prompts (in tokens, about four bytes each) are 404.
    pub context: Option<u64>,
    /// `--kill-generation-thread`: generation ends after so many completions.
    pub ends_after: Option<u64>,
    /// `--real-bugs`: `logit_bias` out of the vocabulary is SIGSEGV; a `stop` that is no text and a `prompt` that is
    /// empty or a list end generation.
    pub real_bugs: bool,
}

/// Where a connection is closed too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseAt {
    /// As soon as it is accepted.
    Accept,
    /// After the request, before any byte of the answer.
    Header,
    /// In the middle of the answer's head.
    InHeader,
    /// After the head.
    Body,
    /// After the n-th token of a stream (`--close-at tokens:N`).
    Tokens(u64),
}

/// Connection faults. All but `single_thread` and `hang_after` are in the scope of [`Scope`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// `--single-thread`: one connection after the other, as mlx-lm 0.26.
    pub single_thread: bool,
    /// `--hang http` with `--hang-after`: from then on every connection is accepted and none answered.
    pub hang_after: Option<Duration>,
    /// `--close-at`.
    pub close_at: Option<CloseAt>,
    /// `--reset`: close by RST where `close_at` closes.
    pub reset: bool,
    /// `--headers-then-silence`: the head, then nothing.
    pub silence: Option<Silence>,
}

/// What follows the head of an answer that never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing at all.
    Total,
    /// Comments at the distance of [`Generation::keepalive_every`] (`--comments`).
    Comments,
}

/// Faults of completion answers that are not streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    /// `--all-404`: each completion is 404 `{"error": …}`.
    pub all_404: bool,
    /// `--bad-json`: a body (or first event) that is no JSON.
    pub bad_json: bool,
    /// `--html`: 200 with a page.
    pub html: bool,
    /// `--length-off N`: so much is added to the true `Content-Length`.
    pub length_off: i64,
    /// `--status N`: answer completions with this status and an error object.
    pub status: Option<u16>,
}

/// Faults of streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// `--no-done`: no `[DONE]`.
    pub no_done: bool,
    /// `--no-finish`: neither finish reason nor `[DONE]`.
    pub no_finish: bool,
    /// `--double-done`: `[DONE]` twice.
    pub double_done: bool,
    /// `--data-after-done`: another event after `[DONE]`.
    pub data_after_done: bool,
    /// `--crlf`: lines end with CR LF.
    pub crlf: bool,
    /// `--no-space`: `data:` without the space.
    pub no_space: bool,
    /// `--garbage N`: after the n-th token an event that is no JSON.
    pub garbage: Option<u64>,
    /// `--error-in-stream N`: after the n-th token an error object, then EOF.
    pub error: Option<u64>,
    /// `--stall-after N`: after the n-th token nothing more.
    pub stall: Option<u64>,
    /// `--split-utf8`: text beyond ASCII, each write cut inside a character.
    pub split_utf8: bool,
    /// `--big-line N`: after the first token one event of about so many bytes.
    pub big_line: Option<u64>,
}

/// Which completion requests the faults of one request concern; those out of scope are answered well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// `--only-with`: those whose body holds this.
    pub with: Option<String>,
    /// `--from-request`: the n-th of these and later (from 1).
    pub from: Option<u64>,
    /// `--until-request`: up to the n-th of these.
    pub until: Option<u64>,
}

// === impl Options ===

impl Options {
    /// Reads a command line without its program name. A leading `-m mlx_lm server` (or `server`) is skipped, so that
    /// the stand-in fits where the Python interpreter stands.
    ///
    /// # Errors
    /// The first word that does not fit.
    pub fn from_args<I>(args: I) -> Result<Self, UsageError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let mut options = Self::default();
        options.apply(args)?;
        Ok(options)
    }
}

// === impl Identity ===

impl Default for Identity {
    fn default() -> Self {
        Self {
            model: None,
            host: "127.0.0.1".into(),
            port: 8080,
            allowed_origins: vec!["*".into()],
            max_tokens: 512,
            backlog: 5,
            control: false,
        }
    }
}

// === impl Triggers ===

impl Default for Triggers {
    fn default() -> Self {
        Self {
            after: None,
            on_request: None,
            before_bytes: false,
            after_tokens: None,
            on_substring: None,
            above: None,
            death: Death::Exit,
            code: 1,
            last_words: Vec::new(),
        }
    }
}

// === impl Generation ===

impl Default for Generation {
    fn default() -> Self {
        Self {
            load: None,
            load_error: None,
            prefill: None,
            keepalive_every: Duration::from_millis(100),
            tokens_per_second: None,
            leak: None,
            burn: false,
            answer: Length::Tokens(64),
            context: None,
            ends_after: None,
            real_bugs: false,
        }
    }
}
