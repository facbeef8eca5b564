// What the page asks the service: its native face, /api. Paths are relative, so that a proxy may put a folder before.

import { say, tag } from "./words.js";

// What went wrong, as the service says it: type, message, hint, field. status: 0 where there was no answer at all.
export class Fault extends Error {
  constructor(status, { type = "", message = "", hint = "", field = "" } = {}) {
    super(message || say("fault.unknown", { status }));
    Object.assign(this, { status, type, hint: hint ?? "", field: field ?? "" });
  }

  get gone() {
    return this.status === 0;
  }
}

export async function ask(method, path, { json, body, signal, keepalive } = {}) {
  const headers = { "Accept-Language": tag() };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      signal,
      keepalive,
      body: json === undefined ? body : JSON.stringify(json),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    watch.lost();
    throw new Fault(0, { message: say("gone.message"), hint: say("gone.hint") });
  }
  watch.found();
  // Another token is wanted than the one that this browser was let in with: where the page lies, it is asked for.
  if (answer.status === 401) location.reload();
  const content = parsed(await answer.text());
  if (!answer.ok) throw new Fault(answer.status, content?.error ?? { message: content?.detail });
  return content;
}

// Seeds have up to 64 bits, JavaScript's numbers 53: long ones stay text. (In a string, quotes are escaped: no match.)
function parsed(text) {
  try {
    return JSON.parse(text.replace(/("seed"\s*:\s*)(-?\d{16,})/g, '$1"$2"'));
  } catch {
    return null;
  }
}

// Whether the service answers; asked about by itself while it does not.
export const watch = {
  there: true,
  listeners: new Set(),
  lost() {
    if (!this.there) return;
    this.there = false;
    this.tell();
    this.knock(1000);
  },
  found() {
    if (this.there) return;
    this.there = true;
    this.tell();
  },
  knock(pause) {
    setTimeout(async () => {
      if (this.there) return;
      const answer = await fetch("healthz", { cache: "no-store" }).catch(() => null);
      if (answer?.ok) this.found();
      else this.knock(Math.min(pause * 1.5, 8000));
    }, pause);
  },
  tell() {
    for (const listener of this.listeners) listener(this.there);
  },
};

const FILES = new Set(["image", "mask"]);

export const jobs = {
  // request: fields of POST /api/jobs; image and mask as Blobs.
  submit(request) {
    const given = Object.entries(request).filter(([, value]) => value !== undefined && value !== null && value !== "");
    if (!given.some(([name]) => FILES.has(name))) return ask("POST", "api/jobs", { json: Object.fromEntries(given) });
    const form = new FormData();
    for (const [name, value] of given) {
      if (FILES.has(name)) form.append(name, value, name);
      else form.append(name, String(value));
    }
    return ask("POST", "api/jobs", { body: form });
  },
  get: (id) => ask("GET", `api/jobs/${id}`),
  active: async () => (await ask("GET", "api/jobs?state=queued&state=running&limit=100")).jobs.reverse(),
  cancel: (id) => ask("DELETE", `api/jobs/${id}`),
};

export const pictures = {
  page({ before, favourites, limit = 30 }) {
    const query = new URLSearchParams({ limit });
    if (before) query.set("before", before);
    if (favourites) query.set("favourites", "true");
    return ask("GET", `api/gallery?${query}`);
  },
  get: (id) => ask("GET", `api/gallery/${id}`),
  favour: (id, yes) => ask("PUT", `api/gallery/${id}/favourite`, { json: { favourite: yes } }),
  remove: (id, keepalive = false) => ask("DELETE", `api/gallery/${id}`, { keepalive }),
  parameters: (file) => ask("POST", "api/parameters", { body: file }),
  url: (id) => `api/gallery/${id}.png`,
  small: (id) => `api/gallery/${id}/thumbnail?side=320`,
};

export const machine = {
  state: () => ask("GET", "api/machine"),
  models: () => ask("GET", "api/models"),
  plan: (query, signal) => ask("GET", `api/plan?${new URLSearchParams(query)}`, { signal }),
};
