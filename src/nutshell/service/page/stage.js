// The job that is looked at: waiting, being drawn, done, or why not.

import { pictures } from "./api.js";
import { byId, make } from "./dom.js";
import { announce, toast } from "./toast.js";
import { duration, say } from "./words.js";

const SOFTEST = 7; // pixels of blur over the first guess, which is noise
const PAUSE_MS = 150; // between looks at a job: a small model takes more steps a second than anyone sees

export class Stage {
  // actions: cancel(job), again(job), open(id), change(job), for the buttons.
  constructor(actions) {
    this.actions = actions;
    this.place = byId("stage");
    this.job = null;
    this.left = null;
    setInterval(() => this.tick(), 1000);
  }

  clear() {
    this.job = null;
    this.mode = "";
    this.place.replaceChildren();
  }

  // A job that waits or runs.
  follow(job) {
    if (this.job?.id === job.id && this.mode === "active") {
      this.job = job;
      this.describe();
      return;
    }
    const again = this.job?.id === job.id;
    Object.assign(this, { job, mode: "active", step: 0, total: 0, picture: 1, pictures: null, left: null, last: {} });
    this.canvas = make("canvas", { role: "img", hidden: true });
    this.wait = make(
      "div",
      { class: "waiting" },
      make("img", { src: "page/icon.svg", alt: "", width: 72, height: 72 }),
    );
    this.bar = make("progress", { max: 1, "aria-label": say("stage.progress") });
    this.line = make("p");
    this.notes = make("p", { class: "notes", hidden: true });
    this.stop = make("button", { type: "button", id: "cancel", onclick: () => this.cancel() }, say("cancel"));
    this.place.replaceChildren(
      make(
        "article",
        { class: "card stage wide", "aria-label": say("stage.title") },
        make("div", { class: "easel" }, this.canvas, this.wait),
        make(
          "div",
          { class: "told" },
          words(job),
          this.bar,
          make("div", { class: "state" }, this.line, this.stop),
          this.notes,
        ),
      ),
    );
    this.describe();
    if (!again) announce(say(job.state === "queued" && job.position > 0 ? "told.queued" : "told.begun"));
  }

  // A picture was deleted.
  forget(id) {
    if (this.mode === "done" && this.job.pictures.some((picture) => picture.id === id)) this.clear();
  }

  // The same in another language.
  retell() {
    if (this.mode === "active") {
      this.stop.textContent = say("cancel");
      this.bar.setAttribute("aria-label", say("stage.progress"));
      this.describe();
    } else if (this.mode === "failed") {
      this.failed(this.job);
    } else if (this.job) {
      this.done(this.job);
    }
  }

  cancel() {
    this.stop.disabled = true;
    this.line.textContent = say("stage.stopping");
    this.actions.cancel(this.job);
  }

  // It could not be stopped.
  goOn() {
    if (this.mode !== "active") return;
    this.stop.disabled = false;
    this.describe();
  }

  event(kind, data) {
    if (this.mode !== "active") return;
    if (kind === "queued") {
      // Also when what drew it has died, and it begins again.
      Object.assign(this.job, { state: "queued", position: data.position });
      Object.assign(this, { step: 0, total: 0, picture: 1, left: null });
      if (data.note) this.job.notes = [...(this.job.notes ?? []), data.note];
    } else {
      this.job.state = "running";
    }
    if (data.total) {
      const halfway = this.step * 2 < data.total && data.step * 2 >= data.total;
      Object.assign(this, { step: data.step, total: data.total, picture: data.picture, pictures: data.pictures });
      if (halfway && data.total > 3) announce(say("told.half"));
    }
    this.loading = kind === "loading";
    if (data.seconds_left !== undefined && data.seconds_left !== null) {
      this.left = data.seconds_left;
      this.leftAt = performance.now();
    }
    if (data.preview) this.preview(data.preview);
    if (this.due("described") || !data.total) this.describe();
  }

  // Whether something is to be done again, or was just now.
  due(name) {
    const moment = performance.now();
    if (moment - (this.last[name] ?? -Infinity) < PAUSE_MS) return false;
    this.last[name] = moment;
    return true;
  }

  async preview(url) {
    if (!this.due("preview")) return;
    const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
    const canvas = this.canvas;
    let bitmap;
    try {
      bitmap = await createImageBitmap(new Blob([bytes]));
    } catch {
      return; // One guess less; the next one comes.
    }
    const { width, height } = bitmap;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    // A guess is a small picture shown large: soft at first, sharp at the end.
    canvas.style.filter = `blur(${(SOFTEST * (1 - this.step / Math.max(1, this.total))).toFixed(1)}px)`;
    canvas.dataset.step = this.step;
    canvas.setAttribute("aria-label", say("stage.preview"));
    canvas.hidden = false;
    this.wait.hidden = true;
  }

  describe() {
    if (this.mode !== "active") return;
    const { job } = this;
    const pictureCount = this.pictures ?? job.request?.count ?? 1;
    if (this.step) {
      this.bar.value = (this.picture - 1 + this.step / this.total) / pictureCount;
    } else {
      this.bar.removeAttribute("value");
    }
    if (job.notes?.length) {
      this.notes.textContent = job.notes.join(" ");
      this.notes.hidden = false;
    }
    if (!this.stop.disabled) this.line.textContent = this.sentence(pictureCount);
  }

  sentence(pictureCount) {
    const { job } = this;
    if (job.state === "queued")
      return job.position > 0 ? say("stage.queued", { before: job.position }) : say("stage.next");
    const parts = [];
    if (pictureCount > 1) parts.push(say("stage.picture", { picture: this.picture, pictures: pictureCount }));
    if (this.step) parts.push(say("stage.step", { step: this.step, total: this.total }));
    else parts.push(say(this.loading ? "stage.loading" : "stage.starting"));
    const left = this.secondsLeft();
    if (left !== null && this.step)
      parts.push(left < 1.5 ? say("stage.soon") : say("stage.left", { time: duration(left) }));
    return parts.join(" · ");
  }

  secondsLeft() {
    return this.left === null ? null : Math.max(0, this.left - (performance.now() - this.leftAt) / 1000);
  }

  tick() {
    if (this.mode === "active" && this.job.state === "running") this.describe();
  }

  // A job that has ended.
  finish(job) {
    const hadFocus = this.place.contains(document.activeElement);
    Object.assign(this, { job, mode: job.state });
    if (job.state === "failed") this.failed(job);
    else if (job.pictures.length) this.done(job);
    else {
      this.clear();
      toast(say("told.stopped"));
    }
    if (hadFocus) (this.place.querySelector("button") ?? byId("prompt")).focus();
  }

  done(job) {
    const open = (picture) =>
      make(
        "button",
        { type: "button", onclick: () => this.actions.open(picture.id), "aria-label": say("stage.open") },
        make("img", { src: picture.url, alt: job.request.prompt }),
      );
    const several = job.pictures.length > 1;
    this.place.replaceChildren(
      make(
        "article",
        { class: "card stage wide done", "aria-label": say("stage.title") },
        make("div", { class: several ? "pictures several" : "pictures" }, ...job.pictures.map(open)),
        make(
          "div",
          { class: "told" },
          words(job),
          ...(job.notes ?? []).map((note) => make("p", { class: "notes" }, note)),
          make(
            "div",
            { class: "actions" },
            make(
              "button",
              { type: "button", class: "main", onclick: () => this.actions.again(job) },
              say("viewer.again"),
            ),
            several ? null : download(job.pictures[0].id),
          ),
        ),
      ),
    );
    announce(say("told.done", { count: job.pictures.length }));
  }

  failed(job) {
    const fault = job.error ?? {};
    this.place.replaceChildren(
      make(
        "article",
        { class: "card stage failed", "aria-label": say("stage.title"), role: "alert" },
        make("h2", {}, say("stage.failed")),
        words(job),
        make("p", {}, fault.message ?? ""),
        fault.hint ? make("p", { class: "note" }, fault.hint) : null,
        make(
          "div",
          { class: "actions" },
          make("button", { type: "button", class: "main", onclick: () => this.actions.again(job) }, say("stage.retry")),
          make("button", { type: "button", onclick: () => this.actions.change(job) }, say("stage.change")),
          make("button", { type: "button", onclick: () => this.clear() }, say("close")),
        ),
      ),
    );
  }
}

const download = (id) =>
  make(
    "a",
    { class: "button", href: `${pictures.url(id)}?download`, download: `nutshell-${id}.png` },
    say("viewer.download"),
  );

const words = (job) => make("p", { class: "words" }, job.request?.prompt || say("untitled"));
