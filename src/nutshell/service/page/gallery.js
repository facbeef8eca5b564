// The finished pictures, newest first: a page of them at a time, in small.

import { pictures } from "./api.js";
import { HEART, byId, icon, make } from "./dom.js";
import { hearTabs, tellTabs } from "./tabs.js";
import { toast } from "./toast.js";
import { say, whenLanguageChanges } from "./words.js";

const PAGE = 30;

export class Gallery {
  // onOpen: called with a picture that is to be shown large. onChange: after the list has changed, with whether it is
  // empty. onRemoved: with the id of a picture that was thrown away.
  constructor({ onOpen, onChange, onRemoved }) {
    Object.assign(this, {
      onOpen,
      onChange,
      onRemoved,
      items: [],
      next: null,
      favourites: false,
      leaving: new Map(),
      loaded: false,
    });
    byId("all").addEventListener("click", () => this.filter(false));
    byId("favourites").addEventListener("click", () => this.filter(true));
    byId("gallery-more").addEventListener("click", () => this.more());
    hearTabs(({ kind }) => kind === "gallery" && this.refresh());
    whenLanguageChanges(() => this.render());
    // Whoever leaves the page has not taken a deletion back.
    addEventListener("pagehide", () => this.leaving.forEach((_, id) => pictures.remove(id, true).catch(() => {})));
  }

  async filter(favourites) {
    this.favourites = favourites;
    byId("all").setAttribute("aria-pressed", !favourites);
    byId("favourites").setAttribute("aria-pressed", favourites);
    this.items = [];
    await this.refresh();
  }

  // The newest page again; what was loaded beyond it stays.
  async refresh() {
    const favourites = this.favourites;
    let page;
    try {
      page = await pictures.page({ favourites, limit: PAGE });
    } catch (error) {
      if (error.status === undefined) throw error;
      return;
    }
    if (favourites !== this.favourites) return; // another filter was chosen meanwhile
    const oldest = page.items.at(-1)?.number ?? Infinity;
    const beyond = page.next === null ? [] : this.items.filter((item) => item.number < oldest);
    if (!beyond.length) this.next = page.next;
    this.items = [...page.items, ...beyond];
    this.loaded = true;
    this.render();
  }

  async more() {
    const focusAt = this.shown.length;
    let page;
    try {
      page = await pictures.page({ before: this.next, favourites: this.favourites, limit: PAGE });
    } catch (error) {
      if (error.status === undefined) throw error;
      toast(error.message);
      return;
    }
    this.next = page.next;
    this.items = [...this.items, ...page.items];
    this.render();
    byId("gallery").children[focusAt]?.querySelector("button").focus();
  }

  get shown() {
    return this.items.filter((item) => !this.leaving.has(item.id));
  }

  neighbour(id, step) {
    const shown = this.shown;
    return shown[shown.findIndex((item) => item.id === id) + step] ?? null;
  }

  // Tiles that are there already stay as they are, so that nothing flickers and focus is kept.
  render() {
    if (!this.loaded) return;
    const list = byId("gallery");
    const old = new Map([...list.children].map((tile) => [tile.dataset.id, tile]));
    const shown = this.shown;
    shown.forEach((item, place) => {
      const tile = old.get(item.id) ?? this.tile(item);
      old.delete(item.id);
      this.describe(tile, item);
      if (list.children[place] !== tile) list.insertBefore(tile, list.children[place] ?? null);
    });
    for (const tile of old.values()) tile.remove();
    const empty = shown.length === 0;
    byId("gallery-more").hidden = this.next === null;
    byId("gallery-part").hidden = empty && !this.favourites;
    byId("gallery-none").hidden = !(empty && this.favourites);
    this.onChange(empty && !this.favourites);
  }

  tile(item) {
    const id = item.id;
    const present = () => this.items.find((other) => other.id === id);
    return make(
      "li",
      { "data-id": id },
      make(
        "button",
        { type: "button", class: "tile", onclick: () => this.onOpen(present()) },
        make("img", {
          src: pictures.small(item.id),
          loading: "lazy",
          decoding: "async",
          draggable: "false",
          width: item.width,
          height: item.height,
        }),
      ),
      make("button", { type: "button", class: "heart", onclick: () => this.favour(present()) }, icon(HEART)),
    );
  }

  describe(tile, item) {
    const [button, heart] = tile.children;
    button.firstElementChild.alt = item.parameters.prompt || say("untitled");
    heart.setAttribute("aria-pressed", item.favourite);
    heart.setAttribute("aria-label", say("gallery.favour", { prompt: item.parameters.prompt || say("untitled") }));
  }

  async favour(item) {
    try {
      const changed = await pictures.favour(item.id, !item.favourite);
      this.items = this.items.map((other) => (other.id === item.id ? changed : other));
      this.render();
      tellTabs("gallery");
      return changed;
    } catch (error) {
      if (error.status === undefined) throw error;
      toast(error.message);
      return item;
    }
  }

  // Gone at once, but deleted only when nobody has taken it back for a while.
  remove(item) {
    this.leaving.set(item.id, item);
    this.onRemoved(item.id);
    this.render();
    toast(say("gallery.deleted"), {
      action: say("undo"),
      onAction: () => {
        this.leaving.delete(item.id);
        this.render();
      },
      after: () => this.delete(item),
    });
  }

  async delete(item) {
    try {
      await pictures.remove(item.id);
      this.items = this.items.filter((other) => other.id !== item.id);
      tellTabs("gallery");
    } catch (error) {
      if (error.status === undefined) throw error;
      if (error.status !== 404) toast(error.message);
    } finally {
      this.leaving.delete(item.id);
      this.render();
    }
  }
}
