//! One connection from its first byte to the end of its request, and the routes.

use crate::{
    answer,
    completion::{Job, Refusal},
    control, death,
    http::{Head, Request},
    json,
    options::{AfterGenerationEnds, Delay, HealthTick, Network, Options},
    world::{Generation, InFlight, World, sleep_forever},
};
use nix::sys::socket::{self, sockopt};
use std::{io, net::TcpStream, thread};

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
                Ok((job, in_flight)) => answer::complete(world, &job, in_flight, connection, origin.as_deref()),
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
    let busy = if world.is_busy() { health.delay_when_busy } else { None };
    match busy.or(health.delay) {
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

fn read_job<'w>(world: &'w World, request: &mut Request) -> Result<(Job, InFlight<'w>), Refusal> {
    let length = request
        .header("content-length")
        .ok_or(Refusal { status: 411, error: "Content-Length header is required".to_owned() })?;
    let length = length.parse().map_err(|_| Refusal::bad("Invalid Content-Length header"))?;
    let body = request.body(length).map_err(|error| Refusal::bad(&error.to_string()))?;
    let body = String::from_utf8(body).map_err(|error| Refusal::bad(&error.to_string()))?;
    let in_flight = world.completion_came(request.path(), &request.head_text(), &body);
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
