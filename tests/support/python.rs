//! A Python environment for the tests that want packages beside `mlx_lm`, made once for each checkout.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An environment with these packages, each pinned. Of many tests and processes that ask at once, one makes it and the
/// others wait.
pub(crate) fn environment(name: &str, packages: &[&str]) -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_mlx-tree")).ancestors().nth(2).expect("it is in target/<profile>/");
    let place = target.join(name);
    fs::create_dir_all(&place).expect("a directory");
    let lock = File::create(place.join("lock")).expect("a lock file");
    lock.lock().expect("it is free at some time");
    let (interpreter, made) = (place.join("venv/bin/python"), place.join("made-of"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
        return interpreter;
    }
    // Past the harness, which would hold it back until the test is over.
    let _ = writeln!(io::stderr(), "{} for the tests, once in this checkout", packages.join(", "));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(place.join("venv")));
    run(Command::new(&interpreter)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages));
    fs::write(made, wanted).expect("written");
    interpreter
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
