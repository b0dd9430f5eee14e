// Numbers and times as people read them, in the language that is chosen.

import { t, language } from "./strings.js";

/** A fraction has a point in every language, as in the configuration and in the narration; thousands stand apart. */
const figure = (options) => {
  const format = new Intl.NumberFormat("en", options);
  return { format: (value) => (language() === "ru" ? format.format(value).replaceAll(",", "\u00a0") : format.format(value)) };
};
const number = (digits) => figure({ maximumFractionDigits: digits });

export const count = (value) => number(0).format(value);

/** With one digit behind the point while it is small. */
export const rate = (value) => number(value < 10 ? 1 : 0).format(value);

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`, `4 d 3 h`. */
export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 10) return `${number(1).format(Math.round(s * 10) / 10)} ${t("s")}`;
  if (s < 60) return `${Math.round(s)} ${t("s")}`;
  const two = (value) => String(value).padStart(2, "0");
  if (s < 3600) return pair(Math.floor(s / 60), t("min"), two(Math.floor(s % 60)), t("s"));
  if (s < 86400) return pair(Math.floor(s / 3600), t("h"), two(Math.floor((s % 3600) / 60)), t("min"));
  return pair(Math.floor(s / 86400), t("d"), String(Math.floor((s % 86400) / 3600)), t("h"));
}

const pair = (large, unit, small, under) => (Number(small) ? `${large} ${unit} ${small} ${under}` : `${large} ${unit}`);

/** What is left of a wait; always with the same number of digits, so that it does not jump about. */
export function countdown(seconds) {
  const s = Math.max(0, seconds);
  if (s >= 60) return span(s);
  return `${figure({ minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(s)} ${t("s")}`;
}

/** `812 MiB`, `4.2 GiB`. */
export function bytes(value) {
  const mebi = value / 2 ** 20;
  return mebi < 1000 ? `${number(mebi < 10 ? 1 : 0).format(mebi)} ${t("MiB")}` : `${number(1).format(mebi / 1024)} ${t("GiB")}`;
}

/** The time of day of an RFC 3339 stamp. */
export function clock(stamp) {
  const date = new Date(stamp);
  if (Number.isNaN(date.getTime())) return "";
  return date.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

export function share(part) {
  return `${number(1).format(Math.floor(part * 1000) / 10)}${t("percent")}`;
}
