//! The log that an operator reads: one event in, one line of plain words out, in English or Russian.

use serde::{Deserialize, Serialize};

use crate::{Event, Kind};

/// The languages of the narration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Russian.
    Ru,
}

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
    if let Kind::ServerExited { cause: Some(cause), .. } = &event.kind {
        line.push_str("\n   ↳ ");
        line.push_str(cause);
    }
    Some(line)
}

fn english(kind: &Kind) -> Option<(&'static str, String)> {
    Some(match kind {
        Kind::TreeStarted { pid } => ("🌳", format!("Supervision tree started (PID: {pid})")),
        Kind::TreeStopping => ("🛑", "Stopping the tree".to_owned()),
        Kind::TreeStopped { reason } => ("🏁", format!("Tree stopped ({reason})")),
        Kind::ServerSpawned { pid, url } => {
            ("🚀", format!("Server process started (PID: {pid}), loading; it will answer at {url}"))
        }
        Kind::ServerReady { pid, .. } => ("✅", format!("MLX API Server is up and healthy (PID: {pid})")),
        Kind::ServerExited { code: Some(code), .. } => ("❌", format!("Server went down (code: {code})")),
        Kind::ServerExited { signal: Some(signal), .. } => ("❌", format!("Server went down (signal: {signal})")),
        Kind::ServerExited { message, .. } => ("❌", format!("Server is down: {message}")),
        Kind::ServerUnhealthy { reason } => ("💔", format!("Server counts as down and is being ended: {reason}")),
        Kind::ServerStopping { grace_s } => {
            ("🛑", format!("Stopping the server (SIGTERM, up to {grace_s:.0}s, then SIGKILL)"))
        }
        Kind::ServerStopped { how } => ("⏹️", format!("Server stopped ({how})")),
        Kind::ServerWoken => ("⏰", "Server is wanted and is started".to_owned()),
        Kind::ServerPutToSleep { reason } => ("😴", format!("Server is put to sleep: {reason}")),
        Kind::OrphanSettled { outcome } => ("🧹", format!("A server was left behind by an earlier run: {outcome}")),
        Kind::HealthMonitoring => ("🔍", "Monitoring loop started".to_owned()),
        Kind::HealthFailed { streak, threshold, .. } => ("⚠️", format!("Health check failed ({streak}/{threshold})")),
        Kind::HealthSuspected { reason } => ("🤔", format!("Server is suspect: {reason}")),
        Kind::HealthRecovered { after } => ("💚", format!("Health checks pass again (after {after} missed)")),
        Kind::RestartGranted { .. } => ("🔄", "Attempting to restart the server...".to_owned()),
        Kind::RestartDelayed { delay_s } => {
            ("⏳", format!("Waiting {delay_s:.1}s before the restart (exponential backoff)"))
        }
        Kind::BreakerOpened { reason, open_for_s } => {
            let span = open_for_s.map_or_else(|| "until reset".to_owned(), |span| format!("for {span:.0}s"));
            ("🔴", format!("Circuit breaker OPEN: no restarts {span} ({reason})"))
        }
        Kind::BreakerHalfOpened => ("🟡", "Circuit breaker HALF_OPEN: one restart as a trial".to_owned()),
        Kind::BreakerClosed { reason } => ("🟢", format!("Circuit breaker CLOSED ({reason})")),
        Kind::ChildExited { reason } => ("❌", format!("ended unexpectedly: {reason}")),
        Kind::FallbackReady { name, models } => ("🪂", format!("The fallback {name} can be asked (models: {models})")),
        Kind::FallbackUnavailable { name, reason } => ("🪂", format!("The fallback {name} cannot be asked: {reason}")),
        Kind::FallbackUnloaded { model } => ("🪂", format!("The fallback's model {model} made room in memory")),
        Kind::GatewayListening { url } => ("🚪", format!("Clients are served at {url}")),
        Kind::GatewayDraining { in_flight } => ("🚪", format!("No new requests; {in_flight} in flight may finish")),
        Kind::RequestReplayed { request, attempt } => {
            ("🔁", format!("Request {request} is sent again (attempt {attempt}); its client has noticed nothing"))
        }
        Kind::RequestContinued { request, attempt } => {
            ("🧵", format!("Stream {request} goes on where it was cut (attempt {attempt})"))
        }
        Kind::RequestDiverted { request, to, reason } => {
            ("🔀", format!("Request {request} is answered by the fallback {to}, and labelled so: {reason}"))
        }
        Kind::RequestQuarantined { request, for_s } => {
            ("☣️", format!("Request {request} took the server down twice and is refused for {for_s:.0}s"))
        }
        Kind::RequestFailed { request, code, message, .. } => {
            ("⚠️", format!("Request {request} failed ({code}): {message}"))
        }
        Kind::OperatorRequested { verb } => ("👤", format!("Operator: {verb}")),
        Kind::ServerLoading | Kind::HealthBusy { .. } | Kind::ChildStarted | Kind::RequestHeld { .. } => return None,
    })
}

fn russian(kind: &Kind) -> Option<(&'static str, String)> {
    Some(match kind {
        Kind::TreeStarted { pid } => ("🌳", format!("Дерево супервизоров запущено (PID: {pid})")),
        Kind::TreeStopping => ("🛑", "Дерево останавливается".to_owned()),
        Kind::TreeStopped { reason } => {
            let why = if reason == "stopped on request" { "по запросу" } else { reason };
            ("🏁", format!("Дерево остановлено ({why})"))
        }
        Kind::ServerSpawned { pid, url } => {
            ("🚀", format!("Процесс сервера запущен (PID: {pid}), идёт загрузка; адрес: {url}"))
        }
        Kind::ServerReady { pid, .. } => ("✅", format!("MLX API Server запущен и здоров (PID: {pid})")),
        Kind::ServerExited { code: Some(code), .. } => ("❌", format!("Сервер упал (код: {code})")),
        Kind::ServerExited { signal: Some(signal), .. } => ("❌", format!("Сервер упал (сигнал: {signal})")),
        Kind::ServerExited { message, .. } => ("❌", format!("Сервер не работает: {message}")),
        Kind::ServerUnhealthy { reason } => {
            ("💔", format!("Сервер признан неработоспособным и будет завершён: {reason}"))
        }
        Kind::ServerStopping { grace_s } => {
            ("🛑", format!("Остановка сервера (SIGTERM, до {grace_s:.0}с, затем SIGKILL)"))
        }
        Kind::ServerStopped { how } => ("⏹️", format!("Сервер остановлен ({how})")),
        Kind::ServerWoken => ("⏰", "Сервер понадобился и запускается".to_owned()),
        Kind::ServerPutToSleep { reason } => {
            let reason = match reason.strip_prefix("it makes room for ") {
                Some(other) => format!("освобождает память для {other}"),
                None => "давно не было запросов".to_owned(),
            };
            ("😴", format!("Сервер остановлен до следующего запроса: {reason}"))
        }
        Kind::OrphanSettled { outcome } => {
            let outcome = outcome.replacen("ended", "завершён", 1);
            ("🧹", format!("Найден сервер, оставшийся от прошлого запуска: {outcome}"))
        }
        Kind::HealthMonitoring => ("🔍", "Запущен цикл мониторинга".to_owned()),
        Kind::HealthFailed { streak, threshold, .. } => ("⚠️", format!("Health check failed ({streak}/{threshold})")),
        Kind::HealthSuspected { reason } => ("🤔", format!("Сервер под подозрением: {reason}")),
        Kind::HealthRecovered { after } => ("💚", format!("Health check снова проходит (пропущено подряд: {after})")),
        Kind::RestartGranted { .. } => ("🔄", "Попытка перезапуска сервера...".to_owned()),
        Kind::RestartDelayed { delay_s } => {
            ("⏳", format!("Ожидание {delay_s:.1}с перед перезапуском (exponential backoff)"))
        }
        Kind::BreakerOpened { reason, open_for_s } => {
            let span = open_for_s.map_or_else(|| "до сброса".to_owned(), |span| format!("на {span:.0}с"));
            ("🔴", format!("Circuit breaker OPEN: перезапуски заблокированы {span} ({reason})"))
        }
        Kind::BreakerHalfOpened => ("🟡", "Circuit breaker HALF_OPEN: один пробный перезапуск".to_owned()),
        Kind::BreakerClosed { reason } => {
            let why = match reason.as_str() {
                "recovered" => "сервер восстановился",
                "reset" => "сброшен оператором",
                other => other,
            };
            ("🟢", format!("Circuit breaker CLOSED ({why})"))
        }
        Kind::ChildExited { reason } => ("❌", format!("неожиданно завершился: {reason}")),
        Kind::FallbackReady { name, models } => ("🪂", format!("Резерв {name} доступен (моделей: {models})")),
        Kind::FallbackUnavailable { name, reason } => ("🪂", format!("Резерв {name} недоступен: {reason}")),
        Kind::FallbackUnloaded { model } => ("🪂", format!("Модель резерва {model} освободила память")),
        Kind::GatewayListening { url } => ("🚪", format!("Клиенты обслуживаются по адресу {url}")),
        Kind::GatewayDraining { in_flight } => {
            ("🚪", format!("Новые запросы не принимаются; завершаются текущие: {in_flight}"))
        }
        Kind::RequestReplayed { request, attempt } => {
            ("🔁", format!("Запрос {request} отправлен повторно (попытка {attempt}); клиент ничего не заметил"))
        }
        Kind::RequestContinued { request, attempt } => {
            ("🧵", format!("Поток {request} продолжен с места обрыва (попытка {attempt})"))
        }
        Kind::RequestDiverted { request, to, reason } => {
            ("🔀", format!("На запрос {request} отвечает резервный сервер {to}, с пометкой: {reason}"))
        }
        Kind::RequestQuarantined { request, for_s } => {
            ("☣️", format!("Запрос {request} дважды уронил сервер и отклоняется в течение {for_s:.0}с"))
        }
        Kind::RequestFailed { request, code, message, .. } => {
            ("⚠️", format!("Запрос {request} завершился ошибкой ({code}): {message}"))
        }
        Kind::OperatorRequested { verb } => ("👤", format!("Команда оператора: {verb}")),
        Kind::ServerLoading | Kind::HealthBusy { .. } | Kind::ChildStarted | Kind::RequestHeld { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind) -> Event {
        Event { seq: 1, at: "2026-01-01T00:00:00Z".to_owned(), child: "server".to_owned(), epoch: 1, kind }
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
    fn a_name_in_code_is_the_name_on_the_wire() {
        for kind in [Kind::HealthMonitoring, Kind::BreakerHalfOpened, exited(Some(1), None, None)] {
            let json = serde_json::to_value(event(kind.clone())).expect("an event is plain data");
            assert_eq!(json["event"], kind.name());
        }
    }
}
