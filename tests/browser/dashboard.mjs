// The dashboard, looked at by a real Chromium. Each case says what must be so; one that is wrong does not stop the others.

import { Browser, PATIENCE } from "./cdp.mjs";
import { checkContrast, checkNames, tabStops } from "./looks.mjs";
import { ask, done, equal, judge as tried, truth } from "./stage.mjs";

const browser = await Browser.start(process.argv[2]);
let place = await ask("place");
let pages = [];

/** Tries a case; its pages are closed before the next one begins. */
async function judge(name, what) {
  await tried(name, what);
  for (const page of pages) await page.close();
  pages = [];
}

/** A page of the dashboard that has been drawn. */
async function dashboard({ url = place.url, width = 1440, height = 900, features = {}, language = "en-US", before = "" } = {}) {
  const page = await browser.page();
  pages.push(page);
  await page.size(width, height);
  await page.prefers({ "prefers-color-scheme": "light", "prefers-reduced-motion": "reduce", ...features });
  await page.send("Network.setUserAgentOverride", { userAgent: "test", acceptLanguage: language });
  if (before) await page.send("Page.addScriptToEvaluateOnNewDocument", { source: before });
  await page.open(`${url}/`);
  await page.until("document.body.dataset.drawn === 'yes'");
  return page;
}

const TEXT = "document.body.innerText";
const node = (id) => `document.querySelector('.node[data-id="${id}"]')`;
const id = (name) => `document.getElementById("${name}")`;

/** The cards that their line does not reach. */
const ASTRAY = `[...document.querySelectorAll(".children > li")].filter((item, index) => {
  const card = item.getBoundingClientRect();
  const path = document.querySelectorAll(".branches path")[index];
  const end = path.getPointAtLength(path.getTotalLength()).matrixTransform(path.getScreenCTM());
  return Math.max(card.left - end.x, end.x - card.right, card.top - end.y, end.y - card.bottom) > 2;
}).map((item) => item.innerText)`;

await judge("the page shows the state of the tree, and asks nobody else", async () => {
  const page = await dashboard();
  await page.until(`${id("word")}.textContent === "Ready"`);
  equal(await page.value(`document.title`), "Ready · mlx-tree");
  for (const name of ["root", "server", "health", "breaker", "gateway"]) truth(await page.value(`${node(name)}.offsetWidth > 50`), name);
  truth(await page.value(`${node("server")}.innerText.includes("pid ")`), "the process is shown");
  await page.until(`document.querySelectorAll("#events .event").length >= 4`);
  const text = await page.value(TEXT);
  for (const wrong of ["undefined", "NaN", "[object", "null"]) truth(!text.includes(wrong), `${wrong} in: ${text}`);
  truth(text.includes("Monitoring loop started"), text);
  await new Promise((done) => setTimeout(done, 1200));
  truth(page.requests.length > 10, "it has asked again");
  for (const { url } of page.requests) truth(url.startsWith(`${place.url}/`), url);
  equal(page.complaints, []);
});

await judge("a request in flight is seen on its way", async () => {
  const page = await dashboard();
  await ask("request");
  await page.until(`document.querySelector('.flows path[data-state="flowing"]')`);
  await page.until(`${node("gateway")}.innerText.includes("1 in flight")`);
  await ask("answer");
  await page.until(`document.querySelector('.flows path[data-state="idle"]')`);
  equal(page.complaints, []);
});

await judge("a kill is seen live, with its cause and what was decided", async () => {
  const page = await dashboard();
  await page.value("window.sameDocument = true");
  await ask("kill");
  await page.until(`${id("word")}.textContent === "Restarting"`);
  await page.until(`${node("server")}.dataset.word === "backoff"`);
  truth(/^in \d\.\d s$/.test(await page.value(`${node("server")}.querySelector(".node-word").textContent`)), "the card counts down");
  await page.until(`/^\\d\\.\\d s$/.test(${id("wait-left")}.textContent)`);
  equal(await page.value(`${node("gateway")}.dataset.word`), "holding");
  truth(await page.value(`${node("server")}.innerText.includes("SIGKILL")`), "the card says how it ended");
  equal(await page.value(`${id("said")}.textContent`), "Restarting");
  await page.until(`${id("word")}.textContent === "Ready"`);
  await page.until(`${node("server")}.innerText.includes("epoch 2")`);
  await page.until(`/SIGKILL[\\s\\S]*ready again after/.test(${id("restarts")}.innerText)`);
  truth(await page.value(`${id("restarts")}.innerText.includes("started again after 1.5 s")`), "what was decided");
  await page.until(`document.querySelectorAll("#timeline rect").length >= 3 && document.querySelectorAll("#timeline .falls-marks path").length === 1`);
  truth(await page.value("window.sameDocument"), "the page was not loaded again");
  equal(page.complaints, []);
});

await judge("the verbs and the log need the token, and work with it", async () => {
  const page = await dashboard();
  truth(await page.value(`${id("unlocked")}.hidden && !${id("token-form")}.hidden`), "locked");
  await page.value(`${id("token")}.focus()`);
  await page.type("0".repeat(64));
  await page.key("Enter");
  await page.until(`${id("token-hint")}.textContent.startsWith("That is not the token")`);
  await page.value(`${id("token")}.select()`);
  await page.type(place.token);
  await page.key("Enter");
  await page.until(`!${id("unlocked")}.hidden && ${id("token-form")}.hidden`);
  await page.until(`${id("log")}.textContent.length > 20`);
  const epoch = Number(await page.value(`/epoch (\\d+)/.exec(${node("server")}.innerText)[1]`));
  await page.value(`document.querySelector('[data-verb="restart"]').click()`);
  await page.until(`/^Restart: the server is ready/.test(${id("outcome")}.textContent)`);
  await page.until(`${node("server")}.innerText.includes("epoch ${epoch + 1}")`);
  await page.value(`document.querySelector('[data-verb="shutdown"]').click()`);
  truth(await page.value(`${id("sure")}.open`), "it asks first");
  equal(await page.value("document.activeElement.id"), "sure-no");
  await page.key("Escape");
  truth(!(await page.value(`${id("sure")}.open`)), "Escape is no");
  truth(!page.requests.some(({ url }) => url.endsWith("/shutdown")), "nothing was sent");
  for (const request of page.requests) truth(!request.url.includes(place.token), "no token in an address");
  const kept = await page.value(`JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.documentElement.outerHTML, ${id("token")}.value])`);
  truth(!kept.includes(place.token), "the token is nowhere in what is kept");
  const verb = page.requests.find(({ url }) => url.endsWith("/restart"));
  equal([verb.method, verb.headers["Content-Type"]], ["POST", "application/json"]);
  await page.value(`${id("lock")}.click()`);
  truth(await page.value(`${id("unlocked")}.hidden && ${id("log")}.textContent === ""`), "locked again, and nothing is left to be read");
  equal(page.complaints.filter((it) => !it.includes("401")), []);
});

await judge("hostile words are harmless", async () => {
  const page = await dashboard();
  await ask("crash");
  await page.until(`${id("restarts")}.innerText.includes("onerror=")`);
  await page.until(`${id("word")}.textContent === "Restarting"`);
  await page.until(`${id("word")}.textContent === "Ready"`);
  await page.value(`${id("token")}.focus()`);
  await page.type(place.token);
  await page.key("Enter");
  await page.until(`${id("log")}.textContent.includes("onerror=")`);
  equal(await page.value(`document.querySelectorAll("main img, main script, .event-cause *, .fall-cause *").length`), 0);
  truth(!(await page.value(`/[\\u0000-\\u0008\\u000b-\\u001f\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.textContent)`)), "nothing steers a terminal or turns the text");
  equal(await page.value("document.title"), "Ready · mlx-tree");
  await page.value(`${id("filter")}.focus()`);
  await page.type("<script>");
  await page.until(`document.querySelectorAll("#events .event").length >= 1`);
  equal(page.complaints, []);
});

await judge("every control is reached with the keyboard, and seen to be", async () => {
  const page = await dashboard();
  const wanted = ["language", "theme", "restarts-region", "level", "filter", "events-region", "token", "unlock"];
  const stops = await tabStops(page);
  for (const name of wanted) truth(stops.some((stop) => stop.name === name), `${name} is not among ${stops.map((it) => it.name)}`);
  for (const stop of stops) truth(stop.ring >= 2, `${stop.name} has no ring: ${JSON.stringify(stop)}`);
  await page.value(`${id("token")}.focus()`);
  await page.type(place.token);
  await page.key("Enter");
  await page.until(`!${id("unlocked")}.hidden`);
  const more = (await tabStops(page)).map((stop) => stop.name);
  for (const verb of ["start", "stop", "restart", "drain", "reload", "reset", "shutdown", "lock", "log-follow", "log"]) truth(more.includes(verb), `${verb} is not among ${more}`);
  equal(page.complaints, []);
});

await judge("no layout overflows", async () => {
  const page = await dashboard();
  for (const language of ["en", "ru"]) {
    await page.value(`${id("language")}.value = "${language}"; ${id("language")}.dispatchEvent(new Event("change"))`);
    for (const width of [320, 390, 704, 1024, 1440, 3840]) {
      await page.size(width, 900, 1, width < 600);
      await page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
      equal(await page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0, `${language}, ${width} pixels`);
      const cut = await page.value(`[...document.querySelectorAll(".card, .hero, .node, .plot, .vital, button")].filter((it) => it.offsetParent && it.scrollWidth > it.clientWidth + 1).map((it) => it.className || it.id)`);
      equal(cut, [], `${language}, ${width} pixels: something sticks out`);
    }
  }
  equal(page.complaints, []);
});

await judge("what is written can be read, in light and in dark", async () => {
  const page = await dashboard();
  for (const scheme of ["light", "dark"]) {
    await page.prefers({ "prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce" });
    await checkContrast(page, `${scheme} by the system`);
  }
  // The switch wins over the system.
  await page.value(`${id("theme")}.value = "light"; ${id("theme")}.dispatchEvent(new Event("change"))`);
  equal(await page.value("getComputedStyle(document.documentElement).colorScheme"), "light");
  truth(await page.value("getComputedStyle(document.body).backgroundColor") === "rgb(244, 243, 239)", "the ground is light");
  await page.value(`${id("theme")}.value = "auto"; ${id("theme")}.dispatchEvent(new Event("change"))`);
  equal(page.complaints, []);
});

await judge("whatever can be used or seen has a name", async () => {
  const page = await dashboard();
  await checkNames(page);
  const live = await page.value(`[...document.querySelectorAll("[role=status], [role=alert]")].length`);
  truth(live >= 2, "changes are told");
  equal(await page.value(`[...document.querySelectorAll("main, header, h1")].length`), 3);
});

await judge("both languages are whole, and tell events as mlx-tree does", async () => {
  const page = await dashboard({ language: "ru-RU" });
  equal(await page.value("document.documentElement.lang"), "ru");
  await page.until(`${id("word")}.textContent === "Работает"`);
  const left = await page.value(`[...document.querySelectorAll("[data-t]")].map((it) => it.textContent).filter((it) => /^[A-Z][a-z]+ /.test(it))`);
  equal(left, []);
  await page.value(`${id("language")}.value = "en"; ${id("language")}.dispatchEvent(new Event("change"))`);
  await page.until(`${id("word")}.textContent === "Ready"`);
  await page.open(`${place.url}/`);
  await page.until(`${id("word")}.textContent === "Ready"`);
  const shapes = await page.value(`import("/assets/strings.js").then(({ LANGUAGES }) => Object.values(LANGUAGES).map((it) => Object.entries(it).map(([key, value]) => [key, typeof value, value.length ?? 0].slice(0, typeof value === "function" ? 3 : 2).join(" ")).sort()))`);
  equal(shapes[0], shapes[1]);
  const keys = JSON.stringify(await ask("keys"));
  const missing = await page.value(`import("/assets/strings.js").then(({ LANGUAGES }) => ${keys}.filter((key) => !Object.values(LANGUAGES).every((it) => ["string", "function"].includes(typeof it[key]))))`);
  equal(missing, []);
  const samples = await ask("narrated");
  const said = await page.value(`Promise.all([import("/assets/strings.js"), import("/assets/narrate.js"), import("/assets/model.js")]).then(([strings, { narrate }, { levelOf }]) => ${JSON.stringify(samples.map((it) => it.event))}.map((event) => {
    const told = { level: levelOf(event) };
    for (const name of ["en", "ru"]) { strings.speak(name); told[name] = narrate(event); }
    return told;
  }))`);
  samples.forEach((sample, index) => {
    equal(said[index].level, sample.level, sample.event.event);
    for (const language of ["en", "ru"]) {
      truth(said[index][language] !== sample.event.event, `${sample.event.event} has no words in ${language}`);
      if (sample[language] !== null) equal(said[index][language], sample[language]);
    }
  });
  equal(page.complaints, []);
});

await judge("several servers and the fallback are told apart, and what is held back says until when", async () => {
  const page = await dashboard({ url: await ask("fleet"), width: 1200 });
  await page.until(`document.querySelectorAll(".chip").length === 3`);
  await page.until(`${node("fallback")}.innerText.includes("ollama")`);
  truth(await page.value(`document.querySelector('[data-server="coder"]').innerText.includes("Asleep")`), "one sleeps");
  equal(await page.value(`document.querySelectorAll(".group .parts .node").length`), 6);
  equal(await page.value(`[...document.querySelectorAll(".row-name")].map((it) => it.textContent)`), ["chat", "coder", "broken"]);
  equal(await page.value(`${id("word")}.textContent`), "Ready");
  await page.until(`document.querySelector(".parts .node-mark[data-waits]")`);
  equal(await page.value(`new Promise((done) => setTimeout(() => done(${ASTRAY}), 1200))`), [], "lines that lead past their cards");
  await page.value(`document.querySelector('[data-server="coder"]').click()`);
  await page.until(`${id("word")}.textContent === "Asleep"`);
  equal(await page.value(`document.querySelector('[data-server="coder"]').getAttribute("aria-pressed")`), "true");
  await page.value(`document.querySelector('[data-server="broken"]').click()`);
  await page.until(`${id("word")}.textContent === "Held back"`);
  await page.until(`/^One trial in\\s+\\d+\\.\\d s$/.test(document.querySelector(".hero-wait").innerText)`);
  truth(await page.value(`/Breaker\\s+Open/.test(${id("vitals")}.innerText) && /Half open in/.test(${id("vitals")}.innerText)`), "the breaker is open, and says for how long");
  equal(await page.value(`${id("state")}.dataset.tone`), "bad");
  truth(await page.value(`/breaker opened/.test(${id("restarts")}.innerText)`), "what was decided");
  for (const width of [390, 1024, 1200, 1920]) {
    await page.size(width, 900);
    await page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    equal(await page.value(ASTRAY), [], `${width} pixels: lines that lead past their cards`);
    equal(await page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0, `${width} pixels`);
  }
  await checkNames(page);
  equal(page.complaints, []);
});

await judge("what is told of restarts and outages is what has happened", async () => {
  const page = await dashboard();
  const told = await page.value(`import("/assets/model.js").then(({ restarts, spans, availability }) => {
    const at = (s) => new Date(Date.UTC(2026, 0, 1, 0, 0, s)).toISOString();
    let seq = 0;
    const event = (s, event, more = {}) => ({ seq: ++seq, at: at(s), child: "server", epoch: 1, event, ...more });
    const falls = restarts([
      event(0, "server.unhealthy", { reason: "no progress" }),
      event(1, "server.exited", { reason: "unhealthy", code: null, signal: 9, message: "it hung", cause: null }),
      event(1, "restart.delayed", { delay_s: 2 }),
      event(3, "server.spawned", { epoch: 2 }),
      event(5, "server.ready", { epoch: 2 }),
      event(6, "server.recycling", { epoch: 2, reason: "memory" }),
      event(8, "server.ready", { epoch: 3 }),
      event(9, "server.exited", { epoch: 3, reason: "x", code: 1, signal: null, message: "m", cause: "c" }),
      event(9, "breaker.opened", { child: "breaker", epoch: 3, reason: "r", open_for_s: 60 }),
    ], "").map((it) => [it.kind, it.epoch, it.given_up, it.back, it.decisions.map((one) => one.event)]);
    const phase = (s, phase) => ({ phase, at: at(s) });
    const window = (...phases) => availability(spans(phases, Date.parse(at(0)), Date.parse(at(100))));
    return {
      falls,
      // Being stopped on request is no outage, and neither is the first start.
      whole: window(phase(0, "starting"), phase(10, "ready"), phase(50, "stopped"), phase(60, "ready")),
      holes: window(phase(-900, "ready"), phase(20, "backoff"), phase(22, "loading"), phase(30, "ready"), phase(98, "suspended")),
      none: window(),
    };
  })`);
  equal(told.falls, [
    ["failure", 3, null, null, ["breaker.opened"]],
    ["planned", 2, null, 2, []],
    ["failure", 1, "no progress", 4, ["restart.delayed"]],
  ]);
  equal(told.whole, { share: 1, outages: 0, longest: 0 });
  equal(told.holes, { share: 0.88, outages: 2, longest: 10 });
  equal(told.none, { share: null, outages: 0, longest: 0 });
});

await judge("a hidden tab asks for nothing", async () => {
  const page = await dashboard({ before: `let away = false; Object.defineProperty(document, "hidden", { get: () => away }); window.turn = (it) => { away = it; document.dispatchEvent(new Event("visibilitychange")); };` });
  await page.value("turn(true)");
  await new Promise((done) => setTimeout(done, 300));
  const before = page.requests.length;
  await new Promise((done) => setTimeout(done, 2500));
  equal(page.requests.length, before);
  await page.value("turn(false)");
  await page.until(`document.getElementById("link").dataset.up === "yes"`);
  truth(page.requests.length > before, "it asks again");
  equal(page.complaints, []);
});

await judge("when mlx-tree goes and comes again, so does the page", async () => {
  const page = await dashboard();
  await page.value(`${id("token")}.focus()`);
  await page.type(place.token);
  await page.key("Enter");
  await page.until(`!${id("unlocked")}.hidden`);
  await ask("end");
  await page.until(`!${id("banner")}.hidden && /^Not connected since \\d\\d:\\d\\d:\\d\\d/.test(${id("banner")}.innerText)`);
  equal(await page.value(`${id("link")}.dataset.up`), "no");
  truth(await page.value(`${id("word")}.textContent.length > 0`), "what was last known still stands there");
  const pid = await ask("begin");
  const now = Date.now();
  await page.value(`${id("retry")}.click()`);
  await page.until(`${id("banner")}.hidden && ${id("version")}.textContent.includes("pid ${pid}")`);
  truth(Date.now() - now < PATIENCE, "in time");
  await page.until(`${id("word")}.textContent === "Ready" && ${node("server")}.innerText.includes("epoch 1")`);
  await page.until(`${id("restarts-none")}.offsetParent !== null`);
  await page.until(`document.querySelectorAll("#events .event").length >= 4`);
  truth(await page.value(`!/SIGKILL/.test(${TEXT})`), "nothing is left of the one before");
  await page.until(`!${id("token-form")}.hidden && ${id("token-hint")}.textContent.includes("new token")`);
  place = await ask("place");
  equal(page.complaints.filter((it) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|401/.test(it)), []);
});

await browser.close();
done();
