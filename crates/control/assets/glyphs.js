// What stands for a state beside its colour and its word: a shape that can be told from the others without colour.

import { svg, attr } from "./dom.js";

// Each is drawn into 24 by 24. `fill` parts are solid, `line` parts are strokes.
const SHAPES = {
  ready: [["circle", { cx: 12, cy: 12, r: 10, class: "solid" }], ["path", { d: "M7.2 12.4l3.3 3.3 6.4-7", class: "cut" }]],
  busy: [
    ["circle", { cx: 12, cy: 12, r: 10, class: "solid" }],
    ["path", { d: "M7.2 12h.01M12 12h.01M16.8 12h.01", class: "cut dots" }],
  ],
  suspect: [
    ["path", { d: "M12 2.6 22.4 20.6H1.6Z", class: "solid round" }],
    ["path", { d: "M12 9.4v5M12 17.4h.01", class: "cut" }],
  ],
  starting: [["circle", { cx: 12, cy: 12, r: 9, class: "track" }], ["path", { d: "M12 3a9 9 0 0 1 9 9", class: "line turning" }]],
  waiting: [
    ["path", { d: "M6 3.2h12M6 20.8h12M7.4 3.4c0 5 4.6 6 4.6 8.6s-4.6 3.6-4.6 8.6M16.6 3.4c0 5-4.6 6-4.6 8.6s4.6 3.6 4.6 8.6", class: "line" }],
  ],
  suspended: [
    ["path", { d: "M8 2h8l6 6v8l-6 6H8l-6-6V8Z", class: "solid round" }],
    ["path", { d: "M9.2 8.2v7.6M14.8 8.2v7.6", class: "cut" }],
  ],
  failed: [
    ["path", { d: "M12 1.4 22.6 12 12 22.6 1.4 12Z", class: "solid round" }],
    ["path", { d: "M8.9 8.9l6.2 6.2M15.1 8.9l-6.2 6.2", class: "cut" }],
  ],
  stopping: [["circle", { cx: 12, cy: 12, r: 9, class: "line" }], ["path", { d: "M12 7v9M8.4 12.6 12 16.2l3.6-3.6", class: "line" }]],
  stopped: [["rect", { x: 4, y: 4, width: 16, height: 16, rx: 2, class: "line" }]],
  asleep: [["path", { d: "M20 14.2A8.6 8.6 0 1 1 9.8 4a6.9 6.9 0 0 0 10.2 10.2Z", class: "solid round" }]],
  closed: [["circle", { cx: 12, cy: 12, r: 10, class: "line" }], ["path", { d: "M7.5 12.5h9", class: "line" }], ["path", { d: "M7 12.5h.01M17 12.5h.01", class: "line dots" }]],
  open: [["circle", { cx: 12, cy: 12, r: 10, class: "line" }], ["path", { d: "M7.5 14.5l6.5-7", class: "line" }], ["path", { d: "M7 15h.01M17 15h.01", class: "line dots" }]],
  half_open: [
    ["circle", { cx: 12, cy: 12, r: 10, class: "line dashed" }],
    ["path", { d: "M7.5 13.5l8.5-2.5", class: "line" }],
    ["path", { d: "M7 13.5h.01M17 13.5h.01", class: "line dots" }],
  ],
  door: [["path", { d: "M2 12h6M16 12h6M19 8.5l3.5 3.5-3.5 3.5", class: "line" }], ["circle", { cx: 12, cy: 12, r: 4, class: "line" }]],
  holding: [["path", { d: "M2 8.5h8M2 12h8M2 15.5h8M14 5v14M18.5 5v14", class: "line" }]],
  unknown: [["circle", { cx: 12, cy: 12, r: 9, class: "line dashed" }]],
};

/** The glyph of that name. `ring` is for a countdown. */
export function glyph(name) {
  const root = svg("svg", { viewBox: "0 0 24 24", class: "glyph", "aria-hidden": "true", focusable: "false" });
  setGlyph(root, name);
  return root;
}

export function setGlyph(root, name) {
  if (root.dataset.name === name) return;
  root.dataset.name = name;
  root.replaceChildren(...(SHAPES[name] ?? SHAPES.unknown).map(([tag, attributes]) => svg(tag, attributes)));
}

/** A ring that empties: what is left of a wait. */
export function ring() {
  const root = svg(
    "svg",
    { viewBox: "0 0 36 36", class: "ring", "aria-hidden": "true", focusable: "false" },
    svg("circle", { cx: 18, cy: 18, r: 16, class: "track" }),
    svg("circle", { cx: 18, cy: 18, r: 16, class: "left", pathLength: 100, "stroke-dasharray": "100 100", transform: "rotate(-90 18 18)" }),
  );
  return root;
}

export function setRing(root, share) {
  const left = Math.max(0, Math.min(1, share)) * 100;
  attr(root.lastChild, "stroke-dasharray", `${left.toFixed(1)} 100`);
}
