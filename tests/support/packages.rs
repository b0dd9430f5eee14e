//! Packages from their registries for the tests that want them: installed below the build directory, once for each checkout.

#![allow(dead_code, reason = "a module of several test programs, each of which uses its part")]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The longest that one step of an installation may take. A slow line may need long for 200 MB.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The interpreter of an environment with these packages, each pinned (`ollama==0.6.3`).
pub(crate) fn python(name: &str, packages: &[&str]) -> PathBuf {
    let place = once(name, packages, |place| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(place.join("venv")));
        // What is imported is compiled then. That is less than what is installed.
        run(Command::new(place.join("venv/bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-compile"])
            .args(packages));
    });
    place.join("venv/bin/python")
}

/// A directory in which Node.js finds these packages, each pinned (`openai@7.57.0`).
pub(crate) fn node(name: &str, packages: &[&str]) -> PathBuf {
    once(name, packages, |place| {
        let _ = fs::remove_dir_all(place.join("node_modules"));
        // Without one of its own, npm would take the package.json of a directory above.
        fs::write(place.join("package.json"), r#"{"private": true}"#).expect("written");
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--loglevel=error"])
            .args(packages)
            .current_dir(place));
    })
}

/// A directory that `make` has filled with these packages. Of many tests and processes that ask at once, one makes it and the
/// others wait.
fn once(name: &str, packages: &[&str], make: impl FnOnce(&Path)) -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_mlx-tree")).ancestors().nth(2).expect("it is in target/<profile>/");
    let place = target.join(name);
    fs::create_dir_all(&place).expect("a directory");
    let lock = File::create(place.join("lock")).expect("a lock file");
    lock.lock().expect("it is free at some time");
    let (made, wanted) = (place.join("made-of"), packages.join("\n"));
    if !fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
        let _ = fs::remove_file(&made);
        // Past the harness, which would hold it back until the test is over.
        let _ = writeln!(io::stderr(), "{} for the tests, once in this checkout", packages.join(", "));
        make(&place);
        fs::write(made, wanted).expect("written");
    }
    place
}

fn run(command: &mut Command) {
    let errors = tempfile::tempfile().expect("a file");
    let output = errors.try_clone().expect("cloned");
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn();
    let mut process = process.unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().expect("our own child") {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = process.kill();
            let _ = process.wait();
            panic!("{command:?} has not ended after {PATIENCE:?}: {}", said(errors));
        }
        sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{command:?} ended with {status}: {}", said(errors));
}

fn said(mut file: File) -> String {
    use std::io::{Read as _, Seek as _};
    let mut text = Vec::new();
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}
