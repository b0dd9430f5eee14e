//! The stand-in as a process: how it comes up, is asked to end, and ends by itself.

#[path = "common/client.rs"]
mod common;

use common::{CHAT, LONG, StandIn, chat, get, open, post, raw, read_for, request};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    thread,
    time::{Duration, Instant},
};

const MOMENT: Duration = Duration::from_millis(300);

fn signal(process: &StandIn, signal: Signal) {
    let pid = i32::try_from(process.child.id()).unwrap();
    kill(Pid::from_raw(pid), signal).unwrap();
}

fn answers(address: SocketAddr) -> bool {
    get(address, "/health").is_ok_and(|answer| answer.starts_with("HTTP/1.0 200 "))
}

#[test]
fn it_ends_at_once_with_the_code_it_is_told() {
    let mut process = StandIn::start("--port 0 --exit-after 0 --code 3");
    assert_eq!(process.wait().code(), Some(3));
    let mut process = StandIn::start("--port 0 --exit-after 0 --code 0");
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn it_ends_by_each_signal_it_is_told_and_says_its_last_words() {
    for (flag, number) in [("--abort", 6), ("--segv", 11), ("--oom", 9)] {
        let mut process = StandIn::start_with(&["--port", "0", flag, "--last-words", "so it goes"]);
        assert_eq!(process.wait().signal(), Some(number), "{flag}");
        assert!(process.line_with("so it goes").starts_with("so it goes"));
    }
}

#[test]
fn sigterm_ends_it_at_once() {
    let mut process = StandIn::start("--port 0");
    let address = process.address();
    assert!(answers(address));
    signal(&process, Signal::SIGTERM);
    assert_eq!(process.wait().signal(), Some(15));
}

#[test]
fn sigterm_can_be_ignored() {
    let mut process = StandIn::start("--port 0 --ignore-term");
    let address = process.address();
    signal(&process, Signal::SIGTERM);
    thread::sleep(MOMENT);
    assert!(process.is_running() && answers(address));
}

#[test]
fn sigterm_can_end_it_after_a_while_with_a_code() {
    let mut process = StandIn::start("--port 0 --die-on-term 200ms --code 7");
    process.address();
    let asked = Instant::now();
    signal(&process, Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(7));
    assert!(asked.elapsed() >= Duration::from_millis(190));
}

#[test]
fn with_its_port_taken_it_stays_and_listens_to_nothing_unless_it_is_told_to_end() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let mut hanging = StandIn::start(&format!("--port {port}"));
    hanging.line_with("OSError: [Errno");
    let mut ending = StandIn::start(&format!("--port {port} --bind-error-exit"));
    assert_eq!(ending.wait().code(), Some(1));
    assert!(hanging.is_running());
}

#[test]
fn it_dies_in_the_middle_of_an_answer_or_before_it() {
    let stream = request(CHAT, &chat("hello", ", \"stream\": true"));
    let answer = |flags: &str| {
        let mut process = StandIn::start(&format!("--port 0 --code 9 {flags}"));
        let address = process.address();
        let answer = raw(address, &stream).unwrap_or_default();
        assert_eq!(process.wait().code(), Some(9), "{flags}");
        (answer.matches("data: ").count(), answer.len())
    };
    assert_eq!(answer("--die-on-request 1 --before-bytes"), (0, 0));
    assert_eq!(answer("--die-on-request 1").0, 1);
    assert_eq!(answer("--die-after-tokens 5").0, 5);
    assert_eq!(answer("--die-on-substring hello").1, 0);
    assert_eq!(answer("--die-on-request 1 --die-after-tokens 3").0, 3);
}

#[test]
fn it_dies_at_the_request_that_is_meant_and_not_before() {
    let mut process = StandIn::start("--port 0 --die-on-request 3 --before-bytes");
    let address = process.address();
    let body = chat("hello", "");
    assert!([(); 2].iter().all(|()| post(address, CHAT, &body).unwrap().starts_with("HTTP/1.0 200 ")));
    assert!(post(address, CHAT, &body).unwrap_or_default().is_empty());
    assert_eq!(process.wait().code(), Some(1));
}

#[test]
fn it_dies_when_more_requests_are_in_flight_than_it_bears() {
    let mut process = StandIn::start("--port 0 --crash-above 2 --segv --tps 5");
    let address = process.address();
    let _open: Vec<TcpStream> = (0..3).map(|_| open(address, &request(CHAT, &chat("x", ""))).unwrap()).collect();
    assert_eq!(process.wait().signal(), Some(11));
}

#[test]
fn the_bugs_of_the_real_one_are_there_when_asked_for() {
    let mut process = StandIn::start("--port 0 --real-bugs --health-when-dead 503");
    let address = process.address();
    let dead = post(address, "/v1/completions", "{\"prompt\": \"hi\", \"stop\": [1]}").unwrap();
    assert!(dead.contains("generation thread died"), "{dead}");
    assert!(get(address, "/health").unwrap().starts_with("HTTP/1.0 503 "));
    let bias = "{\"prompt\": \"hi\", \"max_tokens\": 4, \"logit_bias\": {\"999999999\": 5}}";
    assert_eq!(post(address, "/v1/completions", bias).unwrap_or_default(), "");
    assert_eq!(process.wait().signal(), Some(11));
}

#[test]
fn a_script_gives_each_launch_its_own_flags() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    fs::write(&script, "# two crashes, then well\n--exit-after 0 --code 4\n--exit-after 0 --segv\nok\n").unwrap();
    let start = || StandIn::start_with(&["--port", "0", "--script", script.to_str().unwrap()]);
    assert_eq!(start().wait().code(), Some(4));
    assert_eq!(start().wait().signal(), Some(11));
    for _ in 0..2 {
        let mut process = start();
        let address = process.address();
        assert!(answers(address));
    }
}

#[test]
fn a_control_request_ends_it() {
    let mut process = StandIn::start("--port 0 --control");
    let address = process.address();
    assert!(post(address, "/_fake/exit?code=5", "").unwrap().ends_with("{}"));
    assert_eq!(process.wait().code(), Some(5));
}

#[test]
fn a_grandchild_keeps_the_port_and_the_pipes_when_its_parent_is_gone() {
    for flags in ["--fork-grandchild", "--setsid"] {
        let mut process = StandIn::start(&format!("--port 0 --control {flags}"));
        let address = process.address();
        process.child.kill().unwrap();
        process.wait();
        assert!(answers(address), "{flags}");
        let mut stdout = process.stdout.take().unwrap();
        // The pipe ends with the grandchild, not with the child.
        post(address, "/_fake/oom", "").unwrap();
        assert_eq!(stdout.read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn a_parent_told_to_end_leaves_its_grandchild_serving() {
    let mut process = StandIn::start("--port 0 --control --fork-grandchild --exit-after 500ms --code 6");
    let address = process.address();
    assert_eq!(process.wait().code(), Some(6));
    assert!(answers(address));
    post(address, "/_fake/exit", "").unwrap();
}

#[test]
fn it_floods_its_output_and_serves_all_the_while() {
    let mut process = StandIn::start("--port 0 --spew --one-line 100000");
    let address = process.address();
    // Nobody has read stdout, so its pipe is full.
    assert!(answers(address));
    let mut stdout = process.stdout.take().unwrap();
    let mut first = vec![0; 100_000];
    stdout.read_exact(&mut first).unwrap();
    assert!(first.iter().all(|byte| *byte == b'x'));
    let mut next = vec![0; 1 << 20];
    stdout.read_exact(&mut next).unwrap();
    assert!(next.starts_with(b"the stand-in spews"));
}

#[test]
fn it_serves_with_its_output_closed() {
    let mut process = StandIn::start("--port 0 --close-stdio");
    let address = process.address();
    let mut rest = Vec::new();
    process.stderr.read_to_end(&mut rest).unwrap();
    process.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    assert!(answers(address) && process.is_running());
}

#[test]
fn it_tells_how_it_was_started() {
    let mut process = StandIn::start_with(&["--port", "0", "--print-argv", "--stderr", "No module named mlx_lm"]);
    assert!(process.line_with("argv [").contains("\"--print-argv\""));
    process.line_with("cwd /");
    process.line_with("No module named mlx_lm");
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_64() {
    let mut process = StandIn::start("--prot 1");
    assert_eq!(process.wait().code(), Some(64));
    process.line_with("error: unknown flag --prot");
    let mut process = StandIn::start("--script /nowhere/at/all");
    assert_eq!(process.wait().code(), Some(64));
}

#[test]
fn it_listens_only_after_its_imports() {
    let mut process = StandIn::start("--port 0 --listen-after forever --stderr importing");
    process.line_with("importing");
    thread::sleep(MOMENT);
    assert!(process.is_running());
    let mut process = StandIn::start("--port 0 --listen-after 200ms");
    let address = process.address();
    let mut connection = open(address, "GET /health HTTP/1.1\r\n\r\n").unwrap();
    assert!(read_for(&mut connection, LONG).starts_with("HTTP/1.0 200 "));
}
