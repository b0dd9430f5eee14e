//! Asks an interpreter what it is and whether it can import the module.
//!
//! It is asked in the way the server will be run: with `PYTHONPATH` and the user's packages (so not `-I`), but without
//! the working directory, in which a stray `mlx_lm` folder would pass for the module.

use super::{
    Module, Origin, Python, PythonError,
    run::{Failure, Helper, Outcome},
};
use crate::progress::{Progress, Step};
use std::{path::Path, time::Duration};

/// The first import after an installation compiles some thousand files.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(120);
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// What our lines begin with; the module may print others.
const MARK: &str = "mlx-tree-probe ";

const SCRIPT: &str = r#"
import sys
sys.path[:1] = [p for p in sys.path[:1] if p != ""]
print("\nmlx-tree-probe version %d.%d.%d" % sys.version_info[:3], flush=True)
if len(sys.argv) > 1:
    name = sys.argv[1]
    import importlib.metadata, importlib.util
    if importlib.util.find_spec(name) is None:
        print("\nmlx-tree-probe missing", flush=True)
    else:
        importlib.import_module(name)
        try:
            version = importlib.metadata.version(name.replace("_", "-"))
        except importlib.metadata.PackageNotFoundError:
            version = "unknown"
        print("\nmlx-tree-probe module", version, flush=True)
"#;

/// A Python version, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

/// Resolves when the interpreter has imported the module.
pub(super) async fn require(
    interpreter: &Path,
    module: Module,
    origin: Origin,
    progress: &dyn Progress,
) -> Result<Python, PythonError> {
    progress.report(Step::Looking { interpreter: interpreter.to_owned() });
    let name = module.import_name();
    let outcome = ask(interpreter, &[name], IMPORT_TIMEOUT, name).await?;
    let Some(version) = answer(&outcome, "version ") else { return Err(broken(interpreter, &outcome)) };
    if answer(&outcome, "missing").is_some() {
        return Err(PythonError::no_module(interpreter, module));
    }
    match answer(&outcome, "module ") {
        Some(module_version) => Ok(Python { interpreter: interpreter.to_owned(), origin, version, module_version }),
        None => {
            Err(PythonError::ImportFailed { interpreter: interpreter.to_owned(), module: name, reason: last(&outcome) })
        }
    }
}

/// The interpreter's version.
pub(super) async fn version(interpreter: &Path) -> Result<Version, PythonError> {
    let outcome = ask(interpreter, &[], VERSION_TIMEOUT, "sys").await?;
    let version = answer(&outcome, "version ").and_then(|version| Version::read(&version));
    version.ok_or_else(|| broken(interpreter, &outcome))
}

async fn ask(
    interpreter: &Path,
    arguments: &[&str],
    timeout: Duration,
    module: &'static str,
) -> Result<Outcome, PythonError> {
    let helper = Helper::new(interpreter, timeout).args(["-c", SCRIPT]).args(arguments);
    helper.run(|_| {}).await.map_err(|failure| match failure {
        Failure::Error(error) => error,
        Failure::TimedOut(_) => PythonError::TimedOut { interpreter: interpreter.to_owned(), module, after: timeout },
    })
}

fn answer(outcome: &Outcome, key: &str) -> Option<String> {
    let line = outcome.lines.iter().rev().find_map(|line| line.strip_prefix(MARK)?.strip_prefix(key))?;
    Some(line.trim().to_owned())
}

fn broken(interpreter: &Path, outcome: &Outcome) -> PythonError {
    PythonError::Broken { interpreter: interpreter.to_owned(), reason: last(outcome) }
}

fn last(outcome: &Outcome) -> String {
    let ours = |line: &&String| !line.starts_with(MARK.trim_end());
    outcome.lines.iter().rfind(ours).cloned().unwrap_or_else(|| format!("it ended with code {}", outcome.code))
}

// === impl Version ===

impl Version {
    /// The oldest that mlx-lm runs on.
    pub(super) const OLDEST: Self = Self { major: 3, minor: 10, patch: 0 };

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        Some(Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? })
    }

    /// As "3.11".
    pub(super) fn short(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}
