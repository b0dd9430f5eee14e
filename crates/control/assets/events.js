// The events as a list that can be read, newest first, and narrowed down by a word or by who should care.

import { $, h, attr, text, clean, keyed, show } from "./dom.js";
import { levelOf } from "./model.js";
import { clock, count } from "./format.js";
import { narrate } from "./narrate.js";
import { language, t } from "./strings.js";

const MOST = 200;
const LEVELS = ["debug", "info", "warn", "error"];
let level = "info";
let wanted = "";

export function setUp(again) {
  $("level").addEventListener("change", (event) => {
    level = event.target.value;
    again();
  });
  $("filter").addEventListener("input", (event) => {
    wanted = event.target.value.trim().toLowerCase();
    again();
  });
}

export function draw(view) {
  const cared = view.events.filter((event) => LEVELS.indexOf(levelOf(event)) >= LEVELS.indexOf(level));
  const found = cared.filter(matches).reverse();
  const shown = found.slice(0, MOST);
  text($("events-count"), t("events_shown", count(found.length), count(view.events.length)) + (view.lost ? ` · ${t("events_lost", count(view.lost))}` : ""));
  show($("events-none"), found.length === 0);
  show($("events").parentElement, found.length > 0);
  keyed($("events"), shown, (event) => `${event.seq} ${language()}`, make);
}

function matches(event) {
  if (!wanted) return true;
  return `${event.event} ${event.child} ${narrate(event)} ${event.cause ?? ""}`.toLowerCase().includes(wanted);
}

function make(event) {
  const item = h(
    "li",
    { class: "event", "data-level": levelOf(event) },
    h("time", { datetime: event.at }, clock(event.at)),
    h("span", { class: "event-child" }, clean(event.child, 40)),
    h("span", { class: "event-text" }, clean(narrate(event), 500)),
  );
  if (event.cause) item.append(h("span", { class: "event-cause" }, clean(event.cause, 400)));
  attr(item, "title", event.event);
  return item;
}
