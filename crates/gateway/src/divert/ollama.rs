//! Ollama, by its native API: `/v1` of it knows no `num_ctx`, `truncate` or `keep_alive`, and swallows errors in a stream.

mod lines;
mod messages;
mod request;

pub(super) use lines::Translation;
pub(super) use request::request;

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use super::reading::shown;
use super::target::unsupported;
use crate::{Code, Refusal};

/// What an answer with an error status means.
pub(super) fn refusal(status: StatusCode, body: &str, model: &str) -> Refusal {
    let text = error_of(body);
    match status {
        StatusCode::NOT_FOUND => Refusal::new(
            Code::FallbackModelMissing,
            format!(
                "Ollama does not have the model {model:?} ({text}). It is never pulled from here: `ollama pull {model}`."
            ),
        ),
        StatusCode::BAD_REQUEST => unsupported(format!("Ollama cannot do that: {text}.")),
        // A runner that finds the prompt too long may say so as an error of the server (F71).
        StatusCode::INTERNAL_SERVER_ERROR if tells_of_context(&text) => {
            unsupported(format!("The request does not fit the fallback's context: {text}."))
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Refusal::new(Code::ServerOverloaded, format!("Ollama is busy: {text}.")).retry_after(Duration::from_secs(2))
        }
        other => Refusal::new(Code::FallbackUnavailable, format!("Ollama answered {other}: {text}.")),
    }
}

/// What went wrong in the middle of an answer.
fn broke(text: &str) -> Refusal {
    Refusal::new(Code::BadUpstreamResponse, format!("Ollama reported an error: {}.", shown(text)))
}

fn error_of(body: &str) -> String {
    let text = serde_json::from_str::<Value>(body).ok().and_then(|body| body["error"].as_str().map(str::to_owned));
    shown(text.as_deref().unwrap_or(body)).trim_end_matches('.').to_owned()
}

fn tells_of_context(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("context")
        && ["exceed", "longer than", "too long", "does not fit"].iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_of_ollama_has_its_meaning() {
        let code = |status, body| refusal(StatusCode::from_u16(status).expect("a status"), body, "m").code;
        assert_eq!(code(404, r#"{"error":"model 'm' not found"}"#), Code::FallbackModelMissing);
        assert_eq!(code(400, r#"{"error":"\"m\" does not support tools"}"#), Code::FallbackUnsupported);
        assert_eq!(code(503, r#"{"error":"server busy, please try again."}"#), Code::ServerOverloaded);
        assert_eq!(code(500, r#"{"error":"model runner has unexpectedly stopped"}"#), Code::FallbackUnavailable);
        let too_long = r#"{"error":"input length (9 tokens) exceeds the model's maximum context length (8 tokens)"}"#;
        assert_eq!(code(500, too_long), Code::FallbackUnsupported);
        assert_eq!(code(307, ""), Code::FallbackUnavailable, "redirects are not followed");
    }
}
