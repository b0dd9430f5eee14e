// The pictures of docs/DASHBOARD.md and the README, of a real mlx-tree over the stand-in, taken with a real Chromium.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Browser } from "./cdp.mjs";
import { ask, done, judge } from "./stage.mjs";

const [program, directory] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const browser = await Browser.start(program);
const place = await ask("place");
const pause = (seconds) => new Promise((over) => setTimeout(over, seconds * 1000));

/** A picture of the page when `until` is true. `height` may be that of all of it. */
async function take(name, { url = place.url, width, height, scale = 1, scheme = "light", language = "en-US", until = "true", choose = "", whole = false }) {
  const page = await browser.page();
  await page.size(width, height, scale, width < 600);
  await page.prefers({ "prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce" });
  await page.send("Network.setUserAgentOverride", { userAgent: "screenshots", acceptLanguage: language });
  await page.open(`${url}/`);
  await page.until("document.body.dataset.drawn === 'yes'");
  if (choose) await page.value(choose);
  await page.until(until, 60_000);
  await page.value("document.fonts.ready.then(() => true)");
  await pause(0.2);
  const tall = whole ? await page.value("document.documentElement.scrollHeight") : height;
  writeFileSync(join(directory, `${name}.png`), await page.picture({ captureBeyondViewport: whole, clip: { x: 0, y: 0, width, height: tall, scale: 1 } }));
  await page.close();
}

const word = (wanted) => `document.getElementById("word").textContent === "${wanted}"`;

await judge("the pictures are taken", async () => {
  // A story of some minutes, so that there is something to be seen.
  await ask("work");
  await pause(50);
  await ask("kill");
  await pause(70);
  await ask("crash");
  await pause(75);
  const serves = `${word("Ready")} && document.querySelector('.flows path[data-state="flowing"]')`;
  await take("dashboard-light", { width: 1200, height: 960, until: serves });
  await take("dashboard-dark", { width: 1200, height: 960, scheme: "dark", until: serves });
  await take("dashboard-mobile", { width: 390, height: 844, scale: 1.5, scheme: "dark", language: "ru-RU", until: word("Работает") });
  await ask("kill");
  await take("dashboard-kill", { width: 1280, height: 720, until: `${word("Restarting")} && document.querySelector('.flows path[data-state="held"]')` });
  const fleet = await ask("fleet");
  await pause(12);
  await take("dashboard-fleet", { url: fleet, width: 1200, height: 900, scheme: "dark", until: `${word("Ready")} && document.querySelector('[data-id="fallback"]').innerText.includes("models")` });
});

await browser.close();
done();
