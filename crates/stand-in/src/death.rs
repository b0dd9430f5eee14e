//! How this process ends itself.

use crate::options::{Death, Options};
use nix::sys::signal::{self, Signal};
use std::io::Write;

/// Says the last words and ends the process in the manner that the options ask for.
pub(crate) fn die(options: &Options) -> ! {
    die_by(options, options.triggers.death)
}

pub(crate) fn die_by(options: &Options, death: Death) -> ! {
    for line in &options.triggers.last_words {
        say(line);
    }
    match death {
        Death::Exit => {}
        Death::Abort => {
            say(
                "-[_MTLCommandBuffer addCompletedHandler:]:1011: failed assertion `Completed handler provided after commit call'",
            );
            std::process::abort();
        }
        Death::Segv => end_by(Signal::SIGSEGV),
        Death::Kill => end_by(Signal::SIGKILL),
    }
    std::process::exit(options.triggers.code.into());
}

/// A line on stderr; a closed pipe is nobody's concern here.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn end_by(signal: Signal) {
    // SIGSEGV has a handler of std's that tells stack overflows; for any other address it restores the default and
    // returns, so the second raise ends the process.
    for _ in 0..2 {
        let _ = signal::raise(signal);
    }
}
