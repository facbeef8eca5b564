// Which jobs there are, and which of them is looked at: one's own first, else the one that is drawn.
//
// One stream of events at a time, and none in a tab that is hidden: a browser keeps six connections to a host, for
// all of its tabs. The other jobs are asked about now and then.

import { jobs, watch } from "./api.js";
import { byId, make } from "./dom.js";
import { follow } from "./events.js";
import { hearTabs, tellTabs } from "./tabs.js";
import { toast } from "./toast.js";
import { say } from "./words.js";

const BUSY_SECONDS = 3;
const IDLE_SECONDS = 8;

export class Following {
  // onPicture: called when one is done. onActive: with the jobs that wait or run, when they may have changed. onRound:
  // each time when the jobs were asked about.
  constructor(stage, { onPicture, onActive, onRound }) {
    Object.assign(this, { stage, onPicture, onActive, onRound, active: [], followed: null, stream: null, round: 0 });
    this.mine = new Set(kept());
    watch.listeners.add((there) => there && this.refresh());
    hearTabs(({ kind }) => kind === "jobs" && this.refresh());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.unfollow();
      else this.refresh();
    });
  }

  add(job) {
    this.mine.add(job.id);
    keep(this.mine);
    this.round += 1;
    this.active = [...this.active, job];
    this.show();
    tellTabs("jobs");
    this.soon();
  }

  soon() {
    clearTimeout(this.clock);
    this.clock = setTimeout(() => this.refresh(), 1000 * (this.active.length ? BUSY_SECONDS : IDLE_SECONDS));
  }

  async refresh() {
    clearTimeout(this.clock);
    if (document.hidden) return;
    this.round += 1;
    const { round } = this;
    try {
      const present = await jobs.active();
      // A job came or went while the answer was on its way, which does not know of it; who told asks again.
      if (round !== this.round) return;
      const gone = this.active.filter((job) => !present.some((other) => other.id === job.id));
      this.active = present;
      for (const job of gone) await this.end(job.id);
      this.show();
      this.onRound();
    } catch (error) {
      if (error.status === undefined) throw error; // the banner says that the service is gone
    } finally {
      this.soon();
    }
  }

  get looked() {
    const own = this.active.filter((job) => this.mine.has(job.id));
    const running = (list) => list.find((job) => job.state === "running");
    return running(own) ?? own[0] ?? running(this.active) ?? this.active[0] ?? null;
  }

  show() {
    const job = this.looked;
    this.line();
    this.onActive(this.active);
    if (job) this.stage.follow(job);
    if (job && this.followed === job.id) return;
    this.unfollow();
    if (!job || document.hidden) return;
    this.followed = job.id;
    this.stream = new AbortController();
    const { signal } = this.stream;
    follow(job.id, (kind, data) => this.event(job.id, kind, data), signal).then(() => {
      if (!signal.aborted) this.ended(job.id);
    });
  }

  unfollow() {
    this.stream?.abort();
    this.stream = this.followed = null;
  }

  event(id, kind, data) {
    if (kind === "picture") {
      this.onPicture();
      tellTabs("gallery");
    }
    if (this.stage.job?.id !== id) return;
    if (kind === "job") this.stage.follow(data);
    else this.stage.event(kind, data);
  }

  async ended(id) {
    this.unfollow();
    try {
      await this.end(id);
    } catch (error) {
      if (error.status === undefined) throw error;
    }
    this.refresh();
  }

  // What became of a job that is no longer waiting or running.
  async end(id) {
    const job = await jobs.get(id).catch((error) => {
      if (error.status !== 404) throw error;
      return null;
    });
    this.round += 1;
    this.active = this.active.filter((other) => other.id !== id);
    if (job && !["done", "failed", "cancelled"].includes(job.state)) return;
    if (this.stage.job?.id === id && this.stage.mode === "active") {
      if (job && this.mine.has(id)) this.stage.finish(job);
      else this.stage.clear();
      // A service that keeps nothing on disk was started anew.
      if (!job && this.mine.has(id)) toast(say("told.lost"));
    }
    this.mine.delete(id);
    keep(this.mine);
    this.onPicture();
    tellTabs("gallery");
  }

  // In another language; a reason comes from the service in the reader's own.
  async retell() {
    this.line();
    const { job, mode } = this.stage;
    if (mode === "failed") job.error = (await jobs.get(job.id).catch(() => job)).error;
    this.stage.retell();
  }

  // The jobs beside the one on the stage.
  line() {
    const others = this.active.filter((job) => job.id !== this.looked?.id);
    byId("line").hidden = others.length === 0;
    byId("line").replaceChildren(
      ...others.map((job) =>
        make(
          "li",
          {},
          make("span", { class: "words" }, job.request.prompt || say("untitled")),
          make(
            "span",
            { class: "place" },
            job.state === "running" ? say("line.running") : say("stage.queued", { before: job.position }),
          ),
          make(
            "button",
            {
              type: "button",
              class: "small",
              "aria-label": say("line.cancel", { prompt: job.request.prompt }),
              onclick: () => this.cancel(job),
            },
            say("cancel"),
          ),
        ),
      ),
    );
  }

  async cancel(job) {
    try {
      await jobs.cancel(job.id);
    } catch (error) {
      if (error.status === undefined) throw error;
      toast(error.message);
      this.stage.goOn();
    }
    await this.refresh();
  }
}

// This tab's own jobs, kept over a reload where the browser keeps anything.
function kept() {
  try {
    return JSON.parse(sessionStorage.getItem("nutshell.jobs") ?? "[]");
  } catch {
    return [];
  }
}

function keep(ids) {
  try {
    sessionStorage.setItem("nutshell.jobs", JSON.stringify([...ids]));
  } catch {
    // Then they are among the others after a reload, and are found all the same.
  }
}
