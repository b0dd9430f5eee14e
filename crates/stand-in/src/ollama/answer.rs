//! The lines of an answer, and what goes wrong with them.

use super::{
    chat::{Dialect, Job},
    options::OllamaFault,
    wire::{self, Chunked},
    world::World,
};
use crate::{
    babble::{Script, Seed},
    json::quote,
    ollama::chat::Ask,
    world::sleep_forever,
};
use std::{io, net::TcpStream, thread, time::Duration};

const STAMP: &str = "2026-01-01T00:00:00.000000Z";

/// What one token, or the end, is.
enum Piece<'a> {
    Thought(&'a str),
    Text(&'a str),
    Call(&'a str),
    End(&'a str),
}

/// The answer to a request that only loads or unloads.
pub(super) fn idle(connection: &TcpStream, ask: &Ask, reason: &str) -> io::Result<()> {
    let said = match ask.dialect {
        Dialect::Generate => "\"response\":\"\"",
        Dialect::Chat | Dialect::OpenAi => "\"message\":{\"role\":\"assistant\",\"content\":\"\"}",
    };
    let model = quote(&ask.model);
    let body =
        format!("{{\"model\":{model},\"created_at\":\"{STAMP}\",{said},\"done\":true,\"done_reason\":\"{reason}\"}}");
    wire::json(connection, 200, &body)
}

/// Writes an answer; false when the connection is of no more use.
pub(super) fn generate(world: &World, connection: &TcpStream, job: &Job<'_>) -> io::Result<bool> {
    if !job.ask.streams {
        return whole(world, connection, job);
    }
    let kind = match job.ask.dialect {
        Dialect::Chat | Dialect::Generate => "application/x-ndjson",
        Dialect::OpenAi => "text/event-stream",
    };
    let mut out = Chunked::begin(connection, kind)?;
    let (tokens, reason) = length(world, job);
    for place in 0..tokens {
        match job.fault {
            Some(OllamaFault::StallAfter(after)) if after == place => sleep_forever(),
            Some(OllamaFault::CutAfter(after)) if after == place => {
                connection.shutdown(std::net::Shutdown::Both)?;
                return Ok(false);
            }
            Some(OllamaFault::EndAfter(after)) if after == place => return out.end().map(|()| true),
            Some(OllamaFault::GarbageAfter(after)) if after == place => out.send("{\"message\": \n")?,
            Some(OllamaFault::ErrorAfter(after)) if after == place => {
                // OpenAI's dialect finds no answer in that line, and ends the stream as if nothing were.
                if job.ask.dialect != Dialect::OpenAi {
                    let text = "model runner has unexpectedly stopped, this may be due to resource limitations";
                    out.send(&format!("{{\"error\":{}}}\n", quote(text)))?;
                }
                return out.end().map(|()| true);
            }
            _ => {}
        }
        pause(world);
        out.send(&line(job, &piece(job, place), place))?;
    }
    if let Some(name) = call(job) {
        out.send(&line(job, &Piece::Call(name), tokens))?;
    }
    out.send(&line(job, &Piece::End(reason), tokens))?;
    if job.ask.dialect == Dialect::OpenAi {
        out.send("data: [DONE]\n\n")?;
    }
    out.end().map(|()| true)
}

fn whole(world: &World, connection: &TcpStream, job: &Job<'_>) -> io::Result<bool> {
    let (tokens, reason) = length(world, job);
    let text: String = (job.thinking..tokens).map(|place| word(job, place)).collect();
    let thought: String = (0..job.thinking.min(tokens)).map(|place| word(job, place)).collect();
    let (model, text) = (quote(&job.ask.model), quote(&text));
    let counts = counts(job, tokens);
    let body = match job.ask.dialect {
        Dialect::Generate => format!(
            "{{\"model\":{model},\"created_at\":\"{STAMP}\",\"response\":{text},\"done\":true,\
             \"done_reason\":\"{reason}\",{counts}}}"
        ),
        Dialect::Chat => {
            let thinking =
                if thought.is_empty() { String::new() } else { format!(",\"thinking\":{}", quote(&thought)) };
            let calls = call(job).map(|name| format!(",\"tool_calls\":[{}]", tool_call(name))).unwrap_or_default();
            format!(
                "{{\"model\":{model},\"created_at\":\"{STAMP}\",\"message\":{{\"role\":\"assistant\",\
                 \"content\":{text}{thinking}{calls}}},\"done\":true,\"done_reason\":\"{reason}\",{counts}}}"
            )
        }
        Dialect::OpenAi => format!(
            "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":0,\"model\":{model},\
             \"system_fingerprint\":\"fp_ollama\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
             \"content\":{text}}},\"finish_reason\":\"{reason}\"}}]}}"
        ),
    };
    wire::json(connection, 200, &body).map(|()| true)
}

/// How many tokens, and why no more.
fn length(world: &World, job: &Job<'_>) -> (u64, &'static str) {
    let wanted = world.options.answer_tokens + job.thinking;
    let limit = job.ask.num_predict.unwrap_or(u64::MAX);
    // Without a shift the context is the end; with one, its head makes room without a word.
    let shifts = job.ask.shifts || !world.options.knows_truncate();
    let room = if shifts { u64::MAX } else { job.context.saturating_sub(job.prompt_tokens) };
    let tokens = wanted.min(limit).min(room);
    (tokens, if tokens < wanted { "length" } else { "stop" })
}

fn word(job: &Job<'_>, place: u64) -> &'static str {
    Seed::of(&job.prompt).token(place, Script::Ascii)
}

fn piece(job: &Job<'_>, place: u64) -> Piece<'static> {
    if place < job.thinking { Piece::Thought(word(job, place)) } else { Piece::Text(word(job, place)) }
}

/// The tool that is called: the first there is.
fn call<'a>(job: &Job<'a>) -> Option<&'a str> {
    job.ask.tools.first().map(String::as_str)
}

fn tool_call(name: &str) -> String {
    format!(
        "{{\"id\":\"call_abcdefgh\",\"function\":{{\"index\":0,\"name\":{},\"arguments\":{{\"text\":\"tree\"}}}}}}",
        quote(name)
    )
}

fn counts(job: &Job<'_>, tokens: u64) -> String {
    format!(
        "\"total_duration\":1000000,\"load_duration\":1000,\"prompt_eval_count\":{},\"prompt_eval_duration\":1000,\
         \"eval_count\":{tokens},\"eval_duration\":1000",
        job.prompt_tokens
    )
}

fn line(job: &Job<'_>, piece: &Piece<'_>, tokens: u64) -> String {
    let model = quote(&job.ask.model);
    let head = format!("{{\"model\":{model},\"created_at\":\"{STAMP}\"");
    let end = match piece {
        Piece::End(_) if job.fault == Some(OllamaFault::NoReason) => format!("\"done\":true,{}", counts(job, tokens)),
        Piece::End(reason) => format!("\"done\":true,\"done_reason\":\"{reason}\",{}", counts(job, tokens)),
        Piece::Thought(_) | Piece::Text(_) | Piece::Call(_) => "\"done\":false".to_owned(),
    };
    match job.ask.dialect {
        Dialect::Generate => {
            let (thought, text) = match piece {
                Piece::Thought(text) => (format!(",\"thinking\":{}", quote(text)), ""),
                Piece::Text(text) => (String::new(), *text),
                Piece::Call(_) | Piece::End(_) => (String::new(), ""),
            };
            format!("{head},\"response\":{}{thought},{end}}}\n", quote(text))
        }
        Dialect::Chat => {
            let said = match piece {
                Piece::Thought(text) => format!("\"content\":\"\",\"thinking\":{}", quote(text)),
                Piece::Text(text) => format!("\"content\":{}", quote(text)),
                Piece::Call(name) => format!("\"content\":\"\",\"tool_calls\":[{}]", tool_call(name)),
                Piece::End(_) => "\"content\":\"\"".to_owned(),
            };
            format!("{head},\"message\":{{\"role\":\"assistant\",{said}}},{end}}}\n")
        }
        Dialect::OpenAi => event(job, piece),
    }
}

fn event(job: &Job<'_>, piece: &Piece<'_>) -> String {
    let (delta, finish) = match piece {
        Piece::Thought(text) => (format!("{{\"reasoning\":{}}}", quote(text)), "null".to_owned()),
        Piece::Text(text) => (format!("{{\"content\":{}}}", quote(text)), "null".to_owned()),
        Piece::Call(name) => (
            format!(
                "{{\"tool_calls\":[{{\"index\":0,\"id\":\"call_abcdefgh\",\"type\":\"function\",\
                 \"function\":{{\"name\":{},\"arguments\":\"{{\\\"text\\\":\\\"tree\\\"}}\"}}}}]}}",
                quote(name)
            ),
            "null".to_owned(),
        ),
        Piece::End(reason) => ("{}".to_owned(), format!("\"{reason}\"")),
    };
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":{},\
         \"system_fingerprint\":\"fp_ollama\",\"choices\":[{{\"index\":0,\"delta\":{delta},\
         \"finish_reason\":{finish}}}]}}\n\n",
        quote(&job.ask.model)
    )
}

fn pause(world: &World) {
    if let Some(nanos) = 1_000_000_000_u64.checked_div(u64::from(world.options.tokens_per_second)) {
        thread::sleep(Duration::from_nanos(nanos));
    }
}
