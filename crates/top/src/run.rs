//! The shell: waits for something to happen, hands it to the model, draws, and does what the model wants.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mlx_tree_control::{Client, Verb};
use nix::sys::signal::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::feed::feed;
use crate::input::{self, Input};
use crate::model::{Effect, Message, Model, Options};
use crate::screen::Screen;
use crate::view::view;

/// Countdowns count in seconds.
const TICK: Duration = Duration::from_secs(1);
/// However much happens, it is drawn no more often than this.
const FRAME: Duration = Duration::from_millis(40);
/// So many messages may wait.
const WAITING: usize = 256;

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Somebody has left.
    Quit,
    /// Ctrl-C, or SIGINT.
    Interrupted,
    /// SIGTERM, or the terminal is gone.
    Terminated,
}

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// The terminal cannot be used.
    #[error("the terminal cannot be used")]
    Terminal(#[from] io::Error),
    /// A bug.
    #[error("a part of the screen has failed")]
    Bug(#[from] JoinError),
}

/// What comes from outside beside keys.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    resumed: Signal,
}

/// What woke the loop.
enum Woken {
    Message(Message),
    End(Ended),
    Resumed,
    Draw,
}

/// Shows the mlx-tree of `state_dir` until somebody leaves, whether or not it runs.
///
/// # Errors
/// When the terminal cannot be used.
pub async fn run(state_dir: PathBuf, options: Options) -> Result<Ended, TopError> {
    let mut signals = Signals::listen()?;
    let (sender, mut messages) = mpsc::channel(WAITING);
    let feeding = {
        let (state_dir, sender) = (state_dir.clone(), sender.clone());
        async move { feed(&state_dir, &sender).await }
    };
    let mut feeder = tokio::spawn(feeding);
    let mut screen = Screen::take(options.pointer)?;
    let mut keys = input::listen()?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut model = Model::new(options);
    let mut drawn = Instant::now();
    let mut stale = true;
    let ended = loop {
        let woken = tokio::select! {
            biased;
            end = signals.next() => end,
            input = keys.recv() => match input {
                Some(Input::Message(message)) => Woken::Message(message),
                Some(Input::Gone) | None => Woken::End(Ended::Terminated),
            },
            () = sleep_until((drawn + FRAME).into()), if stale => Woken::Draw,
            Some(message) = messages.recv() => Woken::Message(message),
            _ = ticks.tick() => Woken::Message(Message::Tick),
            failed = &mut feeder => {
                failed?;
                Woken::End(Ended::Quit)
            }
        };
        match woken {
            Woken::Message(message) => match model.update(message, Instant::now()) {
                Effect::Draw => stale = true,
                Effect::Quit => break Ended::Quit,
                Effect::Interrupt => break Ended::Interrupted,
                Effect::Suspend => {
                    screen.suspend();
                    screen.retake()?;
                    stale = true;
                }
                Effect::Perform(verb) => {
                    tokio::spawn(perform(state_dir.clone(), verb, sender.clone()));
                    stale = true;
                }
            },
            Woken::End(ended) => break ended,
            Woken::Resumed => {
                screen.retake()?;
                stale = true;
            }
            Woken::Draw => {
                screen.draw(|frame| view(&model, Instant::now(), frame))?;
                drawn = Instant::now();
                stale = false;
            }
        }
    };
    feeder.abort();
    Ok(ended)
}

async fn perform(state_dir: PathBuf, verb: Verb, out: mpsc::Sender<Message>) {
    let outcome = match Client::from_state_dir(&state_dir) {
        Ok(client) => client.perform(verb).await,
        Err(error) => Err(error),
    };
    let outcome = outcome.map(|done| done.message).map_err(|error| error.to_string());
    let _ = out.send(Message::Performed(verb, outcome)).await;
}

// === impl Signals ===

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            resumed: signal(SignalKind::from_raw(Number::SIGCONT as i32))?,
        })
    }

    async fn next(&mut self) -> Woken {
        tokio::select! {
            _ = self.interrupt.recv() => Woken::End(Ended::Interrupted),
            _ = self.terminate.recv() => Woken::End(Ended::Terminated),
            _ = self.hangup.recv() => Woken::End(Ended::Terminated),
            _ = self.resumed.recv() => Woken::Resumed,
        }
    }
}
