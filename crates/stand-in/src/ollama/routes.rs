//! The routes of the fake, and those that only tell of its models.

use super::{
    chat::{self, Ask, Dialect},
    wire,
    world::World,
};
use crate::{
    http::Request,
    json::{self, Value, quote},
};
use std::{io, net::TcpStream, time::Duration};

/// A connection without a request for so long is let go.
const IDLE: Duration = Duration::from_secs(75);

/// No body is longer.
const LONGEST: u64 = 64 << 20;

/// Answers the requests of this connection, one after the other.
pub(super) fn handle(world: &World, connection: &TcpStream) {
    let _ = connection.set_nodelay(true);
    let _ = connection.set_read_timeout(Some(IDLE));
    while let Ok(true) = one(world, connection) {}
}

/// Answers one request; false when there is no other to come.
fn one(world: &World, connection: &TcpStream) -> io::Result<bool> {
    let Some(mut request) = Request::read(connection.try_clone()?)? else { return Ok(false) };
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    let body = String::from_utf8_lossy(&request.body(length.min(LONGEST))?).into_owned();
    let (method, path) = (request.method.clone(), request.path().to_owned());
    world.record(format!("{method} {path}"), body.clone());
    let closes = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    match (method.as_str(), path.as_str()) {
        ("GET" | "HEAD", "/") => wire::whole(connection, 200, "text/plain; charset=utf-8", "Ollama is running")?,
        ("GET", "/api/version") => {
            wire::json(connection, 200, &format!("{{\"version\":{}}}", quote(&world.options.version)))?;
        }
        ("GET", "/api/tags") => wire::json(connection, 200, &tags(world))?,
        ("GET", "/api/ps") => wire::json(connection, 200, &ps(world))?,
        ("GET", "/v1/models") => wire::json(connection, 200, &v1_models(world))?,
        ("POST", "/api/show") => show(world, connection, &body)?,
        ("POST", "/api/pull") => {
            world.pull_wanted();
            wire::error(connection, 500, "this fake pulls nothing")?;
        }
        ("POST", "/api/chat") => return Ok(ask(world, connection, &body, Dialect::Chat)? && !closes),
        ("POST", "/api/generate") => return Ok(ask(world, connection, &body, Dialect::Generate)? && !closes),
        ("POST", "/v1/chat/completions") => return Ok(ask(world, connection, &body, Dialect::OpenAi)? && !closes),
        (_, _) => wire::whole(connection, 404, "text/plain", "404 page not found")?,
    }
    Ok(!closes)
}

fn ask(world: &World, connection: &TcpStream, body: &str, dialect: Dialect) -> io::Result<bool> {
    let value = match json::parse(body) {
        Ok(value) => value,
        Err(invalid) => {
            wire::error(connection, 400, invalid.0)?;
            return Ok(true);
        }
    };
    let ask = Ask::read(&value, dialect);
    let Some(model) = world.find(&ask.model) else {
        let text = format!("model '{}' not found", ask.model);
        wire::error(connection, 404, &text)?;
        return Ok(true);
    };
    chat::answer(world, connection, &ask, model)
}

fn show(world: &World, connection: &TcpStream, body: &str) -> io::Result<()> {
    let value = json::parse(body).unwrap_or(Value::Null);
    let name = value.get("model").or_else(|| value.get("name")).and_then(Value::as_str).unwrap_or_default();
    let Some(model) = world.find(name) else {
        return wire::error(connection, 404, &format!("model '{name}' not found"));
    };
    let info = format!("{{\"general.architecture\":\"llama\",\"llama.context_length\":{}}}", world.options.context);
    let answer = format!(
        "{{\"license\":\"\",\"modelfile\":\"\",\"template\":\"\",{}\"details\":{DETAILS},\"model_info\":{info},\
         \"capabilities\":{},\"modified_at\":{STAMP}}}",
        remote(world, model),
        list(world.options.capabilities.iter().map(|word| quote(word))),
    );
    wire::json(connection, 200, &answer)
}

const DETAILS: &str = "{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"llama\",\"families\":[\"llama\"],\
                       \"parameter_size\":\"1M\",\"quantization_level\":\"F32\"}";
const STAMP: &str = "\"2026-01-01T00:00:00Z\"";

fn tags(world: &World) -> String {
    let all = world.options.models.iter().chain(&world.options.remote);
    let models = all.map(|model| {
        let (name, remote) = (quote(model), remote(world, model));
        format!(
            "{{\"name\":{name},\"model\":{name},{remote}\"modified_at\":{STAMP},\"size\":1048576,\"digest\":\"0\",\
             \"details\":{DETAILS},\"capabilities\":{}}}",
            list(world.options.capabilities.iter().map(|word| quote(word))),
        )
    });
    format!("{{\"models\":{}}}", list(models))
}

fn ps(world: &World) -> String {
    let models = world.in_memory().into_iter().map(|(model, context)| {
        let name = quote(&model);
        format!(
            "{{\"name\":{name},\"model\":{name},\"size\":1048576,\"digest\":\"0\",\"details\":{DETAILS},\
             \"expires_at\":{STAMP},\"size_vram\":1048576,\"context_length\":{context}}}"
        )
    });
    format!("{{\"models\":{}}}", list(models))
}

fn v1_models(world: &World) -> String {
    let models = world.options.models.iter().map(|model| {
        format!("{{\"id\":{},\"object\":\"model\",\"created\":0,\"owned_by\":\"library\"}}", quote(model))
    });
    format!("{{\"object\":\"list\",\"data\":{}}}", list(models))
}

fn remote(world: &World, model: &str) -> String {
    if world.options.remote.iter().any(|remote| remote == model) {
        format!("\"remote_model\":{},\"remote_host\":\"https://ollama.com:443\",", quote(model))
    } else {
        String::new()
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}
