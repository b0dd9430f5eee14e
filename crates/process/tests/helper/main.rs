//! A process with bad habits: what the tests of this crate start, stop and kill.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what is tested")]
#![allow(clippy::zombie_processes, reason = "to leave processes behind is its very habit")]
#![allow(unsafe_code, reason = "handlers and setsid between fork and exec; only in tests")]

mod describe;
mod flood;
mod supervise;

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction, signal};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["sleep"] => sleep(),
        ["exit", code] => return ExitCode::from(code.parse::<u8>().expect("a code")),
        ["abort"] => {
            eprintln!("about to abort");
            std::process::abort();
        }
        ["ignore-term"] => {
            ignore(Signal::SIGTERM);
            sleep();
        }
        ["end-on-term", code] => {
            end_on_term();
            say("ready");
            wait_for_term();
            return ExitCode::from(code.parse::<u8>().expect("a code"));
        }
        ["stop-self"] => {
            say("ready");
            raise(Signal::SIGSTOP).expect("stops");
            sleep();
        }
        ["close-stdio"] => {
            say("ready");
            let _ = (nix::unistd::close(1), nix::unistd::close(2));
            forever();
        }
        // A worker in the same group, holding the pipes; ours ends, or waits for it.
        ["worker", mode @ ("stay" | "leave")] => {
            let worker = again(&["ignore-term"]);
            println!("worker {}", worker.id());
            stay_or_leave(mode);
        }
        // A worker that leaves the group for a session of its own: with its mark, its lock, both, neither.
        ["escape", keep @ ("mark" | "lock" | "both" | "nothing"), mode @ ("stay" | "leave")] => {
            let mut worker = Command::new(std::env::current_exe().expect("our path"));
            worker.arg("ignore-term").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if matches!(*keep, "lock" | "nothing") {
                worker.env_clear();
            }
            let close = matches!(*keep, "mark" | "nothing");
            // SAFETY: two plain system calls between fork and exec.
            unsafe {
                worker.pre_exec(move || {
                    nix::unistd::setsid()?;
                    if close {
                        for fd in 3..64 {
                            let _ = nix::unistd::close(fd);
                        }
                    }
                    Ok(())
                });
            }
            let worker = worker.spawn().expect("a worker");
            println!("worker {}", worker.id());
            stay_or_leave(mode);
        }
        // A worker in a session and with a parent of its own (the one in between ends at once), and the port.
        ["escape-to-port"] => {
            let mut between = Command::new(std::env::current_exe().expect("our path"));
            between.arg("start-port-worker");
            // SAFETY: a plain system call between fork and exec.
            unsafe {
                between.pre_exec(|| {
                    nix::unistd::setsid()?;
                    Ok(())
                });
            }
            between.spawn().expect("ourselves again").wait().expect("waits");
            forever();
        }
        ["start-port-worker"] => drop(again(&["hold-port", "127.0.0.1:0"])),
        // A worker that has the port when its parent is gone.
        ["port-worker"] => {
            let mut worker = again(&["hold-port", "127.0.0.1:0"]);
            worker.wait().expect("waits");
        }
        ["hold-port", addr] => {
            let listener = TcpListener::bind(addr).expect("a free port");
            say(&format!("port {} {}", listener.local_addr().expect("its address").port(), std::process::id()));
            for connection in listener.incoming() {
                drop(connection);
            }
        }
        ["echo", text @ ..] => {
            println!("{}", text.join(" "));
            eprintln!("to stderr: {}", text.join(" "));
        }
        ["flood"] => flood::run(),
        ["describe"] => describe::run(),
        ["guard"] => return ExitCode::from(mlx_tree_process::guard::guard_main()),
        ["supervise", dir, server @ ..] => supervise::run(dir, server),
        other => panic!("unknown habit {other:?}"),
    }
    ExitCode::SUCCESS
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("a reader");
}

fn sleep() {
    say("ready");
    forever();
}

fn forever() {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

fn stay_or_leave(mode: &str) {
    std::io::stdout().flush().expect("a reader");
    if mode == "stay" {
        forever();
    }
}

fn again(args: &[&str]) -> Child {
    Command::new(std::env::current_exe().expect("our path")).args(args).spawn().expect("ourselves again")
}

fn ignore(number: Signal) {
    // SAFETY: "ignore" runs no code.
    unsafe { signal(number, SigHandler::SigIgn) }.expect("a valid signal");
}

fn end_on_term() {
    extern "C" fn nothing(_: i32) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGTERM, &action) }.expect("a valid signal");
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTERM);
    blocked.thread_block().expect("a mask");
}

fn wait_for_term() {
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGTERM);
    wanted.wait().expect("a signal");
}
