// One picture large, what it was made with, and what can be done with it.

import { pictures } from "./api.js";
import { byId, make } from "./dom.js";
import { toast } from "./toast.js";
import { bytes, say, when, whenLanguageChanges } from "./words.js";

export class Viewer {
  // actions: again(parameters), settings(parameters), start(file).
  constructor(gallery, actions) {
    Object.assign(this, { gallery, actions, item: null, dialog: byId("viewer") });
    const click = (id, listener) => byId(id).addEventListener("click", listener);
    click("viewer-close", () => this.dialog.close());
    click("viewer-before", () => this.turn(-1));
    click("viewer-after", () => this.turn(1));
    click("viewer-copy", () => this.copy());
    click("viewer-delete", () => this.remove());
    click("viewer-favourite", async () => this.show(await gallery.favour(this.item)));
    click("viewer-again", () => this.leave(() => actions.again(this.item.parameters)));
    click("viewer-settings", () => this.leave(() => actions.settings(this.item.parameters)));
    click("viewer-start", async () => {
      const answer = await fetch(pictures.url(this.item.id)).catch(() => null);
      if (answer?.ok) this.leave(async () => actions.start(await answer.blob()));
      else toast(say("gone.message"));
    });
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("close", () => this.closed());
    whenLanguageChanges(() => this.item && this.show(this.item));
  }

  async openId(id) {
    try {
      this.open(await pictures.get(id));
    } catch (error) {
      if (error.status === undefined) throw error;
      toast(error.message);
    }
  }

  open(item) {
    this.show(item);
    // What lies over the page lies over its toasts as well.
    this.dialog.append(byId("toasts"));
    this.dialog.showModal();
    byId("viewer-prompt").focus();
  }

  closed() {
    document.body.append(byId("toasts"));
    // The browser gives focus back to where it came from, if that is still there; else it stays in what is closed.
    const { activeElement } = document;
    if (activeElement === document.body || this.dialog.contains(activeElement))
      (document.querySelector("#gallery .tile") ?? byId("prompt")).focus();
  }

  leave(then) {
    this.dialog.close();
    then();
  }

  turn(step) {
    const item = this.gallery.neighbour(this.item.id, step);
    if (item) this.show(item);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.turn(step);
  }

  show(item) {
    this.item = item;
    const { parameters } = item;
    const prompt = parameters.prompt || say("untitled");
    const picture = byId("viewer-picture");
    Object.assign(picture, { src: item.links.picture, alt: prompt, width: item.width, height: item.height });
    byId("viewer-prompt").textContent = prompt;
    byId("viewer-favourite").setAttribute("aria-pressed", item.favourite);
    const download = byId("viewer-download");
    download.href = `${item.links.picture}?download`;
    download.download = `nutshell-${item.id}.png`;
    byId("viewer-before").hidden = !this.gallery.neighbour(item.id, -1);
    byId("viewer-after").hidden = !this.gallery.neighbour(item.id, 1);
    byId("viewer-facts").replaceChildren(
      ...facts(item).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
    );
  }

  async copy() {
    const text = this.item.parameters.prompt ?? "";
    if (await copied(text)) toast(say("viewer.copied"));
    else toast(say("viewer.not_copied"));
  }

  remove() {
    const item = this.item;
    const next = this.gallery.neighbour(item.id, 1) ?? this.gallery.neighbour(item.id, -1);
    this.gallery.remove(item);
    if (next) this.show(next);
    else this.dialog.close();
  }
}

function facts(item) {
  const { parameters } = item;
  const known = [
    ["model.label", parameters.model],
    ["size.label", `${item.width} × ${item.height}`],
    ["steps.label", parameters.steps],
    ["guidance.label", parameters.guidance],
    ["seed.label", parameters.seed],
    ["sampler.label", parameters.sampler],
    ["strength.label", parameters.strength],
    ["negative.label", parameters.negative_prompt],
    ["viewer.when", when(item.created)],
    ["viewer.bytes", bytes(item.bytes)],
  ];
  return known
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([key, value]) => [say(key), value]);
}

// The clipboard proper is only there over HTTPS and on the own machine; the older way works on a local network, too.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    const before = document.activeElement;
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    before?.focus();
    return done;
  }
}
