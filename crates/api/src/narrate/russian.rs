//! The narration in Russian.

use std::borrow::Cow;

use mlx_tree_language::Language;

use super::mebibytes;
use crate::Kind;

pub(super) fn russian(kind: &Kind) -> Option<(&'static str, String)> {
    Some(match kind {
        Kind::TreeStarted { pid } => ("🌳", format!("Дерево супервизоров запущено (PID: {pid})")),
        Kind::TreeStopping => ("🛑", "Дерево останавливается".to_owned()),
        Kind::TreeStopped { reason } => {
            let why = if reason == "stopped on request" { Cow::Borrowed("по запросу") } else { said(reason) };
            ("🏁", format!("Дерево остановлено ({why})"))
        }
        Kind::ServerSpawned { pid, url } => {
            ("🚀", format!("Процесс сервера запущен (PID: {pid}), идёт загрузка; адрес: {url}"))
        }
        Kind::ServerReady { pid, .. } => ("✅", format!("MLX API Server запущен и здоров (PID: {pid})")),
        Kind::ServerExited { code: Some(code), .. } => ("❌", format!("Сервер упал (код: {code})")),
        Kind::ServerExited { signal: Some(signal), .. } => ("❌", format!("Сервер упал (сигнал: {signal})")),
        Kind::ServerExited { message, .. } => ("❌", format!("Сервер не работает: {}", said(message))),
        Kind::ServerUnhealthy { reason } => {
            ("💔", format!("Сервер признан неработоспособным и будет завершён: {}", said(reason)))
        }
        Kind::ServerStopping { grace_s } => {
            ("🛑", format!("Остановка сервера (SIGTERM, до {grace_s:.0}с, затем SIGKILL)"))
        }
        Kind::ServerStopped { how } => ("⏹️", format!("Сервер остановлен ({})", said(how))),
        Kind::ServerWoken => ("⏰", "Сервер понадобился и запускается".to_owned()),
        Kind::ServerPutToSleep { reason } => {
            ("😴", format!("Сервер остановлен до следующего запроса: {}", said(reason)))
        }
        Kind::OrphanSettled { outcome } => {
            ("🧹", format!("Найден сервер, оставшийся от прошлого запуска: {}", said(outcome)))
        }
        Kind::HealthMonitoring => ("🔍", "Запущен цикл мониторинга".to_owned()),
        Kind::HealthFailed { streak, threshold, .. } => ("⚠️", format!("Health check failed ({streak}/{threshold})")),
        Kind::HealthSuspected { reason } => ("🤔", format!("Сервер под сомнением: {}", said(reason))),
        Kind::HealthRecovered { after } => ("💚", format!("Health check снова проходит (пропущено подряд: {after})")),
        Kind::RestartGranted { .. } => ("🔄", "Попытка перезапуска сервера...".to_owned()),
        Kind::RestartDelayed { delay_s } => {
            ("⏳", format!("Ожидание {delay_s:.1}с перед перезапуском (exponential backoff)"))
        }
        Kind::BreakerOpened { reason, open_for_s } => {
            let span = open_for_s.map_or_else(|| "до сброса".to_owned(), |span| format!("на {span:.0}с"));
            ("🔴", format!("Circuit breaker OPEN: перезапуски заблокированы {span} ({})", said(reason)))
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
        Kind::ChildExited { reason } => ("❌", format!("неожиданно завершился: {}", said(reason))),
        Kind::FallbackReady { name, models } => ("🪂", format!("Резерв {name} доступен (моделей: {models})")),
        Kind::FallbackUnavailable { name, reason } => ("🪂", format!("Резерв {name} недоступен: {}", said(reason))),
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
            ("🔀", format!("На запрос {request} отвечает резервный сервер {to}, с пометкой: {}", said(reason)))
        }
        Kind::RequestQuarantined { request, for_s } => {
            ("☣️", format!("Запрос {request} дважды уронил сервер и отклоняется в течение {for_s:.0}с"))
        }
        Kind::RequestFailed { request, code, message, .. } => {
            ("⚠️", format!("Запрос {request} завершился ошибкой ({code}): {message}"))
        }
        Kind::ServerDraining { reason, in_flight: 0 } => {
            ("🚰", format!("Сервер не получает новых запросов: {}", said(reason)))
        }
        Kind::ServerDraining { reason, in_flight } => {
            ("🚰", format!("Сервер не получает новых запросов и завершает текущие ({in_flight}): {}", said(reason)))
        }
        Kind::ServerRecycling { reason } => ("♻️", format!("Плановый перезапуск сервера: {}", said(reason))),
        Kind::ServerMemoryHigh { memory_bytes, limit_bytes, limit } => {
            let (used, allowed) = (mebibytes(*memory_bytes), mebibytes(*limit_bytes));
            let limit = if limit == "hard" { "жёсткого" } else { "мягкого" };
            ("🐘", format!("Сервер занимает {used} МиБ, больше {limit} предела в {allowed} МиБ"))
        }
        Kind::ConfigReloaded { changes } if changes.is_empty() => {
            ("📄", "Конфигурация перечитана: изменений нет".to_owned())
        }
        Kind::ConfigReloaded { changes } => {
            let changes: Vec<_> = changes.iter().map(|change| said(change)).collect();
            ("📄", format!("Конфигурация изменена: {}", changes.join("; ")))
        }
        Kind::ConfigRejected { reason } => {
            ("📄", format!("Конфигурация непригодна, действует прежняя: {}", said(reason)))
        }
        Kind::NotifyUndelivered { to, reason } => ("📪", format!("Не удалось оповестить {to}: {}", said(reason))),
        Kind::OperatorRequested { verb } => ("👤", format!("Команда оператора: {verb}")),
        Kind::ServerLoading | Kind::HealthBusy { .. } | Kind::ChildStarted | Kind::RequestHeld { .. } => return None,
    })
}

fn said(text: &str) -> Cow<'_, str> {
    Language::Ru.say(text)
}
