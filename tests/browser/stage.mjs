// The other end of the line: the test that has started this script, and has everything on a stage that can go down.

import { createInterface } from "node:readline";
import { isDeepStrictEqual, inspect } from "node:util";

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

/** Has something done on the stage, and answers what came of it. */
export async function ask(what) {
  tell({ ask: what });
  const { value, done } = await answers.next();
  if (done) throw new Error("nobody answers");
  return JSON.parse(value);
}

/** Tries one case, and tells how it went. */
export async function judge(name, tried) {
  const begun = Date.now();
  let wrong = null;
  try {
    await tried();
  } catch (error) {
    wrong = error.stack ?? String(error);
  }
  tell({ case: name, wrong, took: Date.now() - begun });
}

/** The end: nothing is asked any more. */
export const done = () => process.stdin.destroy();

export function truth(value, what) {
  if (!value) throw new Error(what ?? "it is not so");
}

export function equal(one, other, what = "") {
  if (!isDeepStrictEqual(one, other)) throw new Error(`${what}: ${inspect(one)} is not ${inspect(other)}`);
}
