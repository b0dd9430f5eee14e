//! What the tests of the stand-in share: a raw client, and the stand-in as a process of its own.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes; a test that waits so long has failed.
pub const LONG: Duration = Duration::from_secs(20);

pub const CHAT: &str = "/v1/chat/completions";
pub const TEXT: &str = "/v1/completions";

/// Sends these bytes and reads to the end of the connection.
pub fn raw(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut connection = open(address, request)?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sends these bytes.
pub fn open(address: SocketAddr, request: &str) -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(LONG))?;
    connection.write_all(request.as_bytes())?;
    Ok(connection)
}

pub fn get(address: SocketAddr, target: &str) -> io::Result<String> {
    raw(address, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

pub fn post(address: SocketAddr, target: &str, body: &str) -> io::Result<String> {
    raw(address, &request(target, body))
}

pub fn request(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The body of a chat of one message, with more fields.
pub fn chat(text: &str, more: &str) -> String {
    format!("{{\"messages\": [{{\"role\": \"user\", \"content\": \"{text}\"}}]{more}}}")
}

/// Reads what comes within this time.
pub fn read_for(connection: &mut TcpStream, time: Duration) -> String {
    let deadline = Instant::now() + time;
    let mut text = String::new();
    let mut chunk = [0; 4096];
    while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        connection.set_read_timeout(Some(left)).expect("a timeout");
        match connection.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&chunk[..read])),
        }
    }
    text
}

/// The stand-in as a child, ended when dropped.
pub struct StandIn {
    pub child: Child,
    pub stdout: Option<ChildStdout>,
    pub stderr: BufReader<ChildStderr>,
}

impl StandIn {
    pub fn start(flags: &str) -> Self {
        Self::start_with(&flags.split_whitespace().collect::<Vec<_>>())
    }

    pub fn start_with(flags: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the stand-in starts");
        let stdout = child.stdout.take();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr }
    }

    /// Reads stderr up to the line that tells the address.
    pub fn address(&mut self) -> SocketAddr {
        let line = self.line_with("listening on ");
        let (_, address) = line.split_once("listening on ").expect("the words are there");
        address.trim().parse().expect("an address")
    }

    /// Reads stderr up to a line that holds this.
    pub fn line_with(&mut self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).expect("stderr is text");
            assert!(read > 0, "no {text:?} on stderr, only {seen:?}");
            if line.contains(text) {
                return line;
            }
            seen.push_str(&line);
        }
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "the stand-in did not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo builds a package's examples with its tests, beside the directory that this test runs from.
fn program() -> PathBuf {
    let test = env::current_exe().expect("a path");
    let program = test.parent().and_then(|deps| deps.parent()).expect("target/…/deps").join("examples/stand_in");
    assert!(program.exists(), "{} is not built: run `cargo build --examples`", program.display());
    program
}
