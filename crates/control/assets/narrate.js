// What an event says in one line, in English and in Russian: the very lines of mlx-tree's own narration, without their marks.
// A test holds the two against each other. Here the routine has lines as well, because whoever wants can see it.

import { say } from "./say.js";
import { language } from "./strings.js";

const fixed = (digits) => (value) => Number(value).toFixed(digits);
const whole = fixed(0);
const tenth = fixed(1);
const mebibytes = (bytes) => Math.floor(bytes / 2 ** 20);

const EN = {
  "tree.started": (e) => `Supervision tree started (PID: ${e.pid})`,
  "tree.stopping": () => "Stopping the tree",
  "tree.stopped": (e) => `Tree stopped (${e.reason})`,
  "server.spawned": (e) => `Server process started (PID: ${e.pid}), loading; it will answer at ${e.url}`,
  "server.loading": () => "Server answers; its model is loading",
  "server.ready": (e) => `MLX API Server is up and healthy (PID: ${e.pid})`,
  "server.exited": (e) => (e.code !== null ? `Server went down (code: ${e.code})` : e.signal !== null ? `Server went down (signal: ${e.signal})` : `Server is down: ${e.message}`),
  "server.unhealthy": (e) => `Server counts as down and is being ended: ${e.reason}`,
  "server.stopping": (e) => `Stopping the server (SIGTERM, up to ${whole(e.grace_s)}s, then SIGKILL)`,
  "server.stopped": (e) => `Server stopped (${e.how})`,
  "server.woken": () => "Server is wanted and is started",
  "server.put_to_sleep": (e) => `Server is put to sleep: ${e.reason}`,
  "orphan.settled": (e) => `A server was left behind by an earlier run: ${e.outcome}`,
  "health.monitoring": () => "Monitoring loop started",
  "health.failed": (e) => `Health check failed (${e.streak}/${e.threshold})`,
  "health.busy": (e) => `Health check missed while it makes progress: ${e.reason}`,
  "health.suspected": (e) => `Server is suspect: ${e.reason}`,
  "health.recovered": (e) => `Health checks pass again (after ${e.after} missed)`,
  "restart.granted": () => "Attempting to restart the server...",
  "restart.delayed": (e) => `Waiting ${tenth(e.delay_s)}s before the restart (exponential backoff)`,
  "breaker.opened": (e) => `Circuit breaker OPEN: no restarts ${e.open_for_s === null ? "until reset" : `for ${whole(e.open_for_s)}s`} (${e.reason})`,
  "breaker.half_opened": () => "Circuit breaker HALF_OPEN: one restart as a trial",
  "breaker.closed": (e) => `Circuit breaker CLOSED (${e.reason})`,
  "child.started": () => "started",
  "child.exited": (e) => `ended unexpectedly: ${e.reason}`,
  "fallback.ready": (e) => `The fallback ${e.name} can be asked (models: ${e.models})`,
  "fallback.unavailable": (e) => `The fallback ${e.name} cannot be asked: ${e.reason}`,
  "fallback.unloaded": (e) => `The fallback's model ${e.model} made room in memory`,
  "gateway.listening": (e) => `Clients are served at ${e.url}`,
  "gateway.draining": (e) => `No new requests; ${e.in_flight} in flight may finish`,
  "request.held": (e) => `Request ${e.request} waits: ${e.reason}`,
  "request.replayed": (e) => `Request ${e.request} is sent again (attempt ${e.attempt}); its client has noticed nothing`,
  "request.continued": (e) => `Stream ${e.request} goes on where it was cut (attempt ${e.attempt})`,
  "request.diverted": (e) => `Request ${e.request} is answered by the fallback ${e.to}, and labelled so: ${e.reason}`,
  "request.quarantined": (e) => `Request ${e.request} took the server down twice and is refused for ${whole(e.for_s)}s`,
  "request.failed": (e) => `Request ${e.request} failed (${e.code}): ${e.message}`,
  "server.draining": (e) => (e.in_flight === 0 ? `Server gets nothing new: ${e.reason}` : `Server gets nothing new and ends what it works on (in flight: ${e.in_flight}): ${e.reason}`),
  "server.recycling": (e) => `Planned restart of the server: ${e.reason}`,
  "server.memory_high": (e) => `Server uses ${mebibytes(e.memory_bytes)} MiB, more than its ${e.limit} limit of ${mebibytes(e.limit_bytes)} MiB`,
  "config.reloaded": (e) => (e.changes.length ? `Configuration changed: ${e.changes.join("; ")}` : "Configuration read again: no change"),
  "config.rejected": (e) => `Configuration cannot be used, the old one stays: ${e.reason}`,
  "notify.undelivered": (e) => `${e.to} could not be told: ${e.reason}`,
  "operator.requested": (e) => `Operator: ${e.verb}`,
};

const russianClosed = (reason) => ({ recovered: "сервер восстановился", reset: "сброшен оператором" })[reason] ?? reason;

const RU = {
  "tree.started": (e) => `Дерево супервизоров запущено (PID: ${e.pid})`,
  "tree.stopping": () => "Дерево останавливается",
  "tree.stopped": (e) => `Дерево остановлено (${e.reason === "stopped on request" ? "по запросу" : say(e.reason)})`,
  "server.spawned": (e) => `Процесс сервера запущен (PID: ${e.pid}), идёт загрузка; адрес: ${e.url}`,
  "server.loading": () => "Сервер отвечает; модель загружается",
  "server.ready": (e) => `MLX API Server запущен и здоров (PID: ${e.pid})`,
  "server.exited": (e) => (e.code !== null ? `Сервер упал (код: ${e.code})` : e.signal !== null ? `Сервер упал (сигнал: ${e.signal})` : `Сервер не работает: ${say(e.message)}`),
  "server.unhealthy": (e) => `Сервер признан неработоспособным и будет завершён: ${say(e.reason)}`,
  "server.stopping": (e) => `Остановка сервера (SIGTERM, до ${whole(e.grace_s)}с, затем SIGKILL)`,
  "server.stopped": (e) => `Сервер остановлен (${say(e.how)})`,
  "server.woken": () => "Сервер понадобился и запускается",
  "server.put_to_sleep": (e) => `Сервер остановлен до следующего запроса: ${say(e.reason)}`,
  "orphan.settled": (e) => `Найден сервер, оставшийся от прошлого запуска: ${say(e.outcome)}`,
  "health.monitoring": () => "Запущен цикл мониторинга",
  "health.failed": (e) => `Health check failed (${e.streak}/${e.threshold})`,
  "health.busy": (e) => `Health check пропущен, но работа идёт: ${say(e.reason)}`,
  "health.suspected": (e) => `Сервер под сомнением: ${say(e.reason)}`,
  "health.recovered": (e) => `Health check снова проходит (пропущено подряд: ${e.after})`,
  "restart.granted": () => "Попытка перезапуска сервера...",
  "restart.delayed": (e) => `Ожидание ${tenth(e.delay_s)}с перед перезапуском (exponential backoff)`,
  "breaker.opened": (e) => `Circuit breaker OPEN: перезапуски заблокированы ${e.open_for_s === null ? "до сброса" : `на ${whole(e.open_for_s)}с`} (${say(e.reason)})`,
  "breaker.half_opened": () => "Circuit breaker HALF_OPEN: один пробный перезапуск",
  "breaker.closed": (e) => `Circuit breaker CLOSED (${russianClosed(e.reason)})`,
  "child.started": () => "запущен",
  "child.exited": (e) => `неожиданно завершился: ${say(e.reason)}`,
  "fallback.ready": (e) => `Резерв ${e.name} доступен (моделей: ${e.models})`,
  "fallback.unavailable": (e) => `Резерв ${e.name} недоступен: ${say(e.reason)}`,
  "fallback.unloaded": (e) => `Модель резерва ${e.model} освободила память`,
  "gateway.listening": (e) => `Клиенты обслуживаются по адресу ${e.url}`,
  "gateway.draining": (e) => `Новые запросы не принимаются; завершаются текущие: ${e.in_flight}`,
  "request.held": (e) => `Запрос ${e.request} ждёт: ${say(e.reason)}`,
  "request.replayed": (e) => `Запрос ${e.request} отправлен повторно (попытка ${e.attempt}); клиент ничего не заметил`,
  "request.continued": (e) => `Поток ${e.request} продолжен с места обрыва (попытка ${e.attempt})`,
  "request.diverted": (e) => `На запрос ${e.request} отвечает резервный сервер ${e.to}, с пометкой: ${say(e.reason)}`,
  "request.quarantined": (e) => `Запрос ${e.request} дважды уронил сервер и отклоняется в течение ${whole(e.for_s)}с`,
  "request.failed": (e) => `Запрос ${e.request} завершился ошибкой (${e.code}): ${e.message}`,
  "server.draining": (e) => (e.in_flight === 0 ? `Сервер не получает новых запросов: ${say(e.reason)}` : `Сервер не получает новых запросов и завершает текущие (${e.in_flight}): ${say(e.reason)}`),
  "server.recycling": (e) => `Плановый перезапуск сервера: ${say(e.reason)}`,
  "server.memory_high": (e) => `Сервер занимает ${mebibytes(e.memory_bytes)} МиБ, больше ${e.limit === "hard" ? "жёсткого" : "мягкого"} предела в ${mebibytes(e.limit_bytes)} МиБ`,
  "config.reloaded": (e) => (e.changes.length ? `Конфигурация изменена: ${e.changes.join("; ")}` : "Конфигурация перечитана: изменений нет"),
  "config.rejected": (e) => `Конфигурация непригодна, действует прежняя: ${say(e.reason)}`,
  "notify.undelivered": (e) => `Не удалось оповестить ${e.to}: ${say(e.reason)}`,
  "operator.requested": (e) => `Команда оператора: ${e.verb}`,
};

export const NARRATIONS = { en: EN, ru: RU };

/** The line of an event. One that is not known here is told by its name. */
export function narrate(event) {
  const line = NARRATIONS[language()][event.event];
  try {
    return line ? line(event) : event.event;
  } catch {
    return event.event;
  }
}
