// The page's sentences in two languages: words/en.json and words/zh.json hold the same keys.
//
// In HTML: data-words is the text of an element, data-words-label its aria-label, data-words-placeholder its
// placeholder. HTML holds the English ones, too, for the moment before this runs.

import { recall, remember } from "./remember.js";

const LANGUAGES = { en: "en", zh: "zh-CN" };
const listeners = new Set();
let table = {};
let language = "en";

// "en" or "zh": what was chosen, else the first of the browser's languages that is known.
function preferred() {
  const chosen = recall("language");
  if (chosen in LANGUAGES) return chosen;
  for (const tag of navigator.languages ?? [navigator.language]) {
    const name = tag.toLowerCase().split("-")[0];
    if (name in LANGUAGES) return name;
  }
  return "en";
}

// What requests and number formats call the present language.
export const tag = () => LANGUAGES[language];

export const now = () => language;

// The sentence of a key, {name} filled in. A key that is missing shows itself.
export function say(key, values = {}) {
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// A table's lists, such as the examples.
export const list = (key) => table[key] ?? [];

// Called at once and after each change of language.
export function whenLanguageChanges(listener) {
  listeners.add(listener);
  listener();
}

export async function useLanguage(name = preferred(), { keep = false } = {}) {
  const answer = await fetch(`page/words/${name}.json`);
  if (!answer.ok) throw new Error(`words/${name}.json: ${answer.status}`);
  table = await answer.json();
  language = name;
  if (keep) remember("language", name);
  document.documentElement.lang = tag();
  fill(document);
  for (const listener of listeners) listener();
}

export function fill(root) {
  for (const element of root.querySelectorAll("[data-words]")) element.textContent = say(element.dataset.words);
  for (const element of root.querySelectorAll("[data-words-label]")) {
    element.setAttribute("aria-label", say(element.dataset.wordsLabel));
    if (element.matches("button")) element.title = say(element.dataset.wordsLabel);
  }
  for (const element of root.querySelectorAll("[data-words-placeholder]")) {
    element.placeholder = say(element.dataset.wordsPlaceholder);
  }
}

// 75 is said as "75 s", 130 as "2 min": it is an estimate.
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 100) return say("time.seconds", { seconds: whole });
  const minutes = Math.round(whole / 60);
  if (minutes < 100) return say("time.minutes", { minutes });
  return say("time.hours", { hours: Math.round(minutes / 60) });
}

export function bytes(count) {
  const [size, unit] = count >= 1e9 ? [count / 1e9, "GB"] : count >= 1e6 ? [count / 1e6, "MB"] : [count / 1e3, "kB"];
  return `${new Intl.NumberFormat(tag(), { maximumFractionDigits: size < 10 ? 1 : 0 }).format(size)} ${unit}`;
}

export function when(seconds) {
  return new Intl.DateTimeFormat(tag(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(seconds * 1000));
}
