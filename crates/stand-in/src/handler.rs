//! One connection from its first byte to its end: the routes, and the answer to a completion.

use crate::{
    babble::{self, Script, Seed},
    completion::{Breaks, Delivery, Finish, Job, Refusal, Usage},
    control, death,
    http::{Head, Request},
    json,
    options::{AfterGenerationEnds, CloseAt, Delay, HealthTick, Http, Length, Network, Options, Silence, Stream},
    stream::Events,
    world::{Generation, InFlight, World, sleep_forever},
};
use nix::sys::socket::{self, sockopt};
use std::{
    io::{self, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

/// How often a dead generation is looked at by those who wait for it, as in the real server.
const DEAD_CHECK: Duration = Duration::from_secs(1);

/// The faults of one completion; all absent when the request is out of scope.
#[derive(Debug, Default)]
struct Faults {
    close_at: Option<CloseAt>,
    silence: Option<Silence>,
    http: Http,
    stream: Stream,
    die_after_tokens: Option<u64>,
}

/// How an answer ended before its end.
enum Cut {
    /// The connection is closed where the answer stands.
    Close,
    /// Writing failed: the client has left.
    Left,
}

// === the connection ===

/// Answers the one request of this connection.
pub(crate) fn handle(world: &World, connection: TcpStream) {
    // What fails here is the client's connection, and the real server only logs that.
    let _ = answer(world, connection);
}

/// Closes the connection as the faults ask for.
pub(crate) fn close(connection: TcpStream, network: &Network) {
    if network.reset {
        let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        let _ = socket::setsockopt(&connection, sockopt::Linger, &at_once);
    }
    drop(connection);
}

/// A line as Python's logging writes it, without the time.
pub(crate) fn log(options: &Options, message: &str) {
    if !options.output.quiet {
        death::say(&format!("INFO - {message}"));
    }
}

fn answer(world: &World, mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let Some(mut request) = Request::read(connection.try_clone()?)? else { return Ok(()) };
    if control::concerns(world, &request) {
        return control::answer(world, &request, &mut connection);
    }
    world.wait_while_hung();
    log(&world.options, &format!("{} {}", request.method, request.target));
    let origins = &world.options.identity.allowed_origins;
    let origin = request.header("origin").map(str::to_owned);
    let json = |status| Head::json(status, origins, origin.as_deref());
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/health") => health(world, connection, json),
        ("GET", target) if target.starts_with("/v1/models") => {
            json(200).send(&mut connection, models(&world.options).as_bytes())
        }
        ("OPTIONS", _) => json(204).send(&mut connection, b""),
        ("POST", "/v1/completions" | "/v1/chat/completions" | "/chat/completions") => {
            match read_job(world, &mut request) {
                Ok((job, in_flight)) => complete(world, &job, in_flight, connection, origin.as_deref()),
                Err(refusal) => json(refusal.status).send(&mut connection, refusal.body().as_bytes()),
            }
        }
        ("GET" | "POST", _) => json(404).send(&mut connection, b"Not Found"),
        (_, _) => Head::new(501).send(&mut connection, b"Unsupported method"),
    }
}

fn health(world: &World, mut connection: TcpStream, json: impl Fn(u16) -> Head) -> io::Result<()> {
    let health = &world.options.health;
    let number = world.health_came();
    match health.delay {
        None => {}
        Some(Delay::For(time)) => thread::sleep(time),
        Some(Delay::Forever) => sleep_forever(),
    }
    let tick = match (world.generation(), health.when_dead) {
        (Generation::Ended, AfterGenerationEnds::Unavailable) => HealthTick::Unavailable,
        (Generation::Ended, AfterGenerationEnds::Healthy) | (Generation::Alive, _) => {
            let pattern = &health.pattern;
            let turn = usize::try_from(number).unwrap_or(0).checked_rem(pattern.len()).unwrap_or(0);
            pattern.get(turn).copied().unwrap_or(HealthTick::Ok)
        }
    };
    match tick {
        HealthTick::Ok => json(200).send(&mut connection, b"{\"status\": \"ok\"}"),
        HealthTick::Unavailable => json(503).send(&mut connection, b"{\"status\": \"unavailable\"}"),
        HealthTick::Closed => Ok(()),
    }
}

fn models(options: &Options) -> String {
    let model = options.identity.model.as_deref().unwrap_or("stand-in");
    let id = json::quote(&format!("{model} ({})", crate::LABEL));
    format!("{{\"object\": \"list\", \"data\": [{{\"id\": {id}, \"object\": \"model\", \"created\": 0}}]}}")
}

// === the completion ===

fn read_job<'w>(world: &'w World, request: &mut Request) -> Result<(Job, InFlight<'w>), Refusal> {
    let length = request
        .header("content-length")
        .ok_or(Refusal { status: 411, error: "Content-Length header is required".to_owned() })?;
    let length = length.parse().map_err(|_| Refusal::bad("Invalid Content-Length header"))?;
    let body = request.body(length).map_err(|error| Refusal::bad(&error.to_string()))?;
    let body = String::from_utf8(body).map_err(|error| Refusal::bad(&error.to_string()))?;
    let in_flight = world.completion_came(&request.head_text(), &body);
    let parsed = json::parse(&body);
    let value = parsed.map_err(|invalid| Refusal::bad(&format!("Invalid JSON in request body: {}", invalid.0)))?;
    let job = Job::read(request.path(), &value, &world.options)?;
    fire_triggers(world, &in_flight, &body);
    Ok((job, in_flight))
}

fn fire_triggers(world: &World, in_flight: &InFlight<'_>, body: &str) {
    let triggers = &world.options.triggers;
    let crowded = triggers.above.is_some_and(|most| in_flight.now > most);
    let poisoned = triggers.on_substring.as_ref().is_some_and(|text| body.contains(text.as_str()));
    let counted = triggers.before_bytes && triggers.on_request.is_some() && in_flight.in_scope == triggers.on_request;
    if crowded || poisoned || counted {
        death::die(&world.options);
    }
}

fn complete(
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
        close(connection, &options.network);
        return Ok(());
    }
    if let Some(silence) = faults.silence {
        connection.write_all(&head_bytes)?;
        return stay_silent(options, silence, &mut connection);
    }
    let cut = match job.delivery {
        Delivery::Stream { usage } => {
            connection.write_all(&head_bytes)?;
            stream(world, job, usage, &faults, &mut connection)
        }
        Delivery::Whole => whole(world, job, &faults, head, &mut connection),
    };
    drop(in_flight);
    match cut {
        Ok(()) => world.served(),
        Err(Cut::Left) => world.aborted(),
        Err(Cut::Close) => close(connection, &options.network),
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
        world.wait_while_generation_is(Generation::Ended, DEAD_CHECK);
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

fn whole(world: &World, job: &Job, faults: &Faults, head: Head, connection: &mut TcpStream) -> Result<(), Cut> {
    let prompt_tokens = babble::prompt_tokens(&job.prompt);
    let mut text = String::new();
    let tokens = generate(
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
    let sent = head.with("Content-Length", &length.to_string()).send(connection, body.as_bytes());
    // It ran to its end all the same.
    drop(sent);
    Ok(())
}

fn stream(world: &World, job: &Job, usage: Usage, faults: &Faults, connection: &mut TcpStream) -> Result<(), Cut> {
    let wire = &faults.stream;
    let (script, quote): (Script, fn(&str) -> String) = match wire.split_utf8 {
        true => (Script::BeyondAscii, |text| format!("\"{text}\"")),
        false => (Script::Ascii, json::quote),
    };
    let events = std::cell::RefCell::new(Events::new(connection, wire));
    let send = |data: &str| events.borrow_mut().data(data).map_err(|_| Cut::Left);
    if faults.http.bad_json {
        send("{\"id\": \"chatcmpl-")?;
    }
    if faults.http.html {
        send("<!DOCTYPE html>")?;
    }
    let keepalive = |comment: &str| events.borrow_mut().comment(comment).map_err(|_| Cut::Left);
    let tokens = generate(world, job, script, keepalive, |token, number| {
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
        return Ok(());
    }
    send(&job.last_event(tokens.finish))?;
    if usage == Usage::Included {
        send(&job.usage_event(babble::prompt_tokens(&job.prompt), tokens.count))?;
    }
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

// === generation ===

struct Tokens {
    count: u64,
    finish: Finish,
}

/// Makes the tokens of the answer at their pace; ends early with what `on_token` returns.
fn generate(
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
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        wait_for_generation(world)?;
        let token = seed.token(place, script);
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
