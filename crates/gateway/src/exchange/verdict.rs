//! What becomes of a request whose attempt has failed: a pure decision.
//!
//! ```text
//!               nothing sent (L0)   opened (L1)     begun (L2)
//! died, 1st     replay              replay          continue, if greedy; else the error, in the stream
//! died, 2nd     quarantine          quarantine      quarantine
//! ended         as the first time, however often: it was told to go
//! else          the error           in the stream   in the stream
//! ```

use std::time::Duration;

use crate::{Code, Refusal};

/// How far the client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// L0: the client has seen nothing.
    Nothing,
    /// L1: the client has seen a status and comments, nothing of an answer.
    Opened,
    /// L2: the client has seen a part of an answer.
    Begun,
}

/// Why an attempt has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The server went down under it.
    Died,
    /// The server was told to go under it. That is nobody's fault.
    Ended,
    /// mlx-tree is ending, and waits no longer.
    Ending,
    /// mlx-tree has no descriptor for a connection to the server. Nothing was sent.
    Exhausted,
    /// The server is up and its answer is none: it broke off, or makes no sense.
    Bad(String),
    /// The server is up and has said nothing for too long.
    Stalled,
    /// The server says that the request is at fault.
    Rejected {
        /// Its status.
        status: u16,
        /// Its words.
        message: String,
    },
}

/// Whether what the client has seen can be generated a second time, to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// It is greedy, and all of it is still known.
    Yes,
    /// It is not.
    No,
}

/// What the retry budget says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// One more is granted.
    Granted,
    /// There have been too many already.
    Spent,
}

/// What is known of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How far its client has come.
    pub level: Level,
    /// At how many ends of the server it was in flight, the last one included.
    pub deaths: u32,
    /// Whether it could be continued.
    pub repeatable: Repeatable,
}

/// What becomes of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent to the next incarnation; the client has noticed nothing.
    Replay,
    /// It is generated anew and compared with what the client has seen.
    Continue,
    /// It ends with this, and its like is refused from now on.
    Quarantine(Refusal),
    /// It ends with this.
    Fail(Refusal),
}

/// What a service manager needs to start mlx-tree again.
const ENDED_FOR: Duration = Duration::from_secs(5);

/// A request in flight at so many ends of the server is not tried again.
const DEATHS: u32 = 2;

// === impl Standing ===

impl Standing {
    /// Decides. `budget` is asked only when a further attempt would be made.
    #[must_use]
    pub fn judge(self, fault: &Fault, budget: impl FnOnce() -> Budget) -> Verdict {
        match fault {
            Fault::Died if self.deaths >= DEATHS => Verdict::Quarantine(quarantined()),
            Fault::Died | Fault::Ended => match (self.level, self.repeatable) {
                (Level::Nothing | Level::Opened, _) => match budget() {
                    Budget::Granted => Verdict::Replay,
                    Budget::Spent => Verdict::Fail(Refusal::new(
                        Code::BackendCrashed,
                        "the server went down, and too many requests are being replayed already; nothing of the answer \
                         was sent, so the request can be repeated",
                    )),
                },
                (Level::Begun, Repeatable::Yes) => match budget() {
                    Budget::Granted => Verdict::Continue,
                    Budget::Spent => Verdict::Fail(cut()),
                },
                (Level::Begun, Repeatable::No) => Verdict::Fail(cut()),
            },
            Fault::Ending => Verdict::Fail(ending(self.level)),
            Fault::Exhausted => Verdict::Fail(
                Refusal::new(Code::ServerOverloaded, "mlx-tree is out of file descriptors. Try again in a moment.")
                    .retry_after(Duration::from_secs(1)),
            ),
            Fault::Bad(why) => Verdict::Fail(Refusal::new(
                Code::BadUpstreamResponse,
                format!("the server is up, but its answer is not one: {why}"),
            )),
            Fault::Stalled => Verdict::Fail(Refusal::new(
                Code::UpstreamTimeout,
                "the server is up and has said nothing for longer than gateway.stall_timeout",
            )),
            Fault::Rejected { status, message } => Verdict::Fail(rejected(*status, message)),
        }
    }
}

/// What a client is told whose request has been in flight at too many ends of the server.
#[must_use]
pub fn quarantined() -> Refusal {
    Refusal::new(
        Code::RequestQuarantined,
        "the server went down twice while it worked on this request; it is refused for some minutes, to protect the others. \
         Change the request, or look at `mlx-tree logs`",
    )
}

/// What a client is told who has a part of an answer that cannot be continued.
#[must_use]
pub fn cut() -> Refusal {
    Refusal::new(
        Code::BackendCrashed,
        "the server went down while it answered; what has arrived is incomplete, and no other generation is appended to it",
    )
}

/// What a client is told who would keep mlx-tree from ending.
fn ending(level: Level) -> Refusal {
    let message = match level {
        Level::Nothing | Level::Opened => "mlx-tree is ending and could not wait for this answer any longer",
        Level::Begun => {
            "mlx-tree is ending and could not wait for the rest of this answer; what has arrived is incomplete"
        }
    };
    Refusal::new(Code::ShuttingDown, message).retry_after(ENDED_FOR)
}

/// What a client is told whose cut answer was generated a second time and came out differently.
#[must_use]
pub fn differs() -> Refusal {
    Refusal::new(
        Code::BackendCrashed,
        "the server went down while it answered, and its second answer differs from what has arrived, which is incomplete",
    )
}

/// Only a rejection that says so is the client's fault: `mlx_lm` answers 404 to whatever fails in generation.
fn rejected(status: u16, message: &str) -> Refusal {
    let code = match status {
        400 | 422 => Code::InvalidParameter,
        413 => Code::BodyTooLarge,
        _ => Code::BadUpstreamResponse,
    };
    Refusal::new(code, format!("the server answered {status}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [Level; 3] = [Level::Nothing, Level::Opened, Level::Begun];
    const REPEATABLE: [Repeatable; 2] = [Repeatable::Yes, Repeatable::No];

    fn judge(level: Level, deaths: u32, repeatable: Repeatable, fault: &Fault) -> Verdict {
        Standing { level, deaths, repeatable }.judge(fault, || Budget::Granted)
    }

    #[test]
    fn a_first_death_is_not_noticed_as_long_as_nothing_was_sent() {
        for repeatable in REPEATABLE {
            assert_eq!(judge(Level::Nothing, 1, repeatable, &Fault::Died), Verdict::Replay);
            assert_eq!(judge(Level::Opened, 1, repeatable, &Fault::Died), Verdict::Replay);
        }
    }

    #[test]
    fn two_generations_are_joined_only_if_they_must_be_the_same() {
        assert_eq!(judge(Level::Begun, 1, Repeatable::Yes, &Fault::Died), Verdict::Continue);
        assert_eq!(judge(Level::Begun, 1, Repeatable::No, &Fault::Died), Verdict::Fail(cut()));
    }

    #[test]
    fn a_second_death_is_the_last_whatever_was_sent() {
        for level in LEVELS {
            for repeatable in REPEATABLE {
                assert_eq!(judge(level, 2, repeatable, &Fault::Died), Verdict::Quarantine(quarantined()));
            }
        }
    }

    #[test]
    fn a_planned_end_is_held_against_nobody() {
        for repeatable in REPEATABLE {
            assert_eq!(judge(Level::Nothing, 1, repeatable, &Fault::Ended), Verdict::Replay);
            assert_eq!(judge(Level::Opened, 5, repeatable, &Fault::Ended), Verdict::Replay);
        }
        assert_eq!(judge(Level::Begun, 1, Repeatable::Yes, &Fault::Ended), Verdict::Continue);
        assert_eq!(judge(Level::Begun, 1, Repeatable::No, &Fault::Ended), Verdict::Fail(cut()));
    }

    #[test]
    fn without_a_death_nothing_is_tried_again() {
        let faults = [
            Fault::Bad("no JSON".into()),
            Fault::Stalled,
            Fault::Ending,
            Fault::Exhausted,
            Fault::Rejected { status: 404, message: "no".into() },
        ];
        for fault in faults {
            for level in LEVELS {
                for repeatable in REPEATABLE {
                    let verdict = Standing { level, deaths: 0, repeatable }
                        .judge(&fault, || unreachable!("no attempt, no budget"));
                    assert!(matches!(verdict, Verdict::Fail(_)), "{fault:?} {level:?} {verdict:?}");
                }
            }
        }
    }

    #[test]
    fn a_spent_budget_ends_it_with_an_error_that_fits_what_was_sent() {
        for level in LEVELS {
            let verdict =
                Standing { level, deaths: 1, repeatable: Repeatable::Yes }.judge(&Fault::Died, || Budget::Spent);
            let Verdict::Fail(refusal) = verdict else { panic!("{verdict:?}") };
            assert_eq!(refusal.code, Code::BackendCrashed);
            assert_eq!(refusal == cut(), level == Level::Begun);
        }
    }

    #[test]
    fn a_failed_generation_is_not_blamed_on_the_client() {
        let code = |status| match judge(
            Level::Nothing,
            0,
            Repeatable::No,
            &Fault::Rejected { status, message: "no".into() },
        ) {
            Verdict::Fail(refusal) => refusal.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(404), Code::BadUpstreamResponse);
        assert_eq!(code(500), Code::BadUpstreamResponse);
        assert_eq!(code(400), Code::InvalidParameter);
    }
}
