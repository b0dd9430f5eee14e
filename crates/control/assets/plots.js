// What was measured in the last minutes, as areas: memory, tokens, requests.

import { $, h, svg, attr, text } from "./dom.js";
import { trendOf } from "./model.js";
import { bytes, clock, count, rate, span } from "./format.js";
import { t } from "./strings.js";

const WIDTH = 400;
const HEIGHT = 110;
const PLOTS = [
  { name: "memory", value: (point) => point.memory_bytes ?? null, say: bytes, least: 2 ** 20 },
  { name: "tokens", value: (point) => point.tokens_per_s, say: rate, least: 10 },
  { name: "requests", value: (point) => point.in_flight, second: (point) => point.queued, say: count, least: 4 },
];
let plots = [];

export function setUp() {
  plots = PLOTS.map(make);
  $("plots").append(...plots.map((plot) => plot.root));
}

function make(kind) {
  const parts = {
    title: h("h2"), now: h("p", { class: "plot-now" }), peak: h("p", { class: "quiet plot-peak" }),
    grid: svg("path", { class: "grid", d: `M0 ${HEIGHT - 0.5}H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 0.5H${WIDTH}` }),
    area: svg("path", { class: "area" }), line: svg("path", { class: "curve" }), second: svg("path", { class: "curve second" }),
    cursor: svg("path", { class: "cursor" }),
    from: h("span"), at: h("span"), to: h("span"),
  };
  parts.picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, parts.grid, parts.area, parts.second, parts.line, parts.cursor);
  parts.picture.addEventListener("pointermove", (event) => point(plot, event));
  parts.picture.addEventListener("pointerleave", () => point(plot, null));
  const root = h("section", { class: `card plot plot-${kind.name}` }, h("div", { class: "plot-head" }, parts.title, parts.now, parts.peak), parts.picture, h("p", { class: "quiet plot-axis", "aria-hidden": "true" }, parts.from, parts.at, parts.to));
  const plot = { kind, root, points: [], ...parts };
  return plot;
}

export function draw(view) {
  const index = Math.max(0, view.all.indexOf(view.server));
  const points = trendOf(view.trend, view.server, index).points.slice(-1000);
  for (const plot of plots) update(plot, points);
}

function update(plot, points) {
  const { kind } = plot;
  const values = points.map(kind.value);
  const seconds = kind.second ? points.map(kind.second) : [];
  const known = values.filter((value) => value !== null);
  const peak = Math.max(0, ...known);
  const top = nice(Math.max(peak, ...seconds, kind.least));
  const last = values.at(-1) ?? null;
  const name = t(kind.name);
  plot.points = points;
  text(plot.title, name);
  text(plot.now, last === null ? t("none") : kind.say(last));
  text(plot.peak, known.length ? t("peak", kind.say(peak)) : "");
  attr(plot.picture, "aria-label", t("plot_label", name, last === null ? t("none") : kind.say(last), kind.say(peak)));
  const x = (index) => (points.length > 1 ? (index / (points.length - 1)) * WIDTH : WIDTH);
  const y = (value) => HEIGHT - 1 - (value / top) * (HEIGHT - 4);
  attr(plot.line, "d", curve(values, x, y));
  attr(plot.area, "d", area(values, x, y));
  attr(plot.second, "d", seconds.some((value) => value > 0) ? curve(seconds, x, y) : "");
  const length = points.length > 1 ? (Date.parse(points.at(-1).at) - Date.parse(points[0].at)) / 1000 : 0;
  text(plot.from, length ? t("since_ago", span(length)) : "");
  text(plot.to, length ? t("now") : "");
  const waiting = seconds.at(-1);
  if (waiting) text(plot.now, `${kind.say(last)} + ${kind.say(waiting)} ${t("legend_queued")}`);
}

/** The next round number from there upwards. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 5, 7.5, 10].map((it) => it * power).find((it) => it >= value) ?? value;
}

/** Stretches without a value are gaps. */
function stretches(values) {
  const found = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index === 0 || values[index - 1] === null) found.push([]);
    found.at(-1).push([index, value]);
  });
  return found;
}

const curve = (values, x, y) =>
  stretches(values).map((some) => some.map(([index, value], at) => `${at ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`).join("")).join("");

const area = (values, x, y) =>
  stretches(values).map((some) => `M${x(some[0][0]).toFixed(1)} ${HEIGHT}${some.map(([index, value]) => `L${x(index).toFixed(1)} ${y(value).toFixed(1)}`).join("")}L${x(some.at(-1)[0]).toFixed(1)} ${HEIGHT}Z`).join("");

/** What was at the place that is pointed to. */
function point(plot, event) {
  const { points, kind } = plot;
  text(plot.at, "");
  attr(plot.cursor, "d", "");
  if (!event || points.length < 2) return;
  const frame = plot.picture.getBoundingClientRect();
  const index = Math.round(((event.clientX - frame.left) / frame.width) * (points.length - 1));
  const there = points[Math.max(0, Math.min(points.length - 1, index))];
  const value = kind.value(there);
  attr(plot.cursor, "d", `M${((index / (points.length - 1)) * WIDTH).toFixed(1)} 0V${HEIGHT}`);
  text(plot.at, `${clock(there.at)} · ${value === null ? t("none") : kind.say(value)}`);
}
