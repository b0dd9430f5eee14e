// A headless Chromium, driven over two pipes by its own protocol: no package, no port.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
  "--disable-features=Translate,OptimizationHints,MediaRouter", "--remote-debugging-pipe",
];

/** The longest that anything is waited for. */
export const PATIENCE = 20_000;

export class Browser {
  #process;
  #profile;
  #next = 0;
  #asked = new Map();
  #heard = new Map();

  static async start(program) {
    const browser = new Browser();
    browser.#profile = mkdtempSync(join(tmpdir(), "mlx-tree-browser-"));
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"];
    browser.#process = spawn(program, [...FLAGS, `--user-data-dir=${browser.#profile}`, "about:blank"], { stdio });
    let rest = "";
    browser.#process.stdio[4].setEncoding("utf8").on("data", (data) => {
      const parts = (rest + data).split("\0");
      rest = parts.pop();
      for (const part of parts) browser.#take(JSON.parse(part));
    });
    browser.#process.on("exit", () => {
      for (const { no } of browser.#asked.values()) no(new Error("the browser has ended"));
    });
    return browser;
  }

  #take(message) {
    if (message.id === undefined) return this.#heard.get(message.sessionId)?.(message.method, message.params);
    const { yes, no } = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if (message.error) no(new Error(message.error.message));
    else yes(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#next;
    return new Promise((yes, no) => {
      this.#asked.set(id, { yes, no });
      this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /** A new tab that has not gone anywhere yet. */
  async page() {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    this.#heard.set(sessionId, (method, params) => page.hear(method, params));
    for (const domain of ["Page", "Runtime", "Log", "Network", "Accessibility"]) await page.send(`${domain}.enable`);
    return page;
  }

  async close() {
    const ended = new Promise((done) => this.#process.once("exit", done));
    this.send("Browser.close").catch(() => {});
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(killer);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Page {
  /** What the console and the browser complained of. */
  complaints = [];
  /** Every request: `{id, url, method, headers, status}`. */
  requests = [];

  constructor(browser, session, target) {
    Object.assign(this, { browser, session, target });
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  hear(method, params) {
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    else if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) this.complaints.push(params.args.map((it) => it.value ?? it.description).join(" "));
    else if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) this.complaints.push(`${params.entry.source}: ${params.entry.text} ${params.entry.url ?? ""}`);
    else if (method === "Network.requestWillBeSent") this.requests.push({ id: params.requestId, url: params.request.url, method: params.request.method, headers: params.request.headers });
    else if (method === "Network.responseReceived") {
      const request = this.requests.find((it) => it.id === params.requestId);
      if (request) request.status = params.response.status;
    }
  }

  async open(url) {
    await this.send("Page.navigate", { url });
  }

  /** The value of an expression in the page. */
  async value(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  /** Waits until an expression in the page is true, and answers it. */
  async until(expression, patience = PATIENCE) {
    const end = Date.now() + patience;
    for (;;) {
      const value = await this.value(`(() => { try { return ${expression}; } catch { return null; } })()`);
      if (value) return value;
      if (Date.now() > end) throw new Error(`never: ${expression}\nthe page says:\n${await this.value("document.body.innerText.slice(0, 1500)")}`);
      await new Promise((done) => setTimeout(done, 25));
    }
  }

  async size(width, height, scale = 1, mobile = false) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile });
  }

  /** `prefers-color-scheme` and the like. */
  async prefers(features) {
    await this.send("Emulation.setEmulatedMedia", { features: Object.entries(features).map(([name, value]) => ({ name, value })) });
  }

  async key(key, modifiers = 0) {
    const text = { Enter: "\r", " ": " " }[key];
    const code = { Tab: 9, Enter: 13, Escape: 27, " ": 32 }[key];
    await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", key, code: key, windowsVirtualKeyCode: code, modifiers, text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, code: key, windowsVirtualKeyCode: code, modifiers });
  }

  async type(text) {
    await this.send("Input.insertText", { text });
  }

  async picture(options = {}) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png", ...options });
    return Buffer.from(data, "base64");
  }

  async close() {
    await this.browser.send("Target.closeTarget", { targetId: this.target });
  }
}
