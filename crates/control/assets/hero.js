// The one word for the state, why it is so, and what happens next.

import { $, h, attr, text, show, clean, keyed } from "./dom.js";
import { glyph, setGlyph } from "./glyphs.js";
import { phaseOf, tone, shape } from "./model.js";
import { span, countdown } from "./format.js";
import { say } from "./say.js";
import { named, t } from "./strings.js";

const big = glyph("unknown");

export function setUp(pick) {
  $("hero-glyph").append(big);
  $("chips").addEventListener("click", (event) => {
    const chip = event.target.closest("button");
    if (chip) pick(chip.dataset.server);
  });
}

export function draw(view) {
  const { server, all, status } = view;
  const phase = phaseOf(server);
  const word = named("word", phase);
  attr($("state"), "data-tone", tone(phase));
  attr(document.documentElement, "data-tone", tone(phase));
  setGlyph(big, shape(phase));
  text($("word"), word);
  text($("model"), clean([server.name, server.server.model, server.server.kind].filter(Boolean).join(" · "), 200));
  text($("incarnation"), server.server.epoch > 0 ? t("incarnation", server.server.epoch) : "");
  text($("reason"), clean(say(server.reason ?? ""), 400));
  show($("reason"), Boolean(server.reason) && phase !== "asleep");
  text($("next"), next(server, phase));
  const serves = phase === "ready" && server.server.ready_for_s !== undefined;
  show($("wait"), view.deadline !== null || serves);
  text($("wait-word"), t(serves ? "serving_for" : phase === "suspended" ? "next_suspended_in" : "next_backoff_in"));
  if (serves) text($("wait-left"), span(server.server.ready_for_s));
  text($("note"), clean(say(server.server.note ?? ""), 300));
  show($("note"), Boolean(server.server.note));
  // The reason above has told why.
  const degraded = (status.degraded ?? []).map((line) => (server.reason && line.endsWith(`: ${server.reason}`) ? line.slice(0, -server.reason.length - 2) : line));
  show($("degraded"), degraded.length > 0);
  keyed($("degraded-list"), degraded, (line) => line, () => h("li"), (item, line) => text(item, clean(say(line), 400)));
  chips(all, server);
  tick(view);
}

function next(server, phase) {
  switch (phase) {
    case "suspect":
      return t("next_suspect", server.health.failures, server.health.failure_threshold);
    case "suspended":
      return t(server.next_attempt_in_s === undefined ? "next_suspended_for_good" : "next_suspended");
    default:
      return named("next", phase);
  }
}

function chips(all, chosen) {
  show($("chips"), all.length > 1);
  attr($("chips"), "aria-label", t("pick_server"));
  if (all.length < 2) return;
  keyed(
    $("chips"),
    all,
    (server) => server.name,
    (server) => h("button", { type: "button", class: "chip", "data-server": server.name }, glyph("unknown"), h("b", {}, clean(server.name, 60)), h("span")),
    (chip, server) => {
      const phase = phaseOf(server);
      attr(chip, "data-tone", tone(phase));
      attr(chip, "aria-pressed", server.name === chosen.name ? "true" : "false");
      setGlyph(chip.children[0], shape(phase));
      text(chip.children[2], named("word", phase));
    },
  );
}

/** What changes by itself with time. */
export function tick(view) {
  if (view.deadline === null) return;
  text($("wait-left"), countdown((view.deadline - performance.now()) / 1000));
}
