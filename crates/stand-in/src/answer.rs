//! The answer to a completion, whole or as a stream, well or with the faults that are asked for.

use crate::{
    babble::{self, Script},
    completion::{Breaks, Delivery, Job, Refusal, Usage},
    death,
    generate::{self, Cut},
    handler,
    http::Head,
    json,
    options::{AfterGenerationEnds, CloseAt, Http, Options, Silence, Stream},
    stream::Events,
    world::{Generation, InFlight, World, sleep_forever},
};
use std::{
    cell::RefCell,
    io::{self, Write},
    net::TcpStream,
    thread,
};

/// The faults of one completion; all absent when the request is out of scope.
#[derive(Debug, Default)]
struct Faults {
    close_at: Option<CloseAt>,
    silence: Option<Silence>,
    http: Http,
    stream: Stream,
    die_after_tokens: Option<u64>,
}

/// Answers, and counts how that ended.
pub(crate) fn complete(
    world: &World,
    job: &Job,
    in_flight: InFlight<'_>,
    mut connection: TcpStream,
    origin: Option<&str>,
) -> io::Result<()> {
    let options = &world.options;
    let faults = Faults::of(options, &in_flight);
    let origins = &options.identity.allowed_origins;
    if let Some(refusal) = refuse(world, job, &faults) {
        drop(in_flight);
        return Head::json(refusal.status, origins, origin).send(&mut connection, refusal.body().as_bytes());
    }
    let head = match job.delivery {
        Delivery::Stream { .. } => Head::event_stream(origins, origin),
        Delivery::Whole => Head::json(200, origins, origin),
    };
    let head_bytes = head.bytes();
    let early = match faults.close_at {
        Some(CloseAt::Header) => Some(0),
        Some(CloseAt::InHeader) => Some(head_bytes.len() / 2),
        Some(CloseAt::Body) => Some(head_bytes.len()),
        Some(CloseAt::Accept | CloseAt::Tokens(_)) | None => None,
    };
    if let Some(length) = early {
        connection.write_all(&head_bytes[..length])?;
        handler::close(connection, &options.network);
        return Ok(());
    }
    if let Some(silence) = faults.silence {
        connection.write_all(&head_bytes)?;
        return stay_silent(options, silence, &mut connection);
    }
    let cut = match job.delivery {
        Delivery::Stream { usage } => {
            connection.write_all(&head_bytes)?;
            stream(world, job, usage, &faults, in_flight, &mut connection)
        }
        Delivery::Whole => whole(world, job, &faults, head, in_flight, &mut connection),
    };
    match cut {
        Ok(()) => {}
        Err(Cut::Left) => world.aborted(),
        Err(Cut::Close) => handler::close(connection, &options.network),
    }
    Ok(())
}

/// Waits until generation can begin; says why it cannot.
fn refuse(world: &World, job: &Job, faults: &Faults) -> Option<Refusal> {
    let generation = &world.options.generation;
    world.wait_until_loaded();
    if generation.real_bugs {
        match job.breaks {
            Some(Breaks::Process) => death::die_by(&world.options, crate::Death::Segv),
            Some(Breaks::Generation) => world.set_generation(Generation::Ended),
            None => {}
        }
    }
    while world.generation() == Generation::Ended {
        world.wait_while_generation_is(Generation::Ended, generate::DEAD_CHECK);
        if world.generation() == Generation::Ended && world.options.health.when_dead == AfterGenerationEnds::Unavailable
        {
            return Some(Refusal::failed("generation thread died"));
        }
    }
    let prompt_tokens = babble::prompt_tokens(&job.prompt);
    if let Some(error) = &generation.load_error {
        return Some(Refusal::failed(error));
    }
    if faults.http.all_404 {
        return Some(Refusal::failed("[load_safetensors] Failed to read the header of model.safetensors"));
    }
    if let Some(status) = faults.http.status {
        return Some(Refusal { status, error: "the stand-in was told to answer so".to_owned() });
    }
    let context = generation.context?;
    (prompt_tokens > context)
        .then(|| Refusal::failed(&format!("prompt of {prompt_tokens} tokens exceeds the context of {context}")))
}

fn stay_silent(options: &Options, silence: Silence, connection: &mut TcpStream) -> io::Result<()> {
    match silence {
        Silence::Total => sleep_forever(),
        Silence::Comments => loop {
            Events::new(connection, &Stream::default()).comment("keepalive 0/1")?;
            thread::sleep(options.generation.keepalive_every);
        },
    }
}

fn whole(
    world: &World,
    job: &Job,
    faults: &Faults,
    head: Head,
    in_flight: InFlight<'_>,
    connection: &mut TcpStream,
) -> Result<(), Cut> {
    let prompt_tokens = babble::prompt_tokens(&job.prompt);
    let mut text = String::new();
    let tokens = generate::tokens(
        world,
        job,
        Script::Ascii,
        |_| Ok(()),
        |token, number| {
            text.push_str(token);
            let killed = faults.die_after_tokens == Some(number);
            if killed {
                death::die(&world.options);
            }
            match faults.close_at == Some(CloseAt::Tokens(number)) {
                true => Err(Cut::Close),
                false => Ok(()),
            }
        },
    )?;
    let body = match (faults.http.html, faults.http.bad_json) {
        (true, _) => "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>".to_owned(),
        (false, true) => "{\"id\": \"chatcmpl-".to_owned(),
        (false, false) => job.answer(&text, tokens.finish, prompt_tokens, tokens.count),
    };
    let length = i64::try_from(body.len()).unwrap_or(i64::MAX).saturating_add(faults.http.length_off);
    in_flight.served();
    let sent = head.with("Content-Length", &length.to_string()).send(connection, body.as_bytes());
    // It ran to its end all the same.
    drop(sent);
    Ok(())
}

fn stream(
    world: &World,
    job: &Job,
    usage: Usage,
    faults: &Faults,
    in_flight: InFlight<'_>,
    connection: &mut TcpStream,
) -> Result<(), Cut> {
    let wire = &faults.stream;
    let (script, quote): (Script, fn(&str) -> String) = match wire.split_utf8 {
        true => (Script::BeyondAscii, |text| format!("\"{text}\"")),
        false => (Script::Ascii, json::quote),
    };
    let events = RefCell::new(Events::new(connection, wire));
    let send = |data: &str| events.borrow_mut().data(data).map_err(|_| Cut::Left);
    if faults.http.bad_json {
        send("{\"id\": \"chatcmpl-")?;
    }
    if faults.http.html {
        send("<!DOCTYPE html>")?;
    }
    let keepalive = |comment: &str| events.borrow_mut().comment(comment).map_err(|_| Cut::Left);
    let tokens = generate::tokens(world, job, script, keepalive, |token, number| {
        send(&job.event(&quote(token)))?;
        if faults.die_after_tokens == Some(number) {
            death::die(&world.options);
        }
        if faults.close_at == Some(CloseAt::Tokens(number)) {
            return Err(Cut::Close);
        }
        if wire.stall == Some(number) {
            sleep_forever();
        }
        if wire.garbage == Some(number) {
            send("\u{1}{garbage")?;
        }
        if wire.error == Some(number) {
            send("{\"error\": {\"message\": \"the stand-in was told to fail here\", \"type\": \"server_error\"}}")?;
            return Err(Cut::Close);
        }
        if let Some(bytes) = wire.big_line.filter(|_| number == 1) {
            send(&job.event(&quote(&"x".repeat(usize::try_from(bytes).unwrap_or_default()))))?;
        }
        Ok(())
    })?;
    if wire.no_finish {
        in_flight.served();
        return Ok(());
    }
    send(&job.last_event(tokens.finish))?;
    if usage == Usage::Included {
        send(&job.usage_event(babble::prompt_tokens(&job.prompt), tokens.count))?;
    }
    in_flight.served();
    if wire.no_done {
        return Ok(());
    }
    send("[DONE]")?;
    if wire.double_done {
        send("[DONE]")?;
    }
    if wire.data_after_done {
        send(&job.event(&quote(" and more")))?;
    }
    Ok(())
}

// === impl Faults ===

impl Faults {
    fn of(options: &Options, in_flight: &InFlight<'_>) -> Self {
        let Some(number) = in_flight.in_scope else { return Self::default() };
        let triggers = &options.triggers;
        // Without `--before-bytes` the n-th request is cut after its first token.
        let on_request = (triggers.on_request == Some(number)).then_some(1);
        let after_tokens = match triggers.on_request {
            Some(_) => on_request.and(triggers.after_tokens.or(on_request)),
            None => triggers.after_tokens,
        };
        Self {
            close_at: options.network.close_at,
            silence: options.network.silence,
            http: options.http.clone(),
            stream: options.stream.clone(),
            die_after_tokens: after_tokens,
        }
    }
}
