//! A panic leaves the terminal as it was, and its message on the ordinary screen.

use std::fs::File;
use std::io::Read as _;
use std::process::Command;

use mlx_tree_top::{Pointer, Screen};
use nix::pty::openpty;
use nix::sys::termios::tcgetattr;

#[test]
fn the_terminal_is_given_back_before_a_panic_is_told() {
    let pair = openpty(None, None).expect("a terminal");
    let (mut master, line) = (File::from(pair.master), File::from(pair.slave));
    let before = tcgetattr(&line).expect("a terminal").local_flags;
    let end = || line.try_clone().expect("another descriptor");
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        // It ends with the last who has the terminal.
        let _ = master.read_to_end(&mut seen);
        String::from_utf8_lossy(&seen).into_owned()
    });
    let status = Command::new("setsid")
        .arg("-c")
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "takes_the_terminal_and_panics", "--ignored", "--nocapture", "--test-threads=1"])
        .env("RUST_BACKTRACE", "0")
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .status();
    assert!(!status.expect("setsid is there").success());
    assert_eq!(tcgetattr(&line).expect("a terminal").local_flags, before);
    drop(line);
    let seen = reader.join().expect("it reads");
    let at = |what: &str| seen.find(what).unwrap_or_else(|| panic!("{what:?} is missing: {seen:?}"));
    assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l"), "{seen:?}");
    assert!(at("\u{1b}[?1049l") < at("on purpose"), "{seen:?}");
    assert!(at("\u{1b}[?25h") < at("on purpose"), "{seen:?}");
}

#[test]
#[ignore = "the process of another test"]
fn takes_the_terminal_and_panics() {
    let _screen = Screen::take(Pointer::On).expect("a terminal");
    panic!("on purpose");
}
