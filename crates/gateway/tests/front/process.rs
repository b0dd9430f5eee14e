//! What needs a process of its own: a limit on descriptors, and a look at its memory.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::stand::{Client, Stand};

const GET: &str = "GET /health HTTP/1.1\r\nHost: HOST\r\n\r\n";

/// A front in another process, which ends when its standard input does.
struct Elsewhere {
    child: Child,
    _lifeline: ChildStdin,
    address: SocketAddr,
}

impl Elsewhere {
    /// Starts one after the shell has carried out `preparation`.
    fn start(preparation: &str) -> Self {
        let script =
            format!("{preparation}exec \"$0\" --exact --ignored --nocapture process::a_front_for_the_tests_here");
        let itself = std::env::current_exe().expect("this test");
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg(itself).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let lifeline = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut lines = lines.map(|line| line.expect("text"));
        let address = lines.find_map(|line| line.split_once("address ")?.1.parse().ok()).expect("an address");
        Self { child, _lifeline: lifeline, address }
    }

    /// Its resident memory in KiB.
    fn memory(&self) -> u64 {
        let output = Command::new("ps").args(["-o", "rss=", "-p", &self.child.id().to_string()]).output();
        String::from_utf8(output.expect("ps").stdout).expect("text").trim().parse().expect("a number")
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "it is what the tests here start"]
fn a_front_for_the_tests_here() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let stand = runtime.block_on(Stand::new());
    writeln!(io::stdout(), "\naddress {}", stand.address).expect("said");
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

/// F30: the descriptors run out long before the connections do.
#[tokio::test]
async fn a_front_without_descriptors_still_answers() {
    let front = Elsewhere::start("ulimit -n 40; ");
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(Client::connect(front.address).await);
    }
    for _ in 0..3 {
        let mut client = Client::connect(front.address).await;
        client.send(GET).await;
        assert_eq!(client.answer().await.status, 200);
    }
    idle[0].assert_closed().await;
}

/// S14.
#[tokio::test]
async fn clients_that_never_read_cost_little_memory() {
    let front = Elsewhere::start("");
    let mut client = Client::connect(front.address).await;
    client.send(GET).await;
    assert_eq!(client.answer().await.status, 200);
    let before = front.memory();
    let mut clients = Vec::new();
    for _ in 0..32 {
        let mut client = Client::connect(front.address).await;
        client.send("GET /stream HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
        client.until("xxx").await;
        clients.push(client);
    }
    // Long enough to fill whatever would be filled: a sender without a bound makes gigabytes in this time.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let grown = front.memory().saturating_sub(before);
        assert!(grown < 20 << 10, "{grown} KiB");
    }
}
