//! Generation: the tokens of an answer at their pace.

use crate::{
    babble::{self, Script, Seed},
    completion::{Finish, Job},
    options::{AfterGenerationEnds, Length},
    world::{Generation, World},
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How often a dead generation is looked at by those who wait for it, as in the real server.
pub(crate) const DEAD_CHECK: Duration = Duration::from_secs(1);

/// How an answer ended before its end.
#[derive(Debug)]
pub(crate) enum Cut {
    /// The connection is closed where the answer stands.
    Close,
    /// Writing failed: the client has left.
    Left,
}

/// How an answer came to its end.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) count: u64,
    pub(crate) finish: Finish,
}

/// Makes the tokens of the answer at their pace; ends early with what `on_token` returns.
pub(crate) fn tokens(
    world: &World,
    job: &Job,
    script: Script,
    on_prefill: impl Fn(&str) -> Result<(), Cut>,
    mut on_token: impl FnMut(&str, u64) -> Result<(), Cut>,
) -> Result<Tokens, Cut> {
    let generation = &world.options.generation;
    prefill(world, job, on_prefill)?;
    let seed = Seed::of(&job.prompt);
    let natural = match generation.answer {
        Length::Tokens(tokens) => tokens,
        Length::Endless => u64::MAX,
    };
    let pace = generation.tokens_per_second.map(|rate| Duration::from_secs(1) / rate.get());
    let mut next = Instant::now();
    let mut text = String::new();
    for place in 0..natural.min(job.max_tokens) {
        if let Some(pace) = pace {
            next += pace;
            match generation.burn {
                true => burn_until(next),
                false => thread::sleep(next.saturating_duration_since(Instant::now())),
            }
        }
        wait_for_generation(world)?;
        let token = seed.token(place, script);
        // The real detokenizer drops the space before the first word.
        let token = if place == 0 { token.trim_start() } else { token };
        world.token_made();
        if !job.stops.is_empty() {
            text.push_str(token);
            if job.stops.iter().any(|stop| text.contains(stop.as_str())) {
                return Ok(Tokens { count: place + 1, finish: Finish::Stop });
            }
        }
        on_token(token, place + 1)?;
    }
    match natural < job.max_tokens {
        true => Ok(Tokens { count: natural, finish: Finish::Stop }),
        false => Ok(Tokens { count: job.max_tokens, finish: Finish::Length }),
    }
}

/// A real model computes all the time. The clock is asked now and then only, so that the work is done in user space.
fn burn_until(end: Instant) {
    while Instant::now() < end {
        for _ in 0..10_000 {
            std::hint::spin_loop();
        }
    }
}

/// The time of prefill, with its comments.
fn prefill(world: &World, job: &Job, comment: impl Fn(&str) -> Result<(), Cut>) -> Result<(), Cut> {
    let generation = &world.options.generation;
    let total = babble::prompt_tokens(&job.prompt);
    if let Some(time) = generation.prefill {
        let start = Instant::now();
        let step = generation.keepalive_every.max(Duration::from_millis(1));
        while start.elapsed() < time {
            thread::sleep(step.min(time.saturating_sub(start.elapsed())));
            let done = start.elapsed().as_secs_f64() / time.as_secs_f64();
            // A share of a small number, cut below.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let done = (done * total as f64) as u64;
            comment(&format!("keepalive {}/{total}", done.min(total)))?;
        }
    }
    // The last token of a prompt is a step of its own.
    if total > 1 {
        comment(&format!("keepalive {}/{total}", total - 1))?;
    }
    comment(&format!("keepalive {total}/{total}"))
}

/// Returns while generation lives; a stream in the hands of a dead one stalls, or closes as in mlx-lm 0.32.
fn wait_for_generation(world: &World) -> Result<(), Cut> {
    while world.generation() == Generation::Ended {
        world.wait_while_generation_is(Generation::Ended, DEAD_CHECK);
        if world.options.health.when_dead == AfterGenerationEnds::Unavailable {
            return Err(Cut::Close);
        }
    }
    Ok(())
}
