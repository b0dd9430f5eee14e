//! From the way a process ended and its last words to a reason: a word of a closed set, whether a retry can help, and the
//! line that names the cause.

use mlx_tree_policy::Severity;

/// Why a server is down. The word goes into status, events and metrics; it never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It exited with a code that says nothing more.
    ExitCode,
    /// It exited with code 0 although it was wanted running.
    UnexpectedExit,
    /// A signal of a crash ended it: SIGSEGV, SIGBUS, SIGABRT …
    Crashed,
    /// SIGKILL ended it, and not ours: an out-of-memory killer, or a person.
    Killed,
    /// SIGTERM, SIGINT or SIGHUP ended it, and not ours.
    TerminatedExternally,
    /// Metal ran out of memory.
    MetalOutOfMemory,
    /// Its port is held by another process.
    PortInUse,
    /// Python lacks a module.
    PythonModuleMissing,
    /// The model cannot be loaded.
    BadModel,
    /// It did not understand its arguments or its configuration (exit codes 2 and 78).
    BadArguments,
    /// The executable is missing, not executable, or of a wrong format.
    CannotExecute,
    /// The working directory is missing.
    BadWorkingDirectory,
    /// The system has no more processes, memory or file descriptors to give.
    OutOfResources,
    /// Its generation thread died while the process lives on.
    GenerationDied,
    /// It was not ready within the start timeout.
    StartTimeout,
    /// It came up, and its first completion failed.
    CanaryFailed,
    /// It stopped answering.
    Unhealthy,
    /// It used more memory than it may (`server.memory_hard_limit`).
    MemoryLimit,
    /// Somebody else answers on its port.
    ForeignListener,
    /// The worker that had it has failed: a bug in mlx-tree.
    WorkerFailed,
    /// How it ended could not be learnt.
    Unknown,
}

/// How a process ended, as far as the operating system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody could tell.
    Unknown,
}

/// A reason with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The word.
    pub reason: Reason,
    /// Whether another try can help.
    pub severity: Severity,
    /// The line of its stderr that names the cause.
    pub cause: Option<String>,
}

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// What a line of stderr gives away. The first pattern that fits wins; they are ordered from the telling to the vague.
const TELLTALES: &[(&[&str], Reason)] = &[
    (&["kIOGPUCommandBufferCallbackErrorOutOfMemory"], Reason::MetalOutOfMemory),
    (&["[METAL]", "Insufficient Memory"], Reason::MetalOutOfMemory),
    (&["[metal::malloc]"], Reason::MetalOutOfMemory),
    (&["No module named"], Reason::PythonModuleMissing),
    (&["Address already in use"], Reason::PortInUse),
    (&["HFValidationError"], Reason::BadModel),
    (&["RepositoryNotFoundError"], Reason::BadModel),
    (&["LocalEntryNotFoundError"], Reason::BadModel),
    (&["FileNotFoundError", "config.json"], Reason::BadModel),
    (&["FileNotFoundError", "safetensors"], Reason::BadModel),
    (&["ValueError: Model type"], Reason::BadModel),
    (&["SafetensorError"], Reason::BadModel),
    (&["[load_safetensors]"], Reason::BadModel),
    (&["failed to load model"], Reason::BadModel),
    // mlx_lm's own words since 0.32, and Python's before that.
    (&["generation thread died"], Reason::GenerationDied),
    (&["Exception in thread", "(_generate)"], Reason::GenerationDied),
];

/// Says why a process ended, from how it ended and its last lines of stderr, oldest first.
#[must_use]
pub fn of_exit(ending: Ending, stderr: &[String]) -> Diagnosis {
    let (telltale, cause) = last_words(stderr);
    let reason = match ending {
        Ending::Signal(SIGKILL) => Reason::Killed,
        Ending::Signal(SIGTERM | SIGINT | SIGHUP) => Reason::TerminatedExternally,
        Ending::Signal(_) => match telltale {
            Some(Reason::MetalOutOfMemory) => Reason::MetalOutOfMemory,
            _ => Reason::Crashed,
        },
        // A shell passes the signal that ended its child on as 128 + n.
        Ending::Code(code @ 129..=159) => return of_exit(Ending::Signal(code - 128), stderr),
        Ending::Code(126 | 127) => Reason::CannotExecute,
        Ending::Code(0) => telltale.unwrap_or(Reason::UnexpectedExit),
        Ending::Code(2 | 78) => telltale.unwrap_or(Reason::BadArguments),
        Ending::Code(_) => telltale.unwrap_or(Reason::ExitCode),
        Ending::Unknown => Reason::Unknown,
    };
    // What a killed process wrote last has nothing to do with the kill.
    let cause = match reason {
        Reason::Killed | Reason::TerminatedExternally => None,
        _ => cause,
    };
    Diagnosis { reason, severity: reason.severity(), cause }
}

/// Says why a living server is not serving, from what it wrote; `otherwise` where that says nothing.
#[must_use]
pub fn of_living(stderr: &[String], otherwise: Reason) -> Diagnosis {
    let (telltale, cause) = last_words(stderr);
    let reason = telltale.unwrap_or(otherwise);
    Diagnosis { reason, severity: reason.severity(), cause }
}

/// Whether `line`, just written by a server, is a sign that a thread of it has died: reason enough to ask for a canary.
#[must_use]
pub fn is_alarming(line: &str) -> bool {
    line.starts_with("Exception in thread")
        || line.starts_with("Traceback (most recent call last)")
        || line.contains("generation thread died")
}

/// The latest telltale in `stderr`, and the line that names the cause.
fn last_words(stderr: &[String]) -> (Option<Reason>, Option<String>) {
    let telltale = stderr.iter().rev().find_map(|line| {
        let fits = |patterns: &&[&str]| patterns.iter().all(|pattern| line.contains(pattern));
        TELLTALES.iter().find(|(patterns, _)| fits(patterns)).map(|(_, reason)| (*reason, line.trim().to_owned()))
    });
    let error = || stderr.iter().rev().find(|line| names_an_error(line)).map(|line| line.trim().to_owned());
    match telltale {
        // That a thread died says nothing about why; the end of its traceback does.
        Some((Reason::GenerationDied, line)) => (Some(Reason::GenerationDied), error().or(Some(line))),
        Some((reason, line)) => (Some(reason), Some(line)),
        None => (None, error()),
    }
}

/// Whether a line looks like the last one of a Python traceback (`package.SomeError: text`), or like an abort message.
fn names_an_error(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let dotted = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let last = name.rsplit('.').next().unwrap_or_default();
    let exception = ["Error", "Exception", "Interrupt", "Exit"].iter().any(|end| last.ends_with(end));
    (dotted && exception)
        || ["libc++abi:", "terminate called", "Fatal Python error", "error: "].iter().any(|it| line.starts_with(it))
}

// === impl Reason ===

impl Reason {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::ExitCode,
        Self::UnexpectedExit,
        Self::Crashed,
        Self::Killed,
        Self::TerminatedExternally,
        Self::MetalOutOfMemory,
        Self::PortInUse,
        Self::PythonModuleMissing,
        Self::BadModel,
        Self::BadArguments,
        Self::CannotExecute,
        Self::BadWorkingDirectory,
        Self::OutOfResources,
        Self::GenerationDied,
        Self::StartTimeout,
        Self::CanaryFailed,
        Self::Unhealthy,
        Self::MemoryLimit,
        Self::ForeignListener,
        Self::WorkerFailed,
        Self::Unknown,
    ];

    /// The reason of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExitCode => "exit_code",
            Self::UnexpectedExit => "unexpected_exit",
            Self::Crashed => "crashed",
            Self::Killed => "killed",
            Self::TerminatedExternally => "terminated_externally",
            Self::MetalOutOfMemory => "metal_out_of_memory",
            Self::PortInUse => "port_in_use",
            Self::PythonModuleMissing => "python_module_missing",
            Self::BadModel => "bad_model",
            Self::BadArguments => "bad_arguments",
            Self::CannotExecute => "cannot_execute",
            Self::BadWorkingDirectory => "bad_working_directory",
            Self::OutOfResources => "out_of_resources",
            Self::GenerationDied => "generation_died",
            Self::StartTimeout => "start_timeout",
            Self::CanaryFailed => "canary_failed",
            Self::Unhealthy => "unhealthy",
            Self::MemoryLimit => "memory_limit",
            Self::ForeignListener => "foreign_listener",
            Self::WorkerFailed => "worker_failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether another try can help.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::PortInUse
            | Self::PythonModuleMissing
            | Self::BadModel
            | Self::BadArguments
            | Self::CannotExecute
            | Self::BadWorkingDirectory
            | Self::ForeignListener => Severity::Permanent,
            Self::ExitCode
            | Self::UnexpectedExit
            | Self::Crashed
            | Self::Killed
            | Self::TerminatedExternally
            | Self::MetalOutOfMemory
            | Self::OutOfResources
            | Self::GenerationDied
            | Self::StartTimeout
            | Self::CanaryFailed
            | Self::Unhealthy
            | Self::MemoryLimit
            | Self::WorkerFailed
            | Self::Unknown => Severity::Transient,
        }
    }

    /// What a person can do about it, where there is something that mlx-tree cannot.
    #[must_use]
    pub const fn help(self) -> Option<&'static str> {
        match self {
            Self::PortInUse | Self::ForeignListener => {
                Some("end that process, or set server.port to another port (0 = any free one)")
            }
            Self::PythonModuleMissing => {
                Some("install the module, or leave server.python = \"auto\" and run `mlx-tree setup`")
            }
            Self::BadModel => {
                Some("check server.model: a directory with config.json, or a hub name that is already downloaded")
            }
            Self::BadArguments => Some("check server.args and server.command"),
            Self::CannotExecute => Some("check server.python and server.command"),
            Self::BadWorkingDirectory => Some("check server.cwd"),
            Self::MemoryLimit => Some(
                "raise server.memory_hard_limit, or use a smaller model, a shorter context or a smaller prompt cache",
            ),
            Self::MetalOutOfMemory => Some("use a smaller model or a shorter context, or close what else uses the GPU"),
            Self::ExitCode
            | Self::UnexpectedExit
            | Self::Crashed
            | Self::Killed
            | Self::TerminatedExternally
            | Self::OutOfResources
            | Self::GenerationDied
            | Self::StartTimeout
            | Self::CanaryFailed
            | Self::Unhealthy
            | Self::WorkerFailed
            | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_missing_module_is_recognised_and_no_retry_can_cure_it() {
        let diagnosis = of_exit(Ending::Code(1), &lines("/usr/bin/python3: No module named mlx_lm"));
        assert_eq!((diagnosis.reason, diagnosis.severity), (Reason::PythonModuleMissing, Severity::Permanent));
        assert_eq!(diagnosis.cause.as_deref(), Some("/usr/bin/python3: No module named mlx_lm"));
    }

    #[test]
    fn an_abort_of_metal_is_told_from_any_other_abort() {
        let metal = lines(
            "libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command buffer execution \
             failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        );
        assert_eq!(of_exit(Ending::Signal(6), &metal).reason, Reason::MetalOutOfMemory);
        assert_eq!(of_exit(Ending::Signal(6), &[]).reason, Reason::Crashed);
    }

    #[test]
    fn a_kill_is_not_blamed_on_what_was_written_before_it() {
        let diagnosis = of_exit(Ending::Signal(9), &lines("ValueError: an old story"));
        assert_eq!((diagnosis.reason, diagnosis.cause), (Reason::Killed, None));
    }

    #[test]
    fn a_shells_128_plus_n_is_the_signal_n() {
        assert_eq!(of_exit(Ending::Code(137), &[]), of_exit(Ending::Signal(9), &[]));
        assert_eq!(of_exit(Ending::Code(139), &[]).reason, Reason::Crashed);
    }

    #[test]
    fn the_cause_is_the_last_line_of_the_traceback_not_the_access_log_after_it() {
        let stderr = lines(
            "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n\
             huggingface_hub.errors.HFValidationError: Repo id must be in the form 'a/b': '/no/model'\n\
             127.0.0.1 - - [24/Nov/2026 07:50:46] \"GET /health HTTP/1.1\" 503 -",
        );
        let diagnosis = of_living(&stderr, Reason::GenerationDied);
        assert_eq!(diagnosis.reason, Reason::BadModel);
        assert!(
            diagnosis.cause.expect("there is one").starts_with("huggingface_hub.errors.HFValidationError: Repo id")
        );
    }

    #[test]
    fn a_dead_generation_thread_is_named_by_what_killed_it() {
        let traceback = "Traceback (most recent call last):\n  File \"server.py\", line 745, in _generate\n\
                         ValueError: text input must be of type `str`\n\
                         127.0.0.1 - - [24/Nov/2026 08:45:26] \"GET /health HTTP/1.1\" 200 -";
        for head in [
            "Exception in thread Thread-1 (_generate):",
            "2026-11-24 08:45:26,100 - ERROR - mlx_lm.server generation thread died: text input must be of type `str`",
        ] {
            assert!(is_alarming(head), "{head}");
            let diagnosis = of_living(&lines(&format!("{head}\n{traceback}")), Reason::Unhealthy);
            assert_eq!((diagnosis.reason, diagnosis.severity), (Reason::GenerationDied, Severity::Transient));
            assert_eq!(diagnosis.cause.as_deref(), Some("ValueError: text input must be of type `str`"));
        }
    }

    #[test]
    fn exit_zero_of_a_server_that_was_wanted_is_a_failure_too() {
        assert_eq!(of_exit(Ending::Code(0), &[]).reason, Reason::UnexpectedExit);
    }
}
