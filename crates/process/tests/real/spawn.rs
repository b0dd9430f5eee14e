//! What a child is given, and what is said when it cannot be started (F25, F27, F31).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mlx_tree_process::{Exit, How, Launch, ProcessGroup, SpawnError};
use tokio::time::timeout;

use crate::support::{LONG, assert_gone, launch, spawn};

async fn lines_of(launch: Launch) -> (Vec<String>, Exit) {
    let group = ProcessGroup::spawn(launch).expect("it starts");
    let (lines, exited) = (group.output(), group.exited());
    let mut all = Vec::new();
    while let Some(line) = timeout(LONG, lines.next()).await.expect("in time") {
        all.push(line.text);
    }
    let exit = exited.await;
    assert_gone(group.identity()).await;
    (all, exit)
}

#[tokio::test]
async fn a_child_gets_exactly_what_it_is_given() {
    let dir = tempfile::tempdir().expect("a directory");
    let cwd = dir.path().canonicalize().expect("there");
    let described = launch(&["describe"]).cwd(&cwd).env("A", "one").env("B", "two words");
    let (mut lines, exit) = lines_of(described).await;
    assert_eq!(exit.how, How::Code(0));
    let nonce = lines.iter().position(|line| line.starts_with("env: MLX_TREE_NONCE=")).expect("the mark");
    assert_eq!(lines.remove(nonce).len(), "env: MLX_TREE_NONCE=".len() + 32);
    let mut expected = vec![
        format!("cwd: {}", cwd.display()),
        "leads its group: true".to_owned(),
        "leads a session: false".to_owned(),
        "core limit: (0, 0)".to_owned(),
        "arg: describe".to_owned(),
        "env: A=one".to_owned(),
        "env: B=two words".to_owned(),
    ];
    if cfg!(target_os = "linux") {
        expected.extend([
            "stdin: /dev/null".to_owned(),
            "SigBlk: 0000000000000000".to_owned(),
            // SIGPIPE, which the runtime of a Rust program ignores before its `main`.
            "SigIgn: 0000000000001000".to_owned(),
        ]);
    }
    assert_eq!(lines, expected);
}

/// The program that spawns was itself started with a stray descriptor and ignored signals, as under nohup.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn strays_of_our_own_parent_reach_nobody() {
    use std::os::unix::process::CommandExt;

    let dir = tempfile::tempdir().expect("a directory");
    let mut supervisor = std::process::Command::new(crate::support::helper());
    supervisor.args(["supervise".as_ref(), dir.path().join("state").as_os_str(), "describe".as_ref()]);
    // SAFETY: plain system calls between fork and exec; "ignore" runs no code.
    #[allow(unsafe_code, reason = "this is the world that is to be survived")]
    unsafe {
        supervisor.pre_exec(|| {
            use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
            for number in [Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGUSR1] {
                signal(number, SigHandler::SigIgn)?;
            }
            SigSet::all().thread_block()?;
            for stray in [7, 33, 900] {
                nix::libc::dup2(0, stray);
            }
            Ok(())
        });
    }
    let output = supervisor.output().expect("it runs");
    let output = String::from_utf8_lossy(&output.stdout);
    let open: Vec<&str> = output.lines().filter(|line| line.starts_with("said open:")).collect();
    // Nothing but the lock that it is to inherit.
    assert_eq!(open.len(), 1, "{output}");
    assert!(open[0].ends_with("/state/server.lock"), "{output}");
    assert!(output.contains("said SigIgn: 0000000000001000"), "{output}");
    assert!(output.contains("said SigBlk: 0000000000000000"), "{output}");
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    let exit = spawn(&["exit", "3"]).exited().await;
    assert_eq!((exit.how, exit.was_asked()), (How::Code(3), false));
    let group = spawn(&["abort"]);
    let exit = group.exited().await;
    assert_eq!(exit.how, How::Signal(6));
    assert!(exit.to_string().starts_with("ended by SIGABRT after "), "{exit}");
    assert_eq!(group.tail().last_lines(50), ["about to abort"]);
    assert_gone(group.identity()).await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        path
    };
    let plain = file("plain", "#!/bin/sh\n", 0o644);
    let text = file("text", "echo this must not be run by a shell\n", 0o755);
    let lost = file("lost", "#!/no/such/interpreter\n", 0o755);
    let error = |path: &Path| ProcessGroup::spawn(Launch::new([path])).expect_err("not a program");
    assert!(matches!(error(Path::new("/no/such/program")), SpawnError::NotFound { .. }));
    assert!(matches!(error(Path::new("no-such-program")), SpawnError::NotFound { .. }));
    assert!(matches!(error(&plain), SpawnError::NotExecutable { .. }));
    assert!(matches!(error(&text), SpawnError::BadFormat { .. }));
    assert!(matches!(error(&lost), SpawnError::NotFound { .. }));
    assert!(matches!(error(dir.path()), SpawnError::IsDirectory { .. }));
    let nul = error(Path::new("a\0b"));
    assert!(matches!(&nul, SpawnError::Other { .. } | SpawnError::NotFound { .. }), "{nul:?}");
    assert_eq!(error(&plain).to_string(), format!("{}: not executable", plain.display()));
    assert!(error(&plain).help().contains("chmod +x"));
}

#[tokio::test]
async fn a_working_directory_that_cannot_be_entered_is_named_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    for bad in [dir.path().join("missing"), file] {
        let error = ProcessGroup::spawn(launch(&["sleep"]).cwd(&bad)).expect_err("no directory");
        assert!(matches!(&error, SpawnError::BadWorkingDirectory { path, .. } if *path == bad), "{error:?}");
    }
}

#[tokio::test]
async fn a_held_value_is_dropped_at_once_when_the_spawn_fails() {
    let (permit, dropped) = tokio::sync::oneshot::channel::<()>();
    ProcessGroup::spawn(Launch::new(["/no/such/program"]).hold(permit)).expect_err("no program");
    timeout(LONG, dropped).await.expect("dropped").expect_err("dropped without a word");
}

#[test]
#[should_panic(expected = "no reactor running")]
fn outside_of_a_runtime_nothing_is_started() {
    let _ = ProcessGroup::spawn(launch(&["sleep"]));
}
