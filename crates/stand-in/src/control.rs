//! The routes below `/_fake/`, by which a test steers a running incarnation.

use crate::{
    death,
    http::{Head, Request},
    options::Death,
    world::{Generation, World},
};
use std::{io, net::TcpStream, thread, time::Duration};

/// Whether the request is for the control routes, and they are on.
pub(crate) fn concerns(world: &World, request: &Request) -> bool {
    world.options.identity.control && request.target.starts_with("/_fake/")
}

pub(crate) fn answer(world: &World, request: &Request, connection: &mut TcpStream) -> io::Result<()> {
    let verb = request.path().trim_start_matches("/_fake/");
    let send = |connection: &mut TcpStream, status: u16, body: &str| {
        Head::new(status).with("Content-type", "application/json").send(connection, body.as_bytes())
    };
    match (request.method.as_str(), verb) {
        ("GET", "stats") => send(connection, 200, &stats(world)),
        ("GET", "last-request") => send(connection, 200, &world.last_request()),
        ("POST", "hang") => {
            world.hang();
            send(connection, 200, "{}")
        }
        ("POST", "unhang") => {
            world.unhang();
            send(connection, 200, "{}")
        }
        ("POST", "kill-generation") => {
            world.set_generation(Generation::Ended);
            send(connection, 200, "{}")
        }
        ("POST", "revive-generation") => {
            world.set_generation(Generation::Alive);
            send(connection, 200, "{}")
        }
        ("POST", "exit" | "abort" | "segv" | "oom") => {
            send(connection, 200, "{}")?;
            let _ = connection.shutdown(std::net::Shutdown::Write);
            // The answer shall be read before the process is gone.
            thread::sleep(Duration::from_millis(20));
            let mut options = world.options.clone();
            if let Some(code) = request.query("code").and_then(|code| code.parse().ok()) {
                options.triggers.code = code;
            }
            death::die_by(&options, death_of(verb))
        }
        (_, _) => send(connection, 404, "{\"error\": \"no such control\"}"),
    }
}

fn death_of(verb: &str) -> Death {
    match verb {
        "abort" => Death::Abort,
        "segv" => Death::Segv,
        "oom" => Death::Kill,
        _ => Death::Exit,
    }
}

fn stats(world: &World) -> String {
    let stats = world.stats();
    format!(
        "{{\"pid\": {}, \"requests\": {}, \"chats\": {}, \"served\": {}, \"aborted\": {}, \"in_flight\": {}, \"max_in_flight\": {}, \
         \"max_chats_in_flight\": {}, \"tokens\": {}, \"health\": {}, \"connections\": {}}}",
        std::process::id(),
        stats.requests,
        stats.chats,
        stats.served,
        stats.aborted,
        stats.in_flight,
        stats.max_in_flight,
        stats.max_chats_in_flight,
        stats.tokens,
        stats.health,
        stats.connections
    )
}
