// The connection to mlx-tree: the status again and again, the events as they come, and both anew when it was away.
//
//   asking ──status──▶ following ──a request fails, a stream ends──▶ waiting ──time, "now"──▶ asking
//     ▲  └──fails──────────────────────────────────────────────────────▲ │
//     └───────────────── hidden ◀── the tab is hidden ── any ◀──────────┘
//
// A hidden tab asks for nothing. Another process than before means that mlx-tree was started again: what is known is forgotten.

const STATUS_EVERY = 1000;
const PATIENCE = 5000;
const WAITS = [400, 800, 1600, 3000, 5000];

export class Link {
  #on;
  #last = 0;
  #run = null;
  #process = null;
  #uptime = 0;
  #failures = 0;
  #round = 0;
  #stop = null;
  #timer = null;
  #wanted = false;
  #busy = false;
  #measureNow = () => {};

  /** `on`: `{status, event, trend, reborn, lost, state}`; `state` is told `{up, since, retryAt}`. */
  constructor(on) {
    this.#on = on;
    this.since = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#halt() : this.start()));
    window.addEventListener("online", () => this.now());
  }

  start() {
    if (!document.hidden) this.#connect();
  }

  /** Tries again at once, if it waits. */
  now() {
    if (this.since !== null && !document.hidden) this.#connect();
  }

  #halt() {
    this.#round += 1;
    clearTimeout(this.#timer);
    this.#stop?.abort();
  }

  async #connect() {
    this.#halt();
    const round = this.#round;
    const stop = (this.#stop = new AbortController());
    try {
      await this.#ask(round);
      if (round !== this.#round) return;
      this.#failures = 0;
      this.since = null;
      this.#on.state({ up: true });
      this.#poll(round);
      this.#measure(round);
      await this.#follow(stop.signal, round);
      throw new Error("the stream has ended");
    } catch {
      if (round === this.#round) this.#down(round);
    }
  }

  #down(round) {
    if (round !== this.#round) return;
    this.#halt();
    this.since ??= Date.now();
    const wait = WAITS[Math.min(this.#failures, WAITS.length - 1)] * (0.8 + Math.random() * 0.4);
    this.#failures += 1;
    this.#on.state({ up: false, since: this.since, retryAt: Date.now() + wait });
    this.#timer = setTimeout(() => this.start(), wait);
  }

  async #ask(round) {
    const status = await json("/status", this.#stop.signal);
    if (round !== this.#round) return;
    const { pid, uptime_s: uptime } = status.supervisor;
    if (this.#process !== null && (pid !== this.#process || uptime < this.#uptime)) {
      this.#forget();
    }
    this.#process = pid;
    this.#uptime = uptime;
    this.#on.status(status);
  }

  #forget() {
    this.#last = 0;
    this.#run = null;
    this.#on.reborn();
  }

  async #poll(round) {
    while (round === this.#round) {
      await new Promise((done) => (this.#timer = setTimeout(done, STATUS_EVERY)));
      if (round === this.#round) await this.refresh();
    }
  }

  /** Asks for the status now, and once more afterwards if that was wanted meanwhile. */
  async refresh() {
    // Whoever is not connected asks anyway when he is.
    if (document.hidden || this.since !== null) return;
    if (this.#busy) {
      this.#wanted = true;
      return;
    }
    const round = this.#round;
    this.#busy = true;
    try {
      do {
        this.#wanted = false;
        await this.#ask(round);
      } while (this.#wanted && round === this.#round);
    } catch {
      this.#down(round);
    } finally {
      this.#busy = false;
    }
  }

  async #measure(round) {
    while (round === this.#round) {
      let step = 2;
      try {
        const trend = await json("/trend", this.#stop.signal);
        if (round !== this.#round) return;
        step = trend.step_s;
        this.#on.trend(trend);
      } catch {
        // The status tells whether mlx-tree is there; a trend that is missed once is no matter.
      }
      // An event changes the picture at once, but many of them do not make many questions.
      await pause(500);
      const woken = new Promise((done) => (this.#measureNow = done));
      await Promise.race([woken, pause(Math.max(1, Math.min(step || 2, 5)) * 1000 - 500)]);
    }
  }

  async #follow(signal, round) {
    const headers = { Accept: "text/event-stream" };
    if (this.#last > 0) headers["Last-Event-ID"] = String(this.#last);
    // A number counts in the run in which it was seen.
    const answer = await fetch(this.#run ? `/events?run=${encodeURIComponent(this.#run)}` : "/events", { headers, signal, cache: "no-store" });
    if (!answer.ok) throw new Error(`events: ${answer.status}`);
    for await (const { event, data } of serverSent(answer.body)) {
      if (round !== this.#round) return;
      let value;
      try {
        value = JSON.parse(data);
      } catch {
        continue;
      }
      if (event === "hello") {
        if (this.#run !== null && this.#run !== value.run) this.#forget();
        this.#run = value.run;
      } else if (event === "restarted" && this.#last > 0) this.#forget();
      else if (event === "lost") this.#on.lost(value.count);
      if (typeof value.seq !== "number") continue;
      this.#last = Math.max(this.#last, value.seq);
      this.#on.event(value);
      this.refresh();
      this.#measureNow();
    }
  }
}

const pause = (time) => new Promise((done) => setTimeout(done, time));

async function json(path, signal) {
  const answer = await fetch(path, { signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]), cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** The lines of a stream of text. */
export async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const parts = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = parts.pop();
      yield* parts;
    }
    if (rest) yield rest;
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function* serverSent(body) {
  let one = { event: "message", data: [] };
  for await (const line of lines(body)) {
    if (line === "") {
      if (one.data.length) yield { ...one, data: one.data.join("\n") };
      one = { event: "message", data: [] };
      continue;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (field === "data") one.data.push(value);
    else if (field === "event") one.event = value;
  }
}
