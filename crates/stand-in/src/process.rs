//! The incarnation: what the process does beside HTTP, in the order of its life.

use crate::{
    death, handler,
    options::{Delay, Grandchild, HELP, OnPortTaken, OnTerm, Options, Output, Role},
    script, server,
    world::{World, sleep_forever},
};
use nix::{
    sys::signal::{SigSet, Signal},
    unistd,
};
use std::{
    env,
    fs::File,
    io::{self, Write},
    net::TcpListener,
    process::{Command, ExitCode},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

/// The exit code for a command line that cannot be used.
const USAGE: u8 = 64;

/// Lives one incarnation in this process. Returns only when there is nothing to serve: after `--help`, with a script
/// that cannot be read, when the port is taken and `--bind-error-exit` is set, or when a grandchild that served has
/// ended. Otherwise the process ends by a signal or by a fault.
///
/// With `--fork-grandchild` it runs this program again with the same arguments and `--as-grandchild`, so whoever hides
/// it behind a command of his own must pass the rest of the arguments to [`Options::from_args`].
#[must_use]
pub fn run(mut options: Options) -> ExitCode {
    if options.help.is_some() {
        let _ = io::stdout().write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    if let Err(error) = script::apply(&mut options) {
        death::say(&format!("error: {error}"));
        return ExitCode::from(USAGE);
    }
    if options.process.role == Role::Grandchild && options.process.grandchild == Some(Grandchild::OwnSession) {
        let _ = unistd::setsid();
    }
    // Before any thread: they inherit the mask.
    obey_term(&options);
    speak(&options);
    if options.process.role == Role::Leader {
        schedule_end(&options);
        if options.process.grandchild.is_some() {
            return lead();
        }
    }
    wait(options.process.listen_after);
    match server::listen(&options) {
        Ok(listener) => serve(&listener, options),
        Err(error) => port_taken(&options, &error),
    }
}

fn serve(listener: &TcpListener, options: Options) -> ExitCode {
    let identity = &options.identity;
    handler::log(&options, &format!("Starting httpd at {} on port {}...", identity.host, identity.port));
    if let Ok(address) = listener.local_addr() {
        death::say(&format!("listening on {address}"));
    }
    if options.output.close_stdio {
        close_stdio();
    }
    server::serve(listener, &Arc::new(World::new(options)), &AtomicBool::new(false));
    ExitCode::SUCCESS
}

/// The real server's generation thread keeps the process alive after the traceback of its main thread.
fn port_taken(options: &Options, error: &io::Error) -> ExitCode {
    death::say("Traceback (most recent call last):");
    death::say(&format!("OSError: [Errno {}] {error}", error.raw_os_error().unwrap_or_default()));
    match options.process.on_port_taken {
        OnPortTaken::Hang => sleep_forever(),
        OnPortTaken::Exit => ExitCode::FAILURE,
    }
}

fn schedule_end(options: &Options) {
    match options.triggers.after {
        None => {}
        Some(Duration::ZERO) => death::die(options),
        Some(after) => {
            let options = options.clone();
            thread::spawn(move || {
                thread::sleep(after);
                death::die(&options);
            });
        }
    }
}

/// std cannot set a signal handler; a blocked signal is an ignored one as long as nobody waits for it.
fn obey_term(options: &Options) {
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    match options.process.on_term {
        OnTerm::Die => {}
        OnTerm::Ignore => {
            let _ = term.thread_block();
        }
        OnTerm::DieAfter(time) => {
            let _ = term.thread_block();
            let options = options.clone();
            thread::spawn(move || {
                let _ = term.wait();
                thread::sleep(time);
                death::die(&options);
            });
        }
    }
}

/// Serves in a child process that shares this one's pipes, and waits for it.
fn lead() -> ExitCode {
    let spawned = env::current_exe()
        .and_then(|program| Command::new(program).args(env::args_os().skip(1)).arg("--as-grandchild").spawn());
    let code = match spawned {
        Ok(mut grandchild) => grandchild.wait().ok().and_then(|status| status.code()),
        Err(error) => {
            death::say(&format!("error: no grandchild: {error}"));
            None
        }
    };
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn speak(options: &Options) {
    let Output { spew, spew_at_most, one_line, binary, close_stdio: _, print_argv, lines, quiet: _ } = &options.output;
    if *print_argv {
        let words: Vec<String> = env::args_os().map(|word| crate::json::quote(&word.to_string_lossy())).collect();
        death::say(&format!("argv [{}]", words.join(", ")));
        death::say(&format!("cwd {}", env::current_dir().unwrap_or_default().display()));
    }
    for line in lines {
        death::say(line);
    }
    if *binary {
        let bytes: Vec<u8> = (0..=u8::MAX).chain([b'\n']).collect();
        let _ = io::stdout().write_all(&bytes);
        let _ = io::stderr().write_all(&bytes);
    }
    let (spew, one_line, mut left) = (*spew, *one_line, spew_at_most.unwrap_or(u64::MAX));
    if spew || one_line.is_some() {
        // On a thread of its own, as a library that logs from a worker does: a full pipe blocks only it.
        thread::spawn(move || {
            let _ = flood(one_line);
            while spew && left > 0 {
                let Ok(bytes) = spew_lines() else { return };
                left = left.saturating_sub(bytes);
            }
            if spew {
                death::say("spewed");
            }
        });
    }
}

fn flood(one_line: Option<u64>) -> io::Result<()> {
    let mut left = usize::try_from(one_line.unwrap_or(0)).unwrap_or(usize::MAX);
    while left > 0 {
        let piece = left.min(64 << 10);
        io::stdout().write_all(&vec![b'x'; piece])?;
        io::stdout().flush()?;
        left -= piece;
    }
    Ok(())
}

fn spew_lines() -> io::Result<u64> {
    let lines =
        "the stand-in spews this line as fast as its pipe takes it, to see that nobody waits for it\n".repeat(700);
    io::stdout().write_all(lines.as_bytes())?;
    Ok(lines.len() as u64)
}

/// Puts the null device in the place of both, so that the pipes are closed and no later file gets their numbers.
fn close_stdio() {
    let Ok(null) = File::options().write(true).open("/dev/null") else { return };
    let _ = unistd::dup2_stdout(&null);
    let _ = unistd::dup2_stderr(&null);
}

fn wait(delay: Option<Delay>) {
    match delay {
        None => {}
        Some(Delay::For(time)) => thread::sleep(time),
        Some(Delay::Forever) => sleep_forever(),
    }
}
