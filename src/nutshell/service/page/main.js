// Puts the parts of the page together.

import { watch } from "./api.js";
import { Ask } from "./ask.js";
import { byId } from "./dom.js";
import { listenForDrops } from "./drop.js";
import { Following } from "./following.js";
import { Gallery } from "./gallery.js";
import { Panel } from "./panel.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { startPicture } from "./start.js";
import { toast } from "./toast.js";
import { Viewer } from "./viewer.js";
import { now, say, useLanguage, whenLanguageChanges } from "./words.js";

const RETRY_MS = 2000;
const OTHER = { en: "zh", zh: "en" };

// Parts call each other when something happens; until all of them are there, nothing does.
const parts = {};

function build() {
  parts.panel = new Panel();
  parts.start = startPicture({ onChange: () => parts.settings?.setWithPicture(parts.start.present) });
  parts.settings = new Settings({ onChange: () => parts.ask?.estimate() });
  parts.ask = new Ask(parts.settings, parts.start, { onJob: taken });
  parts.stage = new Stage({
    cancel: (job) => parts.following.cancel(job),
    again: (job) => parts.ask.again(job),
    open: (id) => parts.viewer.openId(id),
    change: (job) => fill(job.request),
  });
  parts.gallery = new Gallery({
    onOpen: (item) => parts.viewer.open(item),
    onRemoved: (id) => parts.stage.forget(id),
    onChange: (empty) => {
      byId("welcome").hidden = !empty || parts.stage.mode === "active";
    },
  });
  parts.following = new Following(parts.stage, {
    onPicture: () => parts.gallery.refresh(),
    onActive: (active) => parts.panel.busy(active),
    onRound: () => parts.gallery.refresh(),
  });
  parts.viewer = new Viewer(parts.gallery, {
    again: (parameters) => parts.ask.another(parameters),
    settings: fill,
    start: startFrom,
  });
  whenLanguageChanges(() => parts.following.retell());
  listenForDrops({ onStart: startFrom, onParameters: restored });
}

// A job was taken: it is looked at, also on a phone, where it lies below the fields.
function taken(job) {
  parts.following.add(job);
  byId("welcome").hidden = true;
  byId("stage").scrollIntoView({
    block: "nearest",
    behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
  });
}

function fill(parameters) {
  const prompt = byId("prompt");
  prompt.value = parameters.prompt ?? "";
  parts.settings.apply(parameters);
  prompt.focus();
}

function restored(parameters) {
  fill(parameters);
  byId("more").open = true;
  toast(say("drop.restored"));
}

async function startFrom(file) {
  if (await parts.start.use(file)) byId("prompt").focus();
}

function switches() {
  byId("theme").addEventListener("click", () => dispatchEvent(new Event("nutshell:switch-theme")));
  const language = byId("language");
  language.addEventListener("click", () =>
    useLanguage(OTHER[now()], { keep: true }).catch(() => toast(say("gone.message"))),
  );
  whenLanguageChanges(() => {
    language.textContent = say("language.other");
    language.lang = OTHER[now()] === "zh" ? "zh-CN" : "en";
  });
  byId("reset").addEventListener("click", () => {
    parts.settings.reset();
    parts.start.clear();
  });
  addEventListener("keydown", (event) => {
    // Escape belongs to whoever types Chinese by sound, until the signs are chosen.
    if (event.key !== "Escape" || event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]"))
      return;
    byId("cancel")?.click();
  });
}

// The service may be stopped and started again under an open page.
function watchService() {
  const banner = byId("banner");
  const tell = () => {
    banner.textContent = say("gone.banner");
    banner.hidden = watch.there;
  };
  watch.listeners.add((there) => {
    tell();
    if (there && !parts.settings.rows.length) load();
  });
  whenLanguageChanges(tell);
}

async function load() {
  try {
    await parts.settings.load();
  } catch (error) {
    if (error.status === undefined) throw error;
    if (!error.gone) parts.ask.wrong(error);
  }
}

async function words() {
  for (;;) {
    try {
      return await useLanguage();
    } catch {
      await new Promise((done) => setTimeout(done, RETRY_MS)); // the service went just now
    }
  }
}

await words();
build();
switches();
watchService();
// Who has a keyboard may type at once; on a phone its keyboard would cover the page.
if (matchMedia("(hover: hover) and (pointer: fine)").matches && document.activeElement === document.body)
  byId("prompt").focus({ preventScroll: true });
await Promise.all([load(), parts.following.refresh()]);
