//! OTP's own supervisor, driven by a script: one case in, one observation out.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

/// The driver gives up on a case after 60 s and tries it again up to four times; nothing answers later than that.
const ANSWER_WITHIN: Duration = Duration::from_secs(320);

/// A running driver. It ends with this value.
pub(crate) struct Oracle {
    process: Child,
    cases: Option<ChildStdin>,
    answers: Receiver<String>,
}

/// What was seen of the real supervisor.
pub(crate) enum Observed {
    Events(Vec<Value>),
    /// The clock's second changed in the middle of an operation, on each of the driver's tries: too slow a machine to say
    /// what should have been counted.
    Tainted,
    /// The driver itself failed.
    Crash(String),
}

/// Where the driver is, or why it cannot be used, in words.
///
/// # Errors
/// What is missing.
pub(crate) fn find() -> Result<PathBuf, &'static str> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let driver = std::env::var_os("MLX_TREE_OTP_ORACLE")
        .map_or_else(|| workspace.join("../shared/otp/otp_oracle.escript"), PathBuf::from);
    if !driver.is_file() {
        return Err("the driver of OTP's supervisor is not here (MLX_TREE_OTP_ORACLE says where it is)");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("escript").is_file()) {
        return Err("Erlang's escript is not installed (Debian: erlang-base)");
    }
    Ok(driver)
}

// === impl Oracle ===

impl Oracle {
    pub(crate) fn start(driver: &Path) -> Self {
        let mut process = Command::new("escript")
            .arg(driver)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("escript starts");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (lines, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Self { cases: process.stdin.take(), process, answers }
    }

    /// Plays one case on the real supervisor.
    pub(crate) fn observe(&mut self, case: &Value) -> Observed {
        let cases = self.cases.as_mut().expect("open until the end");
        if writeln!(cases, "{case}").and_then(|()| cases.flush()).is_err() {
            return Observed::Crash("the driver reads no more".to_owned());
        }
        let answer = match self.answers.recv_timeout(ANSWER_WITHIN) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Observed::Crash("no answer".to_owned()),
            Err(RecvTimeoutError::Disconnected) => return Observed::Crash("the driver has ended".to_owned()),
        };
        let mut answer: Value = match serde_json::from_str(&answer) {
            Ok(answer) => answer,
            Err(_) => return Observed::Crash(answer),
        };
        if let Some(crash) = answer["oracle_crash"].as_str() {
            return Observed::Crash(crash.to_owned());
        }
        assert_eq!(answer["id"], case["id"], "answers come in the order of the cases");
        let Value::Array(events) = answer["events"].take() else {
            return Observed::Crash(answer.to_string());
        };
        if answer["tainted"] == true { Observed::Tainted } else { Observed::Events(events) }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // The end of its input ends it; a case that hangs needs more.
        self.cases = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
