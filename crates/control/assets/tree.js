// The tree as a living picture: a card for each actor, lines that say whether it hangs on its supervisor, and the way of the
// requests below them. The cards are a list, so that they can be read without being seen.

import { $, h, svg, attr, text, clean, keyed } from "./dom.js";
import { glyph, setGlyph, ring, setRing } from "./glyphs.js";
import { OF_A_SERVER, UP, gateOf, phaseOf, servers, tone, shape } from "./model.js";
import { countdown } from "./format.js";
import { say } from "./say.js";
import { many, named, t } from "./strings.js";

const lines = svg("svg", { class: "lines", "aria-hidden": "true", focusable: "false" });
const flows = svg("g", { class: "flows" });
const branches = svg("g", { class: "branches" });
const root = card("root");
const list = h("ul", { class: "children" });
let drawn = null;

export function setUp() {
  lines.append(branches, flows);
  $("picture").append(lines, h("ul", { class: "trunk" }, h("li", {}, root, list)));
  new ResizeObserver(() => drawn && connect(drawn)).observe($("picture"));
}

function card(id) {
  return h(
    "div",
    { class: "node", "data-id": id },
    h("span", { class: "node-mark" }, ring(), glyph("unknown")),
    h("span", { class: "node-name" }),
    h("span", { class: "node-word" }),
    h("span", { class: "node-detail" }),
    h("span", { class: "node-life quiet" }),
  );
}

function paint(node, it) {
  const before = node.dataset.word;
  attr(node, "data-tone", it.tone);
  attr(node, "data-word", it.word);
  const [mark, name, word, detail, life] = node.children;
  setGlyph(mark.lastChild, it.shape);
  attr(mark, "data-waits", it.deadline ? "yes" : null);
  node.deadline = it.deadline;
  node.total = it.total;
  text(name, clean(it.name, 40));
  if (!it.deadline) text(word, it.said);
  text(detail, clean(it.detail, 90));
  text(life, it.life);
  attr(node, "title", clean(say(it.why ?? ""), 300) || null);
  if (before && before !== it.word) flash(node, it.tone);
}

function flash(node, kind) {
  node.classList.remove("changed", "fell");
  void node.offsetWidth; // so that the animation begins anew
  node.classList.add(kind === "wait" || kind === "bad" ? "fell" : "changed");
}

/** What is shown of every child of the root, in order. */
function nodesOf(view) {
  const all = servers(view.status);
  const first = all[0];
  return view.status.children.map((child) => {
    const own = all.find((server) => server.name === child.id && server !== first);
    if (own) {
      const parts = OF_A_SERVER.map((id) => own.children.find((it) => it.id === id)).filter(Boolean);
      const below = parts.map((part) => nodeOf(view, part, own));
      const node = supervisor(child);
      // One that has trouble below it is well itself, and is to be looked at all the same.
      return { ...node, tone: below.some((part) => part.tone === "bad") ? "wait" : node.tone, server: own, parts: below };
    }
    return nodeOf(view, child, OF_A_SERVER.includes(child.id) ? first : null);
  });
}

function life(child) {
  if (child.epoch === 0) return "";
  return child.restarts > 0 ? `${t("epoch", child.epoch)} · ${many("restarts_n", child.restarts)}` : t("epoch", child.epoch);
}

function plain(child, view) {
  const waits = child.next_start_in_s;
  const deadline = waits === undefined ? null : view.received + waits * 1000;
  return {
    id: child.id, name: child.id, word: child.state, said: named("child", child.state), tone: tone(child.state), shape: shape(child.state),
    detail: "", life: life(child), why: child.last_exit, deadline, total: Math.max(waits ?? 0, 0.1),
  };
}

const supervisor = (child) => ({
  id: child.id, name: child.id, word: child.state, said: t("root"), tone: tone(child.state), shape: shape(child.state), detail: "", life: life(child),
  why: child.last_exit, deadline: null,
});

function nodeOf(view, child, server) {
  const node = plain(child, view);
  const well = child.state === "ready" || child.state === "up";
  if (child.id === "server" && server) return { ...node, ...ofServer(view, server, child) };
  if (child.id === "gateway" && well) return { ...node, ...ofGateway(view) };
  if (child.id === "fallback" && well) return { ...node, ...ofFallback(view) };
  if (child.id === "health" && server && well) {
    const { failures, failure_threshold: limit } = server.health;
    const missed = t("missed_of", failures, limit);
    return failures > 0 ? { ...node, said: missed, tone: "wait", shape: "suspect", word: "missed" } : { ...node, said: t("watching"), detail: missed };
  }
  if (child.id === "breaker" && server && well) {
    const { state, consecutive_failures: failures, failure_threshold: limit } = server.breaker;
    return { ...node, word: state, said: named("breaker", state), tone: tone(state), shape: shape(state), detail: t("failures_of", failures, limit) };
  }
  return node;
}

function ofServer(view, server, child) {
  const phase = phaseOf(server);
  const wait = view.waits.get(server.name);
  const exit = server.last_exit;
  const down = !UP.includes(phase);
  let detail = server.process_pid ? t("pid", server.process_pid) : "";
  if (down && exit && exit.epoch >= child.epoch - 1 && phase !== "stopped" && phase !== "asleep" && !server.process_pid) detail = t("exited", how(exit));
  return { word: phase, said: named("word", phase), tone: tone(phase), shape: shape(phase), detail, deadline: wait?.deadline ?? null, total: wait?.total, why: server.reason };
}

export const how = (exit) => {
  if (exit.code !== null && exit.code !== undefined) return t("code", exit.code);
  return exit.signal ? t("signal", SIGNALS[exit.signal] ?? `signal ${exit.signal}`) : clean(exit.reason, 60);
};

const SIGNALS = { 1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM" };

function ofGateway(view) {
  const { gateway, state } = view.status;
  const holding = ["starting", "restarting", "suspended"].includes(state);
  const shut = state === "failed" || (state === "stopped" && view.status.reason === "stopped on request");
  const word = shut ? "shut" : holding ? "holding" : "open";
  const look = { open: ["ok", "door"], holding: ["wait", "holding"], shut: ["off", "stopped"] }[word];
  const busy = gateway ? [t("in_flight_n", gateway.in_flight), ...(gateway.queued ? [t("waiting_n", gateway.queued)] : [])].join(" · ") : "";
  return { word, said: t(`gate_${word}`), tone: look[0], shape: look[1], detail: busy };
}

function ofFallback(view) {
  const known = view.fallback;
  if (!known) return { detail: t("fallback_none"), shape: "unknown", tone: "off" };
  if (known.event === "fallback.ready") return { detail: t("fallback_of", known.name, known.models) };
  return { word: "unavailable", said: t("fallback_out"), tone: "off", shape: "stopped", detail: known.name, why: known.reason };
}

export function draw(view) {
  const nodes = nodesOf(view);
  const troubled = (node) => node.tone === "bad" || node.parts?.some(troubled);
  const well = !nodes.some(troubled);
  paint(root, {
    name: "root", word: "up", said: t("root"), tone: well ? "ok" : "wait", shape: "ready", detail: t("strategy"), life: t("pid", view.status.supervisor.pid), deadline: null,
  });
  attr(list, "data-count", nodes.length);
  keyed(
    list,
    nodes,
    (node) => node.id,
    (node) => {
      const item = h("li", { class: node.parts ? "group" : null }, card(node.id));
      if (node.parts) item.append(h("ul", { class: "parts" }));
      return item;
    },
    (item, node) => {
      paint(item.firstChild, node);
      if (!node.parts) return;
      const parts = item.lastChild;
      keyed(parts, node.parts, (part) => part.id, (part) => h("li", {}, card(part.id)), (one, part) => paint(one.firstChild, part));
    },
  );
  drawn = { view, nodes };
  // What counts down has its width too, and the lines lead to where the cards stand then.
  tick();
  connect(drawn);
}

/** Draws the lines, from where the cards have come to stand. */
function connect({ view, nodes }, again = true) {
  const picture = $("picture");
  const frame = picture.getBoundingClientRect();
  if (frame.width === 0) return;
  attr(lines, "viewBox", `0 0 ${Math.round(frame.width)} ${Math.round(frame.height)}`);
  const box = (element) => {
    const it = element.getBoundingClientRect();
    return { left: it.left - frame.left, right: it.right - frame.left, top: it.top - frame.top, bottom: it.bottom - frame.top, x: it.left - frame.left + it.width / 2, y: it.top - frame.top + it.height / 2 };
  };
  const items = [...list.children];
  const boxes = items.map((item) => box(item));
  const from = box(root);
  const shape = shapeOf(boxes);
  if (picture.dataset.shape !== shape && again) {
    // The room between the cards is another one in another shape.
    attr(picture, "data-shape", shape);
    return connect({ view, nodes }, false);
  }
  const paths = boxes.map((to, index) => ({ id: nodes[index].id, tone: nodes[index].tone, d: BRANCH[shape](from, to, boxes) }));
  keyed(branches, paths, (path) => path.id, () => svg("path"), (path, it) => {
    attr(path, "d", it.d);
    attr(path, "data-tone", it.tone);
  });
  keyed(flows, shape === "row" ? flowsOf(view, nodes, boxes) : [], (flow) => flow.id, () => svg("path"), (path, flow) => {
    attr(path, "d", flow.d);
    attr(path, "data-state", flow.state);
  });
}

/** How the cards have come to stand: in one row, in one column, or in several rows. */
function shapeOf(boxes) {
  const alike = (side) => boxes.every((it) => Math.abs(it[side] - boxes[0][side]) < 2);
  if (alike("left")) return "column";
  return alike("top") ? "row" : "rows";
}

const BRANCH = { row: branch, column: stub, rows: shelf };

function branch(from, to) {
  const middle = (from.bottom + to.top) / 2;
  return `M${from.x} ${from.bottom}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.top}`;
}

function stub(from, to) {
  const x = from.left + 14;
  const y = to.top + 28;
  return `M${x} ${from.bottom}V${y - 10}q0 10 10 10H${to.left}`;
}

/** Down the left side, along above the row, and down again. */
function shelf(from, to, boxes) {
  const above = (box) => box.top - 12;
  const first = above(boxes[0]);
  const left = Math.min(...boxes.map((box) => box.left)) - 14;
  const row = above(to);
  const along = row > first + 2 ? `H${left}V${row}` : "";
  return `M${from.x} ${from.bottom}V${first}${along}H${to.x}V${to.top}`;
}

function flowsOf(view, nodes, boxes) {
  const gateway = nodes.findIndex((node) => node.id === "gateway");
  if (gateway < 0) return [];
  const at = boxes[gateway];
  const found = [];
  nodes.forEach((node, index) => {
    const server = node.server ?? (node.id === "server" ? servers(view.status)[0] : null);
    const gate = server && gateOf(view.status, server);
    if (!gate) return;
    const to = boxes[index];
    const state = gate.queued > 0 && gate.in_flight === 0 ? "held" : gate.in_flight > 0 ? "flowing" : "idle";
    const base = Math.max(at.bottom, to.bottom);
    found.push({ id: node.id, state, d: `M${at.x} ${at.bottom}C${at.x} ${base + 40} ${to.x} ${base + 40} ${to.x} ${to.bottom + 2}` });
  });
  return found;
}

/** What changes by itself with time. */
export function tick() {
  for (const node of $("picture").querySelectorAll(".node")) {
    if (!node.deadline) continue;
    const left = Math.max(0, (node.deadline - performance.now()) / 1000);
    setRing(node.firstChild.firstChild, left / Math.max(node.total ?? left, 0.1));
    text(node.children[2], `${t("in_time", countdown(left))}`);
  }
}
