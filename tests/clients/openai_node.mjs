// openai-node: `openai_node.mjs URL`, run where its package is installed. Tells what it saw as one line of JSON, as story.py
// does for the clients in Python.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const home = pathToFileURL(`${process.cwd()}/node_modules/openai/`);
const { default: OpenAI } = await import(new URL("index.mjs", home));
const { version } = JSON.parse(readFileSync(new URL("package.json", home), "utf8"));

const PATIENCE = 30_000;
const statuses = [];
const note = (message) => {
  const status = /(?:succeeded|failed) with status (\d+)/.exec(message);
  if (status) statuses.push(Number(status[1]));
};
const logger = { error: note, warn: note, info: note, debug() {} };
const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "any", logger, logLevel: "info" });

function chat(prompt, { timeout, ...options } = {}) {
  const body = { model: "default_model", max_tokens: 16, messages: [{ role: "user", content: prompt }], ...options };
  return client.chat.completions.create(body, timeout ? { timeout, maxRetries: 0 } : {});
}

async function* plain(prompt, options) {
  yield (await chat(prompt, options)).choices[0].message.content;
}

async function* stream(prompt, options) {
  for await (const chunk of await chat(prompt, { stream: true, ...options })) {
    const text = chunk.choices[0]?.delta.content;
    if (text) yield text;
  }
}

async function part(act) {
  const [start, before, texts, told] = [performance.now(), statuses.length, [], {}];
  try {
    for await (const text of act) texts.push(text);
  } catch (error) {
    const classes = [];
    for (let kind = error?.constructor; kind?.name; kind = Object.getPrototypeOf(kind)) classes.push(kind.name);
    told.error = { classes, status: error.status ?? null, message: String(error.message).slice(0, 300) };
  }
  const seconds = (performance.now() - start) / 1000;
  return { text: texts.join(""), pieces: texts.length, http: statuses.slice(before), seconds, ...told };
}

async function overload() {
  const before = statuses.length;
  const blockers = [1, 2].map((number) => stream(`endless ${number}`, { max_tokens: 100_000 }));
  for (const blocker of blockers) await blocker.next();
  const both = ["overload a", "overload b"].map((word) => part(plain(word)));
  const deadline = performance.now() + PATIENCE;
  while (!statuses.slice(before).includes(503) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const refused = statuses.slice(before).includes(503);
  for (const blocker of blockers) await blocker.return();
  return { refused, both: await Promise.all(both) };
}

console.log(
  JSON.stringify({
    version,
    plain: await part(plain("hello")),
    stream: await part(stream("hello")),
    plain_crash: await part(plain("crash-plain")),
    plain_uncut: await part(plain("crash-plain")),
    greedy_crash: await part(stream("crash-greedy")),
    greedy_uncut: await part(stream("crash-greedy")),
    sampled_crash: await part(stream("crash-sampled", { temperature: 0.8 })),
    held: await part(plain("held")),
    overload: await overload(),
    impatient: {
      given_up: await part(plain("much", { max_tokens: 3_000, timeout: 500 })),
      next: await part(plain("after it")),
    },
  }),
);
