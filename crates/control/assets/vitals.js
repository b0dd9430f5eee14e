// What protects the server and how near each limit is: the breaker, the health checks, the gate.

import { $, h, attr, text, clean, show } from "./dom.js";
import { glyph, setGlyph } from "./glyphs.js";
import { gateOf, tone, shape } from "./model.js";
import { count, countdown, span } from "./format.js";
import { say } from "./say.js";
import { named, t } from "./strings.js";

const blocks = { breaker: block(2), health: block(1), queue: block(1) };

export function setUp() {
  $("vitals").append(...Object.values(blocks).map((it) => it.root));
}

function block(meters) {
  const mark = glyph("unknown");
  const title = h("h3");
  const word = h("span", { class: "vital-word" });
  const bars = Array.from({ length: meters }, () => {
    const label = h("span", { class: "quiet" });
    const value = h("span", { class: "meter-value" });
    const pips = h("span", { class: "pips" });
    return { root: h("div", { class: "meter", role: "meter", "aria-valuemin": 0 }, label, value, pips), label, value, pips };
  });
  const more = h("p", { class: "quiet vital-more" });
  const root = h("div", { class: "vital" }, h("div", { class: "vital-head" }, mark, title, word), ...bars.map((bar) => bar.root), more);
  return { root, mark, title, word, bars, more };
}

function meter(bar, label, value, limit, kind = "bad") {
  text(bar.label, label);
  text(bar.value, `${count(value)} / ${count(limit)}`);
  attr(bar.root, "aria-label", label);
  attr(bar.root, "aria-valuenow", value);
  attr(bar.root, "aria-valuemax", limit);
  const shown = Math.max(1, Math.min(limit, 16));
  const lit = limit > 0 ? Math.ceil((Math.min(value, limit) / limit) * shown) : 0;
  while (bar.pips.children.length > shown) bar.pips.lastChild.remove();
  while (bar.pips.children.length < shown) bar.pips.append(h("i"));
  attr(bar.root, "data-tone", value === 0 ? "off" : kind === "bad" && value >= limit ? "bad" : kind === "bad" ? "wait" : kind);
  [...bar.pips.children].forEach((pip, index) => attr(pip, "class", index < lit ? "lit" : null));
}

function head(it, title, word, kind, mark) {
  text(it.title, title);
  text(it.word, word);
  attr(it.root, "data-tone", kind);
  setGlyph(it.mark, mark);
}

export function draw(view) {
  const { breaker, health } = view.server;
  head(blocks.breaker, t("breaker"), named("breaker", breaker.state), tone(breaker.state), shape(breaker.state));
  meter(blocks.breaker.bars[0], t("failed_in_a_row"), breaker.consecutive_failures, breaker.failure_threshold);
  meter(blocks.breaker.bars[1], t("restarts_in", span(breaker.period_s)), breaker.restarts_in_window, breaker.max_restarts);

  const missed = health.failures;
  head(blocks.health, t("health"), t("missed_of", missed, health.failure_threshold), missed > 0 ? "wait" : "ok", missed > 0 ? "suspect" : "ready");
  meter(blocks.health.bars[0], t("checks_missed"), missed, health.failure_threshold);
  more(blocks.health, [health.last_ok_s_ago === undefined ? t("last_ok_never") : t("last_ok", span(health.last_ok_s_ago)), missed > 0 ? health.last_error : null]);

  const gate = gateOf(view.status, view.server);
  show(blocks.queue.bars[0].root, Boolean(gate));
  if (gate) {
    const waits = gate.queued > 0;
    head(blocks.queue, t("queue"), waits ? t("waiting_n", count(gate.queued)) : t("in_flight_n", count(gate.in_flight)), waits ? "wait" : "ok", waits ? "holding" : "door");
    meter(blocks.queue.bars[0], t("in_flight"), gate.in_flight, gate.limit, "ok");
    more(blocks.queue, [gate.limited_by ? named("limited", gate.limited_by) : null]);
  } else {
    head(blocks.queue, t("queue"), "", "off", "door");
    more(blocks.queue, [t("no_gateway")]);
  }
  tick(view);
}

function more(it, parts) {
  text(it.more, parts.filter(Boolean).map((part) => clean(say(part), 200)).join(" · "));
}

/** What changes by itself with time. */
export function tick(view) {
  const { breaker } = view.server;
  const left = breaker.half_open_in_s === undefined ? null : (view.received - performance.now()) / 1000 + breaker.half_open_in_s;
  more(blocks.breaker, [left !== null && breaker.state === "open" ? t("half_open_in", countdown(left)) : null, breaker.reason]);
}
