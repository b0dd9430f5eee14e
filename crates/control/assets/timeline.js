// The last quarter of an hour of every server: a band whose colour, height and pattern say the phase, and a mark for each fall.

import { $, h, svg, attr, text, clean, keyed, show } from "./dom.js";
import { availability, phasesFrom, serverOf, servers, spans, tone, trendOf } from "./model.js";
import { clock, share, span } from "./format.js";
import { many, named, t } from "./strings.js";

const WINDOW = 15 * 60 * 1000;
const WIDTH = 1000;
const HEIGHT = 40;
// How high the band is: the more it serves, the higher.
const LEVEL = { ok: 1, wait: 0.62, work: 0.8, bad: 0.38, off: 0.16 };
let axis = null;
let rows = null;
let nothing = null;

export function setUp() {
  rows = h("ul", { class: "rows" });
  axis = h("div", { class: "axis quiet", "aria-hidden": "true" }, ...[15, 10, 5, 0].map(() => h("span")));
  nothing = h("p", { class: "empty" });
  $("timeline").append(rows, axis, nothing);
}

export function draw(view) {
  [15, 10, 5, 0].forEach((minutes, index) => text(axis.children[index], minutes ? t("minutes_ago", minutes) : t("now")));
  const end = Date.now() + view.skew;
  const start = end - WINDOW;
  const all = servers(view.status).map((server, index) => ({ server, found: spans(phasesOf(view, server, index), start, end) }));
  const some = all.some((one) => one.found.length);
  text(nothing, t("no_past"));
  show(nothing, !some);
  show(axis, some);
  keyed(rows, some ? all : [], (one) => one.server.name, make, (row, one) => update(row, one, view, start, end));
}

function phasesOf(view, server, index) {
  const measured = trendOf(view.trend, server, index).phases;
  if (measured.length) return measured;
  return phasesFrom(view.events, index === 0 ? "server" : `${server.name}/server`);
}

function make() {
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  picture.append(svg("g", { class: "bands" }), svg("g", { class: "falls-marks" }));
  return h("li", { class: "row" }, h("span", { class: "row-name" }), h("span", { class: "row-sum quiet" }), picture);
}

function update(row, { server, found }, view, start, end) {
  const [name, sum, picture] = row.children;
  const called = clean(server.name || server.server.model, 60);
  text(name, called);
  const said = summary(availability(found));
  text(sum, said);
  attr(picture, "aria-label", t("timeline_of", called, said));
  const x = (at) => ((at - start) / WINDOW) * WIDTH;
  const bands = found.map(({ phase, from, to }, index) => {
    const kind = tone(phase);
    // So short that nobody would see it is exactly what must be seen.
    const width = Math.max(x(to) - x(from), kind === "ok" ? 0.5 : 3);
    const left = Math.min(x(from), WIDTH - width);
    const high = HEIGHT * LEVEL[kind];
    return { key: index, kind, left, width, high, title: `${named("word", phase)} · ${clock(from)} · ${span((to - from) / 1000)}` };
  });
  // What is short and bad is drawn over what is long and good.
  bands.sort((one, other) => (one.kind === "ok" ? 0 : 1) - (other.kind === "ok" ? 0 : 1));
  keyed(picture.children[0], bands, (band) => band.key, () => svg("rect", {}, svg("title")), (rect, band) => {
    attr(rect, "x", band.left.toFixed(2));
    attr(rect, "y", (HEIGHT - band.high).toFixed(2));
    attr(rect, "width", band.width.toFixed(2));
    attr(rect, "height", band.high.toFixed(2));
    attr(rect, "data-tone", band.kind);
    text(rect.firstChild, band.title);
  });
  const first = servers(view.status)[0].name;
  const falls = view.events.filter((event) => event.event === "server.exited" && serverOf(event, first) === server.name && Date.parse(event.at) > start);
  keyed(picture.children[1], falls, (fall) => fall.seq, () => svg("path"), (path, fall) => {
    attr(path, "d", `M${x(Date.parse(fall.at)).toFixed(2)} 0V${HEIGHT}`);
  });
}

function summary({ share: part, outages, longest }) {
  const parts = [];
  if (part !== null) parts.push(t("up_share", share(part)));
  parts.push(outages ? many("outages_n", outages) : t("no_outage"));
  if (outages) parts.push(t("longest", span(longest)));
  return parts.join(" · ");
}
