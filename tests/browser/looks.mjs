// How a page looks, measured: contrast, names, and where the keyboard leads.

import { equal, truth } from "./stage.mjs";

/** Every written word has a contrast of 4.5 to what is behind it (3 where it is large), in each of the five tones. */
export async function checkContrast(page, what) {
  const bad = await page.value(`(${contrast.toString()})()`);
  equal(bad, [], what);
}

function contrast() {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((it, index) => it * a + under[index] * (1 - a));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((it) => it / 255).map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let it = element; it; it = it.parentElement) layers.push(rgba(getComputedStyle(it).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const bad = [];
  const tones = ["ok", "work", "wait", "bad", "off"];
  const toned = [...document.querySelectorAll("[data-tone]")];
  const before = toned.map((it) => it.dataset.tone);
  for (const tone of tones) {
    for (const it of toned) it.dataset.tone = tone;
    for (const element of document.querySelectorAll("body *")) {
      const words = [...element.childNodes].some((it) => it.nodeType === 3 && it.data.trim());
      if (!words || element.closest(".unseen, [hidden], noscript, option, dialog:not([open])") || !element.getClientRects().length) continue;
      const style = getComputedStyle(element);
      const ground = behind(element);
      const [one, other] = [light(over(rgba(style.color), ground)), light(ground)].sort((a, b) => b - a);
      const ratio = (one + 0.05) / (other + 0.05);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5)) bad.push(`${tone}: ${element.id || element.className || element.tagName} ${ratio.toFixed(2)} (${style.color})`);
    }
  }
  toned.forEach((it, index) => (it.dataset.tone = before[index]));
  return [...new Set(bad)];
}

/** Whatever can be used or is a landmark has a name in the accessibility tree. */
export async function checkNames(page) {
  const { nodes } = await page.send("Accessibility.getFullAXTree");
  const roles = ["button", "combobox", "textbox", "searchbox", "link", "image", "img", "meter", "region", "checkbox", "heading", "dialog", "timer"];
  const shown = nodes.filter((node) => !node.ignored && roles.includes(node.role?.value));
  truth(shown.length > 15, `only ${shown.length} were seen`);
  const nameless = shown.filter((node) => !node.name?.value?.trim() && node.role.value !== "timer");
  equal(nameless.map((node) => `${node.role.value} ${JSON.stringify(node.properties)}`), []);
}

/** Where the Tab key leads, each with how wide a ring it has there. */
export async function tabStops(page) {
  const stops = [];
  // From the beginning, wherever the focus was.
  await page.value("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')");
  for (let count = 0; count < 60; count += 1) {
    await page.key("Tab");
    const stop = await page.value(`(() => {
      const it = document.activeElement;
      if (!it || it === document.body) return null;
      const style = getComputedStyle(it);
      const name = it.dataset.verb ?? (it.id || (it.type === "submit" ? "unlock" : it.className === "scroll" ? it.getAttribute("aria-labelledby").replace("title", "region") : it.className));
      return { name, ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth) };
    })()`);
    if (!stop || stops.some((it) => it.name === stop.name)) break;
    stops.push(stop);
  }
  return stops;
}
