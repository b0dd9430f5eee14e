//! Both ways to bring a child about, held against each other.

use super::*;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp};
use std::io::Read;

/// On Linux the second is the fallback of the first, on macOS it is the only one; where the first is forbidden there is
/// nothing to compare.
fn both_ways(exec: &Arc<Exec>, stdio: &Stdio) -> Vec<io::Result<i32>> {
    match by_vfork(exec, stdio, None) {
        Vforked::Yes(quick) => vec![quick, by_fork(exec, stdio)],
        Vforked::No => vec![by_fork(exec, stdio)],
    }
}

fn exec(path: &Path, words: &[&str], cwd: Option<&Path>) -> Arc<Exec> {
    let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
    let env = BTreeMap::from([("WORD".into(), "one".into())]);
    let stdio = StdioPlan::Captured;
    let program =
        Program { argv: &argv, cwd, env: &env, standing: Standing::OwnGroup, inherit: None, stdio, cgroup: None };
    Exec::new(path, &program).expect("no NUL in it")
}

#[test]
fn both_ways_lead_to_the_same_program_in_the_same_world() {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = temporary.path().canonicalize().expect("there");
    let script = "echo $0 $WORD; pwd; cat; echo end >&2; exit 3";
    let exec = exec(Path::new("/bin/sh"), &["sh", "-c", script, "name"], Some(&dir));
    let (stdio, outputs) = Stdio::open(StdioPlan::Captured).expect("descriptors");
    let started = both_ways(&exec, &stdio);
    drop(stdio);
    let ways = started.len();
    for pid in started {
        let pid = Pid::from_raw(pid.expect("it starts"));
        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 3)));
        assert_ne!(pid, getpgrp());
    }
    let said = outputs.expect("captured").map(|pipe| {
        let mut text = String::new();
        std::fs::File::from(pipe).read_to_string(&mut text).expect("text");
        text
    });
    let mut expected: Vec<_> = [format!("name one\n{}\n", dir.display()).repeat(ways), "end\n".repeat(ways)].into();
    // The two may have spoken at the same time.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for text in said {
        assert_eq!(sorted(&text), sorted(&expected.remove(0)));
    }
}

#[test]
fn both_ways_say_the_same_about_what_cannot_be_executed() {
    let nowhere = Path::new("/no/such/directory");
    for (path, cwd, errno) in [
        (nowhere, None, libc::ENOENT),
        (Path::new("/"), None, libc::EACCES),
        (Path::new("/bin/sh"), Some(nowhere), libc::ENOENT),
    ] {
        let (stdio, _outputs) = Stdio::open(StdioPlan::Captured).expect("descriptors");
        for started in both_ways(&exec(path, &["sh", "-c", "exit 0"], cwd), &stdio) {
            assert_eq!(started.expect_err("nothing to execute").raw_os_error(), Some(errno), "{path:?} in {cwd:?}");
        }
    }
}
