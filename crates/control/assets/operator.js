// What needs the token: the verbs and the log. The token is typed in, lives in this module, and goes nowhere but into the
// header of a request to where this page came from.

import { $, h, attr, text, prose, clean, show } from "./dom.js";
import { lines } from "./link.js";
import { say as translated } from "./say.js";
import { named, t } from "./strings.js";

const VERBS = ["start", "stop", "restart", "drain", "reload", "reset", "shutdown"];
const KEPT = 1000;
let token = null;
let reading = null;
let said = null;
let hint = "token_hint";

export function setUp(again) {
  for (const verb of VERBS) $("verbs").append(h("button", { type: "button", "data-verb": verb, class: verb === "shutdown" ? "danger" : null, onclick: () => ask(verb, again) }));
  // What a verb does stands below it, for the one that is pointed to or has the focus.
  for (const kind of ["focusin", "pointerover"]) $("verbs").addEventListener(kind, (event) => event.target.dataset.verb && text($("about"), named("about", event.target.dataset.verb)));
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    unlock($("token").value.trim());
  });
  $("lock").addEventListener("click", () => {
    lock("token_hint");
    $("token").focus();
  });
  $("sure-no").addEventListener("click", () => $("sure").close());
  $("sure-yes").addEventListener("click", () => {
    $("sure").close();
    perform("shutdown", again);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? reading?.abort() : token && read()));
}

/** The words, in the language of now. */
export function draw() {
  for (const button of $("verbs").children) {
    text(button, named("verb", button.dataset.verb));
    attr(button, "aria-description", named("about", button.dataset.verb));
  }
  prose($("token-hint"), t(hint));
  attr($("token-hint"), "data-bad", hint === "token_hint" ? null : "yes");
  text($("outcome"), said ? said() : "");
}

/** mlx-tree answers again; after a restart it has another token. */
export function reconnected() {
  if (token) read();
}

async function unlock(value) {
  if (!value) return;
  const answer = await fetch("/logs?lines=0", { headers: { Authorization: `Bearer ${value}` }, cache: "no-store" }).catch(() => null);
  if (answer?.ok) {
    await answer.body?.cancel();
    token = value;
    $("token").value = "";
    say(() => t("token_ok"));
    show($("token-form"), false);
    show($("unlocked"), true);
    $("verbs").firstChild.focus();
    read();
  } else {
    hint = "token_wrong";
    draw();
  }
}

function lock(why) {
  token = null;
  hint = why;
  reading?.abort();
  $("log").replaceChildren();
  show($("unlocked"), false);
  show($("token-form"), true);
  say(null);
}

function say(words) {
  said = words;
  draw();
}

function ask(verb, again) {
  if (verb === "shutdown") $("sure").showModal();
  else perform(verb, again);
}

async function perform(verb, again) {
  const name = () => named("verb", verb);
  const button = $("verbs").querySelector(`[data-verb="${verb}"]`);
  attr(button, "aria-busy", "true");
  say(() => t("verb_under_way", name()));
  try {
    const answer = await fetch(`/${verb}`, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: "{}" });
    if (answer.status === 401) return lock("token_stale");
    const told = await answer.json();
    const parts = [told.message, ...(told.details ?? []), told.help].filter(Boolean);
    say(() => `${name()}: ${parts.map((part) => clean(translated(part), 500)).join("\n")}`);
  } catch {
    say(() => t("verb_failed", name()));
  } finally {
    attr(button, "aria-busy", null);
    again();
  }
}

async function read() {
  reading?.abort();
  const stop = (reading = new AbortController());
  try {
    const answer = await fetch("/logs?lines=300&follow=true", { headers: { Authorization: `Bearer ${token}` }, signal: stop.signal, cache: "no-store" });
    if (answer.status === 401) return lock("token_stale");
    if (!answer.ok) return;
    $("log").replaceChildren();
    let fresh = [];
    for await (const line of lines(answer.body)) {
      fresh.push(line);
      if (fresh.length === 1) requestAnimationFrame(() => (write(fresh), (fresh = [])));
    }
    say(() => t("log_ended"));
  } catch {
    // Aborted, or mlx-tree is gone: the banner tells that.
  }
}

function write(fresh) {
  const log = $("log");
  log.append(...fresh.slice(-KEPT).map((line) => h("span", { class: "log-line" }, `${clean(line, 2000)}\n`)));
  while (log.children.length > KEPT) log.firstChild.remove();
  if ($("log-follow").checked) log.scrollTop = log.scrollHeight;
}
