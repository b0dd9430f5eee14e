//! A chat or a prompt: what is asked, whether it fits, and what is loaded or unloaded by it.

use super::{answer, options::OllamaFault, wire, world::World};
use crate::{json::Value, world::sleep_forever};
use std::{io, net::TcpStream, time::Duration};

/// What Ollama gives a request that names no `num_ctx`, on a machine with little memory.
const DEFAULT_CONTEXT: u64 = 4096;

/// How long a model stays in memory if nobody says.
const KEEP_ALIVE: Duration = Duration::from_secs(300);

/// Which of the routes was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Chat,
    Generate,
    OpenAi,
}

/// What was asked.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) dialect: Dialect,
    pub(super) model: String,
    /// The texts of the messages, oldest first; the prompt alone for a completion.
    pub(super) messages: Vec<String>,
    pub(super) streams: bool,
    pub(super) tools: Vec<String>,
    thinks: Option<bool>,
    truncates: bool,
    pub(super) shifts: bool,
    pub(super) num_ctx: Option<u64>,
    pub(super) num_predict: Option<u64>,
    /// `Some(None)` is for ever.
    keep_alive: Option<Option<Duration>>,
}

/// What is answered, once it is known to fit.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) ask: &'a Ask,
    /// What is left of the conversation.
    pub(super) prompt: String,
    pub(super) prompt_tokens: u64,
    pub(super) context: u64,
    pub(super) thinking: u64,
    pub(super) fault: Option<OllamaFault>,
}

// === impl Ask ===

impl Ask {
    pub(super) fn read(body: &Value, dialect: Dialect) -> Self {
        let options = body.get("options").filter(|_| dialect != Dialect::OpenAi);
        let option = |name: &str| options.and_then(|options| options.get(name)).and_then(number);
        let native = |name: &str| body.get(name).filter(|_| dialect != Dialect::OpenAi);
        let messages = match dialect {
            Dialect::Generate => body.get("prompt").and_then(Value::as_str).into_iter().map(str::to_owned).collect(),
            Dialect::Chat | Dialect::OpenAi => {
                let all = body.get("messages").and_then(Value::as_array).unwrap_or_default();
                all.iter().map(|it| it.get("content").and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
            }
        };
        let tools = body.get("tools").and_then(Value::as_array).unwrap_or_default().iter();
        let tools = tools.filter_map(|tool| tool.get("function")?.get("name")?.as_str().map(str::to_owned));
        let openai_limit = body.get("max_tokens").filter(|_| dialect == Dialect::OpenAi).and_then(number);
        Self {
            dialect,
            model: body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
            messages,
            // Native answers stream unless told otherwise; OpenAI's do not.
            streams: body.get("stream").map_or(dialect != Dialect::OpenAi, |value| *value == Value::Bool(true)),
            tools: tools.collect(),
            thinks: native("think").map(|value| *value != Value::Bool(false)),
            truncates: native("truncate") != Some(&Value::Bool(false)),
            shifts: native("shift") != Some(&Value::Bool(false)),
            num_ctx: option("num_ctx").map(whole),
            num_predict: option("num_predict").or(openai_limit).filter(|most| *most >= 0.0).map(whole),
            keep_alive: native("keep_alive").and_then(keep_alive),
        }
    }

    fn is_empty(&self) -> bool {
        match self.dialect {
            Dialect::Generate => self.messages.iter().all(String::is_empty),
            Dialect::Chat | Dialect::OpenAi => self.messages.is_empty(),
        }
    }
}

/// Answers; false when the connection is of no more use.
pub(super) fn answer(world: &World, connection: &TcpStream, ask: &Ask, model: &str) -> io::Result<bool> {
    let options = &world.options;
    let keep_alive = ask.keep_alive.unwrap_or(Some(KEEP_ALIVE));
    if ask.is_empty() && keep_alive == Some(Duration::ZERO) {
        world.unload(model);
        return answer::idle(connection, ask, "unload").map(|()| true);
    }
    let can = |what: &str| options.capabilities.iter().any(|it| it == what);
    if !ask.tools.is_empty() && !can("tools") {
        let text = format!("registry.ollama.ai/library/{model} does not support tools");
        return wire::error(connection, 400, &text).map(|()| true);
    }
    if ask.thinks == Some(true) && !can("thinking") {
        return wire::error(connection, 400, &format!("\"{}\" does not support thinking", ask.model)).map(|()| true);
    }
    let fault = world.fault();
    match fault {
        Some(OllamaFault::Overload) => return busy(connection),
        Some(OllamaFault::Status(status)) => return wire::error(connection, status, "it was told to").map(|()| true),
        Some(OllamaFault::Hang) => sleep_forever(),
        Some(_) | None => {}
    }
    let Some(in_flight) = world.answer_wanted() else { return busy(connection) };
    // More than the model was trained for is not given, with a warning in Ollama's log.
    let context = ask.num_ctx.unwrap_or(DEFAULT_CONTEXT).min(options.context);
    world.load(model, context, keep_alive);
    if ask.is_empty() {
        in_flight.whole();
        return answer::idle(connection, ask, "load").map(|()| true);
    }
    let truncates = ask.truncates || !options.knows_truncate();
    let (prompt, prompt_tokens) = match fit(&ask.messages, context, truncates) {
        Ok(fitting) => fitting,
        Err(tokens) => {
            in_flight.whole();
            let text = format!(
                "{{\"error\":{{\"code\":400,\"message\":\"request ({tokens} tokens) exceeds the available context size \
                 ({context} tokens), try increasing it\",\"type\":\"exceed_context_size_error\",\
                 \"n_prompt_tokens\":{tokens},\"n_ctx\":{context}}}}}"
            );
            return wire::error(connection, 400, &text).map(|()| true);
        }
    };
    let thinking = if can("thinking") && ask.thinks != Some(false) { options.thinking } else { 0 };
    let job = Job { ask, prompt, prompt_tokens, context, thinking, fault };
    let end = answer::generate(world, connection, &job)?;
    if keep_alive == Some(Duration::ZERO) {
        world.unload(model);
    }
    in_flight.whole();
    Ok(end)
}

fn busy(connection: &TcpStream) -> io::Result<bool> {
    wire::error(connection, 503, "server busy, please try again.  maximum pending requests exceeded").map(|()| true)
}

/// What of a conversation fits, and how many tokens that is; how many it would be if nothing may be dropped.
fn fit(messages: &[String], context: u64, truncates: bool) -> Result<(String, u64), u64> {
    let tokens = |messages: &[String]| messages.iter().map(|text| crate::babble::prompt_tokens(text) + 4).sum::<u64>();
    let mut first = 0;
    while tokens(&messages[first..]) > context {
        if !truncates {
            return Err(tokens(messages));
        }
        if first + 1 >= messages.len() {
            break;
        }
        first += 1;
    }
    Ok((messages[first..].join("\n"), tokens(&messages[first..]).min(context)))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of tokens, from tests")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Seconds, or a duration as Go writes it; below zero is for ever.
fn keep_alive(value: &Value) -> Option<Option<Duration>> {
    let seconds = match value {
        Value::Number(text) => text.parse().ok()?,
        Value::String(text) => go_duration(text)?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(if seconds < 0.0 { None } else { Duration::try_from_secs_f64(seconds).ok() })
}

fn go_duration(text: &str) -> Option<f64> {
    if text == "0" {
        return Some(0.0);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sizes: &[usize]) -> Vec<String> {
        sizes.iter().map(|size| "x".repeat(*size)).collect()
    }

    #[test]
    fn the_head_of_a_conversation_is_dropped_or_all_of_it_refused() {
        let messages = texts(&[400, 40, 40]);
        assert_eq!(fit(&messages, 1000, true).unwrap().1, 132);
        assert_eq!(fit(&messages, 100, true).unwrap().1, 28);
        assert_eq!(fit(&messages, 100, false), Err(132));
        assert_eq!(fit(&texts(&[400]), 50, true).unwrap().1, 50, "the last message stays");
    }

    #[test]
    fn times_are_read_as_go_reads_them() {
        let read = |text: &str| keep_alive(&Value::String(text.to_owned()));
        assert_eq!(read("5m"), Some(Some(Duration::from_secs(300))));
        assert_eq!(read("300000ms"), Some(Some(Duration::from_secs(300))));
        assert_eq!(read("-1s"), Some(None));
        assert_eq!(read("300"), None, "Go refuses a number without a unit");
        assert_eq!(keep_alive(&Value::Number("0".to_owned())), Some(Some(Duration::ZERO)));
        assert_eq!(keep_alive(&Value::Number("-1".to_owned())), Some(None));
    }
}
