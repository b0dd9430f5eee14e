//! `systemctl`: what is asked of it, and how its answers are read.

use std::collections::BTreeMap;

use crate::manage::{Activity, AtBoot, Running};
use crate::tool::{ToolError, run};
use crate::{Name, Scope};

/// What is asked about a unit.
const PROPERTIES: &str =
    "LoadState,ActiveState,SubState,MainPID,NRestarts,StatusText,Result,ExecMainStatus,UnitFileState";

fn systemctl(scope: Scope, words: &[&str]) -> Result<String, ToolError> {
    let scope: &[&str] = match scope {
        Scope::User => &["systemctl", "--user"],
        Scope::System => &["systemctl"],
    };
    run(&[scope, words].concat())
}

/// Has the unit read, started with the machine or the user, and started now; restarted if it runs with another text. Does not
/// wait for it to be up.
pub(crate) fn load(name: &Name, scope: Scope, running: Running) -> Result<(), ToolError> {
    let unit = name.unit();
    systemctl(scope, &["daemon-reload"])?;
    systemctl(scope, &["enable", "--quiet", &unit])?;
    // One that has failed before may start again.
    let _ = systemctl(scope, &["reset-failed", &unit]);
    match running {
        Running::ByAnotherText => systemctl(scope, &["restart", "--no-block", &unit])?,
        Running::No | Running::AsItIs => systemctl(scope, &["start", "--no-block", &unit])?,
    };
    Ok(())
}

/// Stops it and waits for its end; it will not be started again.
pub(crate) fn unload(name: &Name, scope: Scope) -> Result<(), ToolError> {
    systemctl(scope, &["disable", "--now", "--quiet", &name.unit()]).map(drop)
}

/// Has the units read again, after one has gone.
pub(crate) fn forget(name: &Name, scope: Scope) -> Result<(), ToolError> {
    systemctl(scope, &["daemon-reload"])?;
    // A unit that has failed is remembered without its file.
    let _ = systemctl(scope, &["reset-failed", &name.unit()]);
    Ok(())
}

/// How it is.
pub(crate) fn state(name: &Name, scope: Scope) -> Result<(Activity, AtBoot), ToolError> {
    systemctl(scope, &["show", "-p", PROPERTIES, &name.unit()]).map(|shown| read(&shown))
}

/// Whether the services of `user` go on when they have logged out; `None` where that cannot be known.
pub(crate) fn lingers(user: &str) -> Option<bool> {
    match run(&["loginctl", "show-user", "-p", "Linger", user]).ok()?.trim() {
        "Linger=yes" => Some(true),
        "Linger=no" => Some(false),
        _ => None,
    }
}

fn read(shown: &str) -> (Activity, AtBoot) {
    let values: BTreeMap<_, _> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    let value = |name: &str| values.get(name).copied().unwrap_or_default();
    let pid = value("MainPID").parse().ok().filter(|pid| *pid != 0);
    let says = Some(value("StatusText").to_owned()).filter(|text| !text.is_empty());
    let activity = match (value("LoadState"), value("ActiveState"), value("SubState")) {
        ("not-found", "inactive", _) => Activity::Unknown,
        (_, "active" | "reloading", _) => Activity::Up { pid, says },
        // Between two lives it is "activating" too.
        (_, "activating", "auto-restart") => {
            Activity::Failed { why: why(value("Result"), value("ExecMainStatus"), true) }
        }
        (_, "activating", _) => Activity::Starting { pid, says },
        (_, "deactivating", _) => Activity::Stopping,
        (_, "failed", _) => Activity::Failed { why: why(value("Result"), value("ExecMainStatus"), false) },
        _ => Activity::Down,
    };
    let at_boot = match value("UnitFileState") {
        "enabled" | "enabled-runtime" => AtBoot::Yes,
        "" | "disabled" | "masked" | "static" => AtBoot::No,
        _ => AtBoot::Unclear,
    };
    (activity, at_boot)
}

fn why(result: &str, status: &str, again: bool) -> String {
    let how = match result {
        "exit-code" => format!("exit code {status}"),
        "watchdog" => "its watchdog was not fed".to_owned(),
        "timeout" => "it took too long".to_owned(),
        "signal" | "core-dump" => format!("ended by signal {status}"),
        other => other.to_owned(),
    };
    if again { format!("{how}; systemd starts it again") } else { how }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_systemctl_are_understood() {
        let up = "MainPID=77\nNRestarts=0\nExecMainStatus=0\nStatusText=Serving\nLoadState=loaded\nActiveState=active\n\
                  SubState=running\nResult=success\nUnitFileState=enabled\n";
        let serving = Activity::Up { pid: Some(77), says: Some("Serving".to_owned()) };
        assert_eq!(read(up), (serving, AtBoot::Yes));
        let absent = "LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\nUnitFileState=\n";
        assert_eq!(read(absent), (Activity::Unknown, AtBoot::No));
        let failed = "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=78\n";
        assert_eq!(read(failed).0, Activity::Failed { why: "exit code 78".to_owned() });
        let between = "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=watchdog\n";
        let why = "its watchdog was not fed; systemd starts it again".to_owned();
        assert_eq!(read(between).0, Activity::Failed { why });
        assert_eq!(read("").0, Activity::Down);
    }
}
