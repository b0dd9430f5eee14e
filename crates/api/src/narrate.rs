//! The log that an operator reads: one event in, one line of plain words out, in English or Russian.

mod english;
mod russian;

use std::fmt::Write as _;

use mlx_tree_language::Language;

use self::english::english;
use self::russian::russian;
use crate::{Event, Kind};

/// The narration of `event`, or `None` for an event that is routine.
///
/// Most events make one line. Where the cause of a failure is known it follows on a line of its own, so that the first line
/// stays the same whatever happened.
#[must_use]
pub fn narrate(event: &Event, language: Language) -> Option<String> {
    let (mark, text) = match language {
        Language::En => english(&event.kind),
        Language::Ru => russian(&event.kind),
    }?;
    let subject = match event.kind {
        Kind::ChildExited { .. } => format!("[SUPERVISOR/{}]", event.child),
        Kind::GatewayListening { .. }
        | Kind::GatewayDraining { .. }
        | Kind::RequestReplayed { .. }
        | Kind::RequestContinued { .. }
        | Kind::RequestDiverted { .. }
        | Kind::RequestQuarantined { .. }
        | Kind::RequestFailed { .. } => "[GATEWAY]".to_owned(),
        // Of several servers, each with its name.
        _ => match event.child.strip_suffix("/server") {
            Some(name) => format!("[SUPERVISOR/{name}]"),
            None => "[SUPERVISOR]".to_owned(),
        },
    };
    let mut line = format!("{mark} {subject} {text}");
    if let Kind::ServerExited { cause: Some(cause), .. } = &event.kind
        // The message may have told it.
        && !line.contains(cause.as_str())
    {
        line.push_str("\n   ↳ ");
        match cause.strip_prefix("help: ") {
            Some(advice) => {
                let _ = write!(line, "{}: {}", language.pick("help", "что делать"), language.say(advice));
            }
            // The words of somebody else.
            None => line.push_str(cause),
        }
    }
    Some(line)
}

const fn mebibytes(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind) -> Event {
        Event {
            seq: 1,
            at: "2026-01-01T00:00:00Z".to_owned(),
            child: "server".to_owned(),
            epoch: 1,
            server: None,
            kind,
        }
    }

    fn exited(code: Option<i32>, signal: Option<i32>, cause: Option<&str>) -> Kind {
        Kind::ServerExited {
            reason: "crashed".to_owned(),
            code,
            signal,
            message: "it crashed".to_owned(),
            cause: cause.map(str::to_owned),
        }
    }

    /// The operators' own words, to the letter.
    #[test]
    fn the_russian_narration_is_the_text_its_operators_know() {
        let story = [
            Kind::ServerReady { pid: 12345, url: "http://127.0.0.1:8080".to_owned(), took_s: 1.0 },
            Kind::HealthMonitoring,
            Kind::HealthFailed { streak: 1, threshold: 3, reason: "timed out".to_owned() },
            exited(Some(1), None, None),
            Kind::RestartGranted { consecutive: 1 },
            Kind::RestartDelayed { delay_s: 2.0 },
            Kind::ServerReady { pid: 12346, url: "http://127.0.0.1:8080".to_owned(), took_s: 1.0 },
        ];
        let told: Vec<_> = story.into_iter().filter_map(|kind| narrate(&event(kind), Language::Ru)).collect();
        assert_eq!(
            told.join("\n"),
            "✅ [SUPERVISOR] MLX API Server запущен и здоров (PID: 12345)\n\
             🔍 [SUPERVISOR] Запущен цикл мониторинга\n\
             ⚠️ [SUPERVISOR] Health check failed (1/3)\n\
             ❌ [SUPERVISOR] Сервер упал (код: 1)\n\
             🔄 [SUPERVISOR] Попытка перезапуска сервера...\n\
             ⏳ [SUPERVISOR] Ожидание 2.0с перед перезапуском (exponential backoff)\n\
             ✅ [SUPERVISOR] MLX API Server запущен и здоров (PID: 12346)"
        );
    }

    #[test]
    fn a_known_cause_follows_on_a_line_of_its_own() {
        let told = narrate(&event(exited(None, Some(6), Some("libc++abi: terminating"))), Language::En);
        assert_eq!(told.as_deref(), Some("❌ [SUPERVISOR] Server went down (signal: 6)\n   ↳ libc++abi: terminating"));
    }

    #[test]
    fn a_cause_is_told_once_and_advice_in_the_readers_language() {
        let down = |message: &str, cause: &str| {
            let kind = Kind::ServerExited {
                reason: "memory_limit".to_owned(),
                code: None,
                signal: None,
                message: message.to_owned(),
                cause: Some(cause.to_owned()),
            };
            narrate(&event(kind), Language::Ru)
        };
        assert_eq!(
            down("generation died: ValueError: x", "ValueError: x").as_deref(),
            Some("❌ [SUPERVISOR] Сервер не работает: поток генерации умер: ValueError: x")
        );
        assert_eq!(
            down("it uses 73 MiB, more than its hard limit of 40 MiB", "help: check server.cwd").as_deref(),
            Some(
                "❌ [SUPERVISOR] Сервер не работает: он занимает 73 МиБ, больше жёсткого предела в 40 МиБ\n   \
                 ↳ что делать: проверьте server.cwd"
            )
        );
    }

    #[test]
    fn a_name_in_code_is_the_name_on_the_wire() {
        for kind in [Kind::HealthMonitoring, Kind::BreakerHalfOpened, exited(Some(1), None, None)] {
            let json = serde_json::to_value(event(kind.clone())).expect("an event is plain data");
            assert_eq!(json["event"], kind.name());
        }
    }
}
