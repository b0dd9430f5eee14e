//! The signals that end the program.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::cli::report::{Code, Report};

/// Who wants the program to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Interrupt,
    Terminate,
    Asked,
}

impl End {
    pub(super) const fn code(self) -> Code {
        match self {
            Self::Interrupt => Code::Interrupted,
            Self::Terminate | Self::Asked => Code::Ok,
        }
    }

    pub(super) const fn second_code(self) -> Code {
        match self {
            Self::Interrupt => Code::Interrupted,
            Self::Terminate | Self::Asked => Code::Terminated,
        }
    }
}

/// The signals that end the program.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Whether there was a terminal at the start. When it hangs up, its descriptor is no terminal any more.
    terminal: bool,
    /// Told when the configuration is to be read again.
    again: Arc<Notify>,
}

// === impl Signals ===

impl Signals {
    pub(super) fn listen() -> Result<Self, Report> {
        let listen = |kind| signal(kind).map_err(|error| Report::new(Code::Bug, error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            terminal: io::stdin().is_terminal(),
            again: Arc::default(),
        })
    }

    /// Resolves for each "read your configuration again"; several that nobody has waited for are one.
    pub(super) fn again(&self) -> Arc<Notify> {
        Arc::clone(&self.again)
    }

    pub(super) async fn next(&mut self) -> End {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return End::Interrupt,
                _ = self.terminate.recv() => return End::Terminate,
                _ = self.hangup.recv() => {
                    // A terminal that is gone means stop. Under an init system it means "read your configuration again",
                    // and dying of it would be the wrong answer.
                    if self.terminal {
                        return End::Terminate;
                    }
                    self.again.notify_one();
                }
            }
        }
    }
}
