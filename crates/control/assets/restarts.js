// Every fall with its cause and what was done about it, newest first.

import { $, h, attr, text, prose, clean, keyed, show } from "./dom.js";
import { glyph } from "./glyphs.js";
import { restarts } from "./model.js";
import { clock, span } from "./format.js";
import { how } from "./tree.js";
import { say } from "./say.js";
import { t } from "./strings.js";

const MOST = 30;

export function draw(view) {
  const all = restarts(view.events, view.all[0].name);
  const shown = all.slice(0, MOST);
  prose($("restarts-hint"), all.length ? t("restarts_hint") : "");
  show($("restarts-none"), all.length === 0);
  show($("restarts").parentElement, all.length > 0);
  keyed($("restarts"), shown, (fall) => fall.key, make, update);
}

function make(fall) {
  return h(
    "li",
    { class: "fall", "data-kind": fall.kind },
    glyph(fall.kind === "planned" ? "stopping" : "failed"),
    h("p", { class: "fall-head" }, h("b"), h("span", { class: "quiet" }), h("time", { class: "quiet", datetime: fall.at })),
    h("p", { class: "fall-why" }),
    h("p", { class: "fall-cause" }),
    h("p", { class: "fall-done" }),
  );
}

function update(item, fall) {
  const [, head, why, cause, done] = item.children;
  text(head.children[0], fall.kind === "planned" ? t("how_planned") : how(fall));
  text(head.children[1], [fall.child === "server" ? null : clean(fall.child, 60), fall.epoch ? t("epoch", fall.epoch) : null].filter(Boolean).join(" · "));
  text(head.children[2], clock(fall.at));
  text(why, fall.given_up ? t("given_up", clean(say(fall.given_up), 300)) : clean(say(withoutCause(fall)), 300));
  text(cause, fall.cause ? clean(fall.cause, 400) : "");
  show(cause, Boolean(fall.cause));
  text(done, outcome(fall));
  attr(item, "data-back", fall.back === null ? "no" : "yes");
}

/** The cause has a line of its own. */
function withoutCause({ message, cause }) {
  return cause && message.endsWith(`: ${cause}`) ? message.slice(0, -cause.length - 2) : message;
}

function outcome(fall) {
  const words = fall.decisions.map((decision) => {
    switch (decision.event) {
      case "restart.delayed": return t("decided_delay", span(decision.delay_s));
      case "restart.granted": return null;
      case "breaker.opened": return t("decided_breaker");
      case "breaker.half_opened": return t("decided_trial");
      default: return null;
    }
  }).filter(Boolean);
  if (!words.length && fall.decisions.some((decision) => decision.event === "restart.granted")) words.push(t("decided_now"));
  if (fall.back !== null) words.push(t("back_after", span(fall.back)));
  else if (fall.kind === "planned" || fall.server !== null) words.push(t("still_down"));
  return words.join(" → ");
}
