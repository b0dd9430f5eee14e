// A sentence of mlx-tree's in the language of the page, by the very table that mlx-tree itself speaks by. What no phrase fits is
// the word of somebody else, and stays as it was written.

import { RU } from "./phrases.js";
import { language } from "./strings.js";

const DEPTH = 8;
const LONGEST = 4096;
const known = new Map();

/** `text` in the language that is chosen. */
export function say(text) {
  if (language() !== "ru" || !text || text.length > LONGEST) return text;
  let said = known.get(text);
  if (said === undefined) {
    said = russian(text, DEPTH);
    if (known.size > 2000) known.clear();
    known.set(text, said);
  }
  return said;
}

function russian(text, depth) {
  if (depth === 0) return text;
  for (const [pattern, translation] of RU) {
    const holes = holesIn(pattern, text);
    if (holes) return fill(translation, holes.map((hole) => russian(hole, depth - 1)));
  }
  // Two sentences of which each may be known.
  for (const separator of ["; ", ": ", " ("]) {
    const at = text.indexOf(separator);
    if (at < 0) continue;
    const [one, other] = [text.slice(0, at), text.slice(at + separator.length)];
    const [left, right] = [russian(one, depth - 1), russian(other, depth - 1)];
    if (left !== one || right !== other) return left + separator + right;
  }
  return text;
}

/** What stands in the holes of `pattern` (`{}` for anything, `{n}` for a number), if `text` is that sentence. */
function holesIn(pattern, text) {
  const parts = pattern.split(/(\{n?\})/);
  if (!text.startsWith(parts[0])) return null;
  let rest = text.slice(parts[0].length);
  const holes = [];
  for (let index = 1; index < parts.length; index += 2) {
    const literal = parts[index + 1];
    const last = index + 2 >= parts.length;
    let end;
    if (last) end = rest.endsWith(literal) ? rest.length - literal.length : -1;
    else end = literal === "" ? -1 : rest.indexOf(literal);
    const hole = end < 0 ? "" : rest.slice(0, end);
    if (hole === "" || (parts[index] === "{n}" && !/^[0-9.]+$/.test(hole))) return null;
    holes.push(hole);
    rest = rest.slice(end + literal.length);
  }
  return rest === "" ? holes : null;
}

function fill(pattern, holes) {
  let next = 0;
  return pattern.replace(/\{([^}]*)\}/g, (whole, inside) => {
    const hole = inside === "" ? holes[next++] : /^\d+$/.test(inside) ? holes[Number(inside) - 1] : undefined;
    return hole ?? whole;
  });
}
