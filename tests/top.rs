//! `mlx-tree top` in a real terminal: what it shows, and that the terminal is afterwards as it was before.

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mlx_tree_api::Phase;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use support::{PATIENCE, PROGRAM, Setup, send};

/// A terminal with a program in it.
struct Terminal {
    child: Child,
    keyboard: File,
    line: File,
    screen: Arc<Mutex<vt100::Parser>>,
    before: LocalFlags,
}

impl Terminal {
    /// Runs `words` as the leader of a session that has this terminal.
    fn run(words: &[&str], home: &Path, columns: u16, rows: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).expect("a terminal");
        let (master, line) = (File::from(pair.master), File::from(pair.slave));
        let end = || line.try_clone().expect("another descriptor");
        let mut command = Command::new("setsid");
        command.arg("-c").args(words).env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm-256color");
        command.env("HOME", home).env("LC_ALL", "C.UTF-8").env("MLX_TREE__STATE_DIR", home.join("state"));
        let before = tcgetattr(&line).expect("a terminal").local_flags;
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid is there");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let (mut output, drawn) = (master.try_clone().expect("another descriptor"), Arc::clone(&screen));
        // It ends with the terminal.
        std::thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(read @ 1..) = output.read(&mut chunk) {
                drawn.lock().expect("not poisoned").process(&chunk[..read]);
            }
        });
        Self { child, keyboard: master, line, screen, before }
    }

    fn top(home: &Path, columns: u16, rows: u16) -> Self {
        Self::run(&[PROGRAM, "top"], home, columns, rows)
    }

    fn contents(&self) -> String {
        self.screen.lock().expect("not poisoned").screen().contents()
    }

    async fn shows(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let contents = self.contents();
            if wanted(&contents) {
                return contents;
            }
            assert!(start.elapsed() < PATIENCE, "never {what}; the screen:\n{contents}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn has(&self, words: &[&str]) -> String {
        self.shows(&format!("{words:?}"), |screen| words.iter().all(|word| screen.contains(word))).await
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal is there");
    }

    /// Changes its size, as whoever drags the corner of a window does.
    fn resize(&self, columns: u16, rows: u16) {
        self.screen.lock().expect("not poisoned").screen_mut().set_size(rows, columns);
        let line = self.line.try_clone().expect("another descriptor");
        let words = ["cols", &columns.to_string(), "rows", &rows.to_string()].map(str::to_owned);
        assert!(Command::new("stty").args(words).stdin(line).status().expect("stty is there").success());
    }

    async fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end; the screen:\n{}", self.contents());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The terminal is as it was: it echoes, reads lines, shows the cursor and what was on it.
    async fn is_given_back(&self) {
        let flags = tcgetattr(&self.line).expect("a terminal").local_flags;
        assert_eq!(flags, self.before);
        let start = Instant::now();
        loop {
            {
                let parser = self.screen.lock().expect("not poisoned");
                let screen = parser.screen();
                let mouse = screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
                if !screen.alternate_screen() && !screen.hide_cursor() && !mouse {
                    return;
                }
            }
            assert!(start.elapsed() < PATIENCE, "the screen is not given back:\n{}", self.contents());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_kill_is_seen_and_so_are_a_resize_and_a_restart_of_mlx_tree() {
    let tree = Setup::demo(&[]).set("restart.backoff_initial", "2s").set("restart.backoff_max", "2s").start();
    tree.ready(1).await;
    let mut top = Terminal::top(tree.home(), 110, 30);
    top.has(&["ready", "root supervisor", "├─ ● server", "└─ ● gateway", "memory", "MLX API Server is up"]).await;

    send(tree.server().await, Signal::SIGKILL);
    top.has(&["next attempt in", "backoff", "last exits", "SIGKILL", "Server went down (signal: 9)"]).await;
    tree.ready(2).await;
    top.shows("ready again", |screen| screen.contains("epoch 2") && !screen.contains("backoff ")).await;

    top.resize(39, 9);
    top.has(&["39×9 is too small"]).await;
    top.resize(40, 10);
    top.has(&["root supervisor", "ready"]).await;
    top.resize(80, 24);
    // A key that comes in the same moment as a resize is heard with the next one only: crossterm looks at one of the two.
    top.has(&["R reset"]).await;
    top.types("\t");
    top.has(&["Monitoring loop started"]).await;
    top.types("1");

    // A verb, asked for and confirmed.
    top.types("S");
    top.has(&["stop the server at once? [y/N]"]).await;
    top.types("y");
    tree.until("stopped", |it| it.phase == Phase::Stopped).await;
    top.has(&["stopped", "stop: the server is stopped"]).await;

    // Another mlx-tree has another address and another token.
    let next = Setup::demo(&[]).in_home_of(&tree);
    tree.stop().await;
    top.has(&["NOT CONNECTED"]).await;
    let tree = next.start();
    tree.ready(1).await;
    let pid = format!("pid {}", tree.pid());
    top.shows("the next mlx-tree", |it| it.contains(&pid) && it.contains(" ready ") && it.contains("MLX API Server"))
        .await;
    assert!(!top.contents().contains("NOT CONNECTED"));

    top.types("q");
    assert!(top.ended().await.success());
    top.is_given_back().await;
    tree.stop().await;
}

#[tokio::test]
async fn whatever_ends_it_the_terminal_is_as_it_was() {
    let home = tempfile::tempdir().expect("a directory");
    let ends: [(Option<Signal>, &str, i32); 5] = [
        (None, "q", 0),
        (None, "\u{3}", 130),
        (Some(Signal::SIGINT), "", 130),
        (Some(Signal::SIGTERM), "", 143),
        (Some(Signal::SIGHUP), "", 143),
    ];
    for (signal, keys, code) in ends {
        let mut top = Terminal::top(home.path(), 80, 24);
        top.has(&["not connected", "no mlx-tree is running here"]).await;
        top.types(keys);
        if let Some(signal) = signal {
            send(top.child.id(), signal);
        }
        let status = top.ended().await;
        assert_eq!((status.code(), status.signal()), (Some(code), None), "{signal:?} {keys:?}");
        top.is_given_back().await;
    }
}

#[tokio::test]
async fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_back() {
    let home = tempfile::tempdir().expect("a directory");
    let script = format!("{PROGRAM} top --no-mouse; echo stopped; stty -a; read line; fg; echo over");
    let mut shell = Terminal::run(&["bash", "-m", "-c", &script], home.path(), 80, 24);
    shell.has(&["not connected"]).await;
    shell.types("\u{1a}");
    let told = shell.has(&["stopped", " icanon", " echo "]).await;
    assert!(!told.contains("not connected"), "{told}");
    shell.types("\n");
    shell.has(&["not connected", "q quit"]).await;
    shell.types("q");
    shell.has(&["over"]).await;
    assert!(shell.ended().await.success());
    shell.is_given_back().await;
}

#[test]
fn without_a_terminal_it_names_the_command_that_needs_none() {
    let (status, stdout, stderr) = Setup::new(&["top"]).run();
    assert_eq!((status.code(), stdout.as_str()), (Some(64), ""), "{stderr}");
    assert!(stderr.contains("error: this is no terminal") && stderr.contains("`mlx-tree status`"), "{stderr}");
}
