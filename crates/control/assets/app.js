// The page: what is known, who draws it, and when.

import { $, attr, text, show } from "./dom.js";
import * as events from "./events.js";
import * as hero from "./hero.js";
import { Link } from "./link.js";
import { phaseOf, servers } from "./model.js";
import * as operator from "./operator.js";
import * as plots from "./plots.js";
import * as restarts from "./restarts.js";
import { clock, countdown, span } from "./format.js";
import { language, named, speak, t } from "./strings.js";
import * as timeline from "./timeline.js";
import * as tree from "./tree.js";
import * as vitals from "./vitals.js";

const REMEMBERED = 1024;
const known = { status: null, received: 0, skew: 0, events: [], seen: 0, lost: 0, trend: null, chosen: null, waits: new Map(), link: { up: false }, said: "" };
const stale = { status: false, events: false, trend: false };
let frame = 0;

const link = new Link({
  status(status) {
    known.status = status;
    known.received = performance.now();
    for (const server of servers(status)) waiting(server);
    later("status");
  },
  event(event) {
    if (event.seq <= known.seen) return;
    known.seen = event.seq;
    known.events.push(event);
    if (known.events.length > REMEMBERED) known.events.shift();
    later("events");
  },
  trend(trend) {
    known.trend = trend;
    const last = trend.servers?.[0]?.points?.at(-1);
    // The clock of another machine may be another one; that of this one is not corrected by a step of the measurements.
    const skew = last ? Date.parse(last.at) - Date.now() : 0;
    known.skew = Math.abs(skew) > 15_000 ? skew : 0;
    later("trend");
  },
  lost(count) {
    known.lost += Number(count) || 0;
    later("events");
  },
  reborn() {
    Object.assign(known, { events: [], seen: 0, lost: 0, trend: null, waits: new Map() });
    text($("said"), t("reborn"));
    later("status", "events", "trend");
  },
  state(state) {
    const back = state.up && !known.link.up;
    known.link = state;
    if (back) operator.reconnected();
    drawLink();
  },
});

/** Until when a server waits, and how long that is in all, for the ring that empties. */
function waiting(server) {
  const left = server.next_attempt_in_s;
  if (left === undefined) {
    known.waits.delete(server.name);
    return;
  }
  const key = `${server.server.epoch} ${server.phase}`;
  const before = known.waits.get(server.name);
  const total = before?.key === key ? Math.max(before.total, left) : left;
  known.waits.set(server.name, { key, total, deadline: known.received + left * 1000 });
}

/** Draws what has changed, with the next frame. */
function later(...what) {
  for (const one of what) stale[one] = true;
  if (!frame) frame = requestAnimationFrame(draw);
}

function view() {
  const all = servers(known.status);
  const server = all.find((one) => one.name === known.chosen) ?? all[0];
  const fallback = known.events.findLast((event) => event.event === "fallback.ready" || event.event === "fallback.unavailable");
  return { ...known, all, server, fallback, deadline: known.waits.get(server.name)?.deadline ?? null };
}

function draw() {
  frame = 0;
  if (!known.status) return;
  const now = view();
  if (stale.status || stale.events) {
    hero.draw(now);
    tree.draw(now);
    vitals.draw(now);
    announce(now);
    const { version, pid, uptime_s: uptime } = known.status.supervisor;
    text($("version"), t("version", version, pid, span(uptime)));
  }
  if (stale.events) {
    restarts.draw(now);
    events.draw(now);
  }
  if (stale.events || stale.trend) timeline.draw(now);
  if (stale.trend || stale.status) plots.draw(now);
  Object.assign(stale, { status: false, events: false, trend: false });
  attr(document.body, "data-drawn", "yes");
}

/** Says a new state to those who do not see it, and puts it into the title of the tab. */
function announce({ server, all }) {
  const word = named("word", phaseOf(server));
  const said = all.length > 1 ? `${server.name}: ${word}` : word;
  const title = `${said} · mlx-tree`;
  if (document.title !== title) document.title = title;
  if (known.said && known.said !== said) text($("said"), said);
  known.said = said;
}

function drawLink() {
  const { up, since, retryAt } = known.link;
  attr($("link"), "data-up", up ? "yes" : "no");
  text($("link-word"), up ? t("live") : since ? t("offline") : t("connecting"));
  attr(document.body, "data-offline", !up && since ? "yes" : null);
  show($("banner"), !up && Boolean(since));
  if (up || !since) return;
  text($("banner-word"), t("offline_since", clock(since)));
  text($("banner-why"), t("offline_why"));
  text($("banner-retry"), t("retry_in", countdown((retryAt - Date.now()) / 1000)));
}

function tick() {
  if (document.hidden) return;
  if (!known.link.up) return drawLink();
  if (!known.status) return;
  const now = view();
  hero.tick(now);
  tree.tick();
  vitals.tick(now);
}

function words() {
  attr(document.documentElement, "lang", language());
  for (const element of document.querySelectorAll("[data-t]")) text(element, t(element.dataset.t));
  for (const element of document.querySelectorAll("[data-t-placeholder]")) attr(element, "placeholder", t(element.dataset.tPlaceholder));
  operator.draw();
  drawLink();
  later("status", "events", "trend");
}

// What was chosen on this machine. A browser that keeps nothing is no trouble.
const remember = (key, value) => {
  try {
    localStorage.setItem(`mlx-tree.${key}`, value);
  } catch { /* nothing is kept */ }
};
const recall = (key) => {
  try {
    return localStorage.getItem(`mlx-tree.${key}`);
  } catch {
    return null;
  }
};

function choose() {
  const own = navigator.language?.startsWith("ru") ? "ru" : "en";
  speak(recall("language") ?? own);
  $("language").value = language();
  $("language").addEventListener("change", (event) => {
    speak(event.target.value);
    remember("language", language());
    words();
  });
  const theme = ["auto", "light", "dark"].find((one) => one === recall("theme")) ?? "auto";
  const dress = (name) => attr(document.documentElement, "data-theme", name);
  $("theme").value = theme;
  dress(theme);
  $("theme").addEventListener("change", (event) => {
    dress(event.target.value);
    remember("theme", event.target.value);
  });
}

choose();
hero.setUp((name) => {
  known.chosen = name;
  later("status", "events", "trend");
});
tree.setUp();
vitals.setUp();
timeline.setUp();
plots.setUp();
events.setUp(() => later("events"));
operator.setUp(() => link.refresh());
$("retry").addEventListener("click", () => link.now());
words();
setInterval(tick, 100);
link.start();
