//! Programs that stand where mlx-tree could stand, for comparison: started, waited for, and ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::time::sleep;

use super::send;

/// How long one may take to start. LiteLLM imports for a while.
const STARTING: Duration = Duration::from_secs(180);

/// A proxy, with its directory. It is ended by drop.
pub struct Rival {
    process: Child,
    home: TempDir,
    pub port: u16,
}

// === impl Rival ===

impl Rival {
    /// Starts `command` in `home`, and waits until it answers at this path of its port.
    pub async fn start(mut command: Command, home: TempDir, port: u16, health: &str) -> Self {
        let log = File::create(home.path().join("log")).expect("a log");
        command.current_dir(home.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("cloned")).stderr(log);
        let mut rival = Self { process: command.spawn().expect("it starts"), home, port };
        let url = format!("http://127.0.0.1:{port}{health}");
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let start = Instant::now();
        while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            let ended = rival.process.try_wait().expect("our own child");
            assert!(ended.is_none() && start.elapsed() < STARTING, "{ended:?}: {}", rival.log());
            sleep(Duration::from_millis(100)).await;
        }
        rival
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // Its own processes end with it only if it is asked.
        if self.process.try_wait().is_ok_and(|end| end.is_none()) {
            send(self.process.id(), Signal::SIGTERM);
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if self.process.try_wait().is_ok_and(|end| end.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Places that nginx would otherwise want below `/var`.
pub fn temporary(home: &Path) -> String {
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {}/{what};", home.display()))
        .join(" ")
}

/// A program by its path, or by its name in the usual places.
pub fn program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.exists());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.map(|place| place.join(name)).find(|path| path.exists())
}
