//! `launchctl`: what is asked of it, and how its answers are read.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::getuid;

use crate::Name;
use crate::manage::{Activity, AtBoot, Running};
use crate::tool::{ToolError, run};

/// How often it is looked again whether an old job has gone.
const PAUSE: Duration = Duration::from_millis(250);

fn domain() -> String {
    format!("gui/{}", getuid().as_raw())
}

fn target(name: &Name) -> String {
    format!("{}/{}", domain(), name.label())
}

/// Has the job at `path` loaded, which starts it. One that is loaded with another text is ended first, which may take as long
/// as `stop`.
pub(crate) fn load(name: &Name, path: &Path, running: Running, stop: Duration) -> Result<(), ToolError> {
    let (domain, target, path) = (domain(), target(name), path.display().to_string());
    match running {
        Running::AsItIs => return run(&["launchctl", "kickstart", &target]).map(drop),
        Running::ByAnotherText => unload(name)?,
        Running::No => {}
    }
    // Somebody may have disabled it once; that is remembered for ever otherwise.
    run(&["launchctl", "enable", &target])?;
    // `bootout` answers before the old job has ended, and as long as that is there, the new one is refused.
    let start = Instant::now();
    loop {
        match run(&["launchctl", "bootstrap", &domain, &path]) {
            Ok(_) => return Ok(()),
            Err(ToolError::Failed { .. }) if running == Running::ByAnotherText && start.elapsed() < stop => {
                sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Ends the job and has it forgotten. One that is not loaded is no error.
pub(crate) fn unload(name: &Name) -> Result<(), ToolError> {
    let target = target(name);
    match run(&["launchctl", "bootout", &target]) {
        Ok(_) => Ok(()),
        // What it says of that differs from release to release, so it is asked.
        Err(ToolError::Failed { .. }) if run(&["launchctl", "print", &target]).is_err() => Ok(()),
        Err(error) => Err(error),
    }
}

/// How it is.
pub(crate) fn state(name: &Name) -> Result<(Activity, AtBoot), ToolError> {
    match run(&["launchctl", "print", &target(name)]) {
        Ok(shown) => Ok((read(&shown), AtBoot::Yes)),
        Err(ToolError::Failed { .. }) => Ok((Activity::Unknown, AtBoot::No)),
        Err(error) => Err(error),
    }
}

/// The few lines of `launchctl print` that matter. Its manual says that its form is no interface, so whatever is not understood
/// is left out.
fn read(shown: &str) -> Activity {
    // Those of the job itself are indented by one tab; deeper ones belong to something else.
    let lines = shown.lines().filter(|line| line.starts_with('\t') && !line.starts_with("\t\t"));
    let values: BTreeMap<_, _> = lines.filter_map(|line| line.trim().split_once(" = ")).collect();
    let pid = values.get("pid").and_then(|pid| pid.parse().ok());
    let code = values.get("last exit code").filter(|code| **code != "0" && !code.starts_with('('));
    match (values.get("state").copied().unwrap_or_default(), pid, code) {
        ("running", pid, _) => Activity::Up { pid, says: None },
        (_, Some(pid), _) => Activity::Starting { pid: Some(pid), says: None },
        (_, None, Some(code)) => Activity::Failed { why: format!("exit code {code}; launchd starts it again") },
        (_, None, None) => Activity::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_launchctl_are_understood() {
        let up = "gui/501/local.mlx-tree = {\n\tactive count = 1\n\tpath = /x.plist\n\tstate = running\n\n\tprogram = /x\n\
                  \tpid = 4711\n\tlast exit code = 78: EX_CONFIG\n\tspawn type = interactive (4)\n}\n";
        assert_eq!(read(up), Activity::Up { pid: Some(4711), says: None });
        let failed =
            "x = {\n\tstate = spawn scheduled\n\tendpoints = {\n\t\tstate = running\n\t}\n\tlast exit code = 78\n}\n";
        let why = "exit code 78; launchd starts it again".to_owned();
        assert_eq!(read(failed), Activity::Failed { why });
        assert_eq!(read("x = {\n\tstate = not running\n\tlast exit code = 0\n}\n"), Activity::Down);
        assert_eq!(read("x = {\n\tstate = not running\n\tlast exit code = (never exited)\n}\n"), Activity::Down);
    }
}
