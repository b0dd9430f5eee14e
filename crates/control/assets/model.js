// What can be read out of status, events and trend, without drawing anything.

/** The five tones that colours stand for. */
export const TONE = {
  starting: "work", loading: "work", ready: "ok", busy: "ok", suspect: "wait", draining: "work", stopping: "work", backoff: "wait",
  suspended: "bad", stopped: "off", failed: "bad", asleep: "off",
  down: "off", up: "work", waiting: "wait", closed: "ok", open: "bad", half_open: "wait", unknown: "off",
};

const GLYPH = {
  starting: "starting", loading: "starting", ready: "ready", busy: "busy", suspect: "suspect", draining: "stopping", stopping: "stopping",
  backoff: "waiting", suspended: "suspended", stopped: "stopped", failed: "failed", asleep: "asleep",
  down: "stopped", up: "starting", waiting: "waiting", closed: "closed", open: "open", half_open: "half_open",
};

export const tone = (word) => TONE[word] ?? "off";
export const shape = (word) => GLYPH[word] ?? "unknown";

/** Every server of a status, the default one first, each with the keys of one. */
export function servers(status) {
  if (status.servers?.length) return status.servers;
  return [{ ...status, name: "", children: status.children.filter((child) => OF_A_SERVER.includes(child.id)) }];
}

export const OF_A_SERVER = ["server", "health", "breaker"];

/** The phase of a server, with sleep told apart from a stop that somebody ordered. */
export function phaseOf(server) {
  const asleep = server.phase === "stopped" && server.reason?.startsWith("asleep");
  return asleep ? "asleep" : server.phase;
}

/** What was measured of a server, which is the `index`-th of the status. */
export function trendOf(trend, server, index) {
  const all = trend?.servers ?? [];
  return all.find((one) => one.server === server.name) ?? all[index] ?? { points: [], phases: [] };
}

/** The gate of a server, if clients come by a gateway. */
export function gateOf(status, server) {
  const gates = status.gateway?.gates ?? [];
  return gates.find((gate) => gate.server === server.name) ?? (server.name === "" ? gates[0] : undefined);
}

/** Which server an event is about, by the name of that server in the status; `null` for none of them. */
export function serverOf(event, first) {
  const parts = event.child.split("/");
  if (parts.length === 2 && OF_A_SERVER.includes(parts[1])) return parts[0];
  return OF_A_SERVER.includes(event.child) ? first : null;
}

const LEVELS = {
  debug: ["server.loading", "child.started", "health.busy", "request.held"],
  warn: [
    "server.exited", "server.unhealthy", "orphan.settled", "health.failed", "health.suspected", "fallback.unavailable",
    "request.diverted", "request.failed", "server.memory_high", "notify.undelivered", "child.exited",
  ],
  error: ["config.rejected", "breaker.opened", "request.quarantined"],
};
const LEVEL = new Map(Object.entries(LEVELS).flatMap(([level, names]) => names.map((name) => [name, level])));

/** Who should care: `debug`, `info`, `warn` or `error`. */
export const levelOf = (event) => LEVEL.get(event.event) ?? "info";

/**
 * The restarts, newest first: every end of a server or another child that nobody asked for, every planned restart, and what
 * was done about it.
 */
export function restarts(events, first) {
  const open = new Map();
  const all = [];
  for (const event of events) {
    const last = open.get(event.child);
    switch (event.event) {
      case "server.unhealthy":
        open.set(event.child, { child: event.child, at: event.at, key: event.seq, epoch: event.epoch, given_up: event.reason, decisions: [] });
        break;
      case "server.exited":
      case "child.exited": {
        const entry = {
          child: event.child, server: serverOf(event, first), key: event.seq, at: event.at, epoch: event.epoch, kind: "failure",
          code: event.code ?? null, signal: event.signal ?? null, reason: event.reason, message: event.message ?? event.reason,
          cause: event.cause ?? null, given_up: last && !last.kind && last.epoch === event.epoch ? last.given_up : null,
          decisions: [], back: null,
        };
        open.set(event.child, entry);
        all.push(entry);
        break;
      }
      case "server.recycling": {
        const entry = {
          child: event.child, server: serverOf(event, first), key: event.seq, at: event.at, epoch: event.epoch, kind: "planned",
          reason: "planned", message: event.reason, cause: null, given_up: null, decisions: [], back: null,
        };
        open.set(event.child, entry);
        all.push(entry);
        break;
      }
      case "restart.delayed":
      case "restart.granted":
      case "breaker.opened":
      case "breaker.half_opened":
      case "tree.stopping": {
        const about = last ?? open.get(event.child.replace(/breaker$/, "server"));
        if (about?.kind === "failure") about.decisions.push(event);
        break;
      }
      case "server.spawned":
        if (last?.kind) last.epoch_next = event.epoch;
        break;
      case "server.ready":
        if (last?.kind && last.back === null) {
          last.back = (Date.parse(event.at) - Date.parse(last.at)) / 1000;
          open.delete(event.child);
        }
        break;
      default:
        break;
    }
  }
  return all.reverse();
}

/** The phases of one server as spans inside a window, oldest first: `{phase, from, to}`, in milliseconds. */
export function spans(phases, start, end) {
  const found = [];
  phases.forEach((began, index) => {
    const from = Math.max(start, Date.parse(began.at));
    const to = index + 1 < phases.length ? Math.min(end, Date.parse(phases[index + 1].at)) : end;
    if (to <= from) return;
    const before = found.at(-1);
    if (before?.phase === began.phase) before.to = to;
    else found.push({ phase: began.phase, from, to });
  });
  return found;
}

export const UP = ["ready", "busy", "suspect", "draining"];
const ASKED = ["stopped", "asleep"];

/** How much of the time that is known it served, and its outages. Time in which it was stopped on request does not count. */
export function availability(found) {
  let up = 0;
  let known = 0;
  const outages = [];
  let begun = null;
  let seen = false;
  for (const { phase, from, to } of found) {
    const length = (to - from) / 1000;
    if (UP.includes(phase)) {
      up += length;
      known += length;
      seen = true;
    } else if (!ASKED.includes(phase) && seen) known += length;
    const down = seen && !UP.includes(phase) && !ASKED.includes(phase);
    if (down) begun = (begun ?? 0) + length;
    else if (begun !== null) {
      outages.push(begun);
      begun = null;
    }
  }
  if (begun !== null) outages.push(begun);
  return { share: known > 0 ? up / known : null, outages: outages.length, longest: Math.max(0, ...outages) };
}

/** Phases from events, for a mlx-tree that has not measured any yet. */
export function phasesFrom(events, child) {
  const words = {
    "server.spawned": "starting", "server.loading": "loading", "server.ready": "ready", "server.exited": "backoff",
    "server.stopping": "stopping", "server.stopped": "stopped", "breaker.opened": "suspended", "health.suspected": "suspect",
    "health.recovered": "ready",
  };
  const about = (event) => event.child === child || event.child === child.replace(/server$/, "health") || event.child === child.replace(/server$/, "breaker");
  return events.filter((event) => words[event.event] && about(event)).map((event) => ({ phase: words[event.event], at: event.at }));
}
