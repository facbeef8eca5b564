// What to draw: the prompt, the button, and what is said when the service will not take it.

import { jobs, machine } from "./api.js";
import { byId, make } from "./dom.js";
import { duration, list, say, whenLanguageChanges } from "./words.js";

const ESTIMATE_PAUSE_MS = 400;

export class Ask {
  // settings, start: where the other fields of a request come from. onJob: called with a job that was taken.
  constructor(settings, start, { onJob }) {
    Object.assign(this, { settings, start, onJob, busy: false, sent: new Map() });
    this.prompt = byId("prompt");
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.draw();
    });
    byId("form").addEventListener("input", (event) => this.right(event.target));
    addEventListener("keydown", (event) => {
      if (
        event.key !== "Enter" ||
        event.repeat ||
        event.isComposing ||
        !(event.ctrlKey || event.metaKey) ||
        document.querySelector("dialog[open]")
      )
        return;
      event.preventDefault();
      this.draw();
    });
    // A double click is one wish.
    byId("draw").addEventListener("click", (event) => event.detail > 1 && event.preventDefault());
    byId("surprise").addEventListener("click", () => this.surprise());
    whenLanguageChanges(() => {
      this.examples();
      this.right();
    });
  }

  examples() {
    const examples = list("examples");
    this.prompt.placeholder = examples[0] ?? "";
    byId("examples").replaceChildren(
      ...examples.slice(0, 6).map((example) =>
        make(
          "button",
          {
            type: "button",
            onclick: () => {
              this.prompt.value = example;
              this.draw();
            },
          },
          example,
        ),
      ),
    );
  }

  surprise() {
    const others = list("examples").filter((example) => example !== this.prompt.value);
    this.prompt.value = others[Math.floor(Math.random() * others.length)];
    this.right(this.prompt);
  }

  async draw() {
    // An empty field shows an example: whoever presses the button then wants to see that.
    if (!this.prompt.value.trim()) this.prompt.value = this.prompt.placeholder;
    const unread = [...byId("form").elements].find((field) => field.validity?.badInput);
    if (unread) return this.wrong({ message: say("fault.number"), field: unread.id });
    return this.send(async () => ({
      prompt: this.prompt.value.trim(),
      ...this.settings.fields(),
      ...(await this.start.fields()),
    }));
  }

  // The same with another seed, whatever is in the fields now.
  again(job) {
    const request = this.sent.get(job.id) ?? asked(job.request);
    return this.send(async () => ({ ...request, seed: undefined }));
  }

  another(parameters) {
    const { prompt, negative_prompt, width, height, steps, guidance, sampler, model } = parameters;
    const known = this.settings.rows.some((row) => row.name === model) ? model : undefined;
    return this.send(async () => ({
      prompt: prompt ?? "",
      negative_prompt,
      width,
      height,
      steps,
      guidance,
      sampler,
      model: known,
    }));
  }

  async send(make) {
    if (this.busy) return;
    this.busy = true;
    byId("draw").setAttribute("aria-disabled", "true");
    this.right();
    try {
      const request = await make();
      const job = await jobs.submit({ ...request, previews: true });
      this.sent.set(job.id, request);
      this.onJob(job);
    } catch (error) {
      if (error.status === undefined) throw error;
      this.wrong(error);
    } finally {
      this.busy = false;
      byId("draw").removeAttribute("aria-disabled");
    }
  }

  // Say what is wrong, beside what is wrong.
  wrong(fault) {
    const place = byId("fault");
    place.replaceChildren(make("strong", {}, fault.message), ...(fault.hint ? [make("span", {}, fault.hint)] : []));
    const field = fault.field ? (byId(fault.field) ?? null) : null;
    if (field?.closest("#form") && "value" in field) {
      if (field.closest("#more")) byId("more").open = true;
      const hidden = field.closest("[data-custom-size][hidden]");
      if (hidden) byId("size").value = "custom";
      if (hidden) byId("size").dispatchEvent(new Event("change"));
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", "fault");
      field.closest(".field, .writing").after(place);
      field.focus();
    } else {
      byId("estimate").after(place);
    }
    place.hidden = false;
    place.scrollIntoView({ block: "nearest" });
  }

  right(field) {
    if (field && byId("fault").hidden) return;
    byId("fault").hidden = true;
    for (const wrong of document.querySelectorAll("[aria-invalid]")) {
      wrong.removeAttribute("aria-invalid");
      if (wrong.id === "model") wrong.setAttribute("aria-describedby", "model-verdict");
      else wrong.removeAttribute("aria-describedby");
    }
  }

  // How long it will take here, before it is asked for.
  estimate() {
    clearTimeout(this.clock);
    this.clock = setTimeout(async () => {
      const { model, width, height, steps, count } = this.settings.fields();
      this.question?.abort();
      this.question = new AbortController();
      const query = Object.fromEntries(Object.entries({ model, width, height, steps }).filter(([, value]) => value));
      let text = "";
      try {
        const seconds = (await machine.plan(query, this.question.signal)).plan?.picture_seconds;
        if (seconds) text = say("estimate", { time: duration(seconds * (count || 1)) });
      } catch (error) {
        if (error.name === "AbortError") return;
        if (error.status === undefined) throw error;
        // No estimate is no fault: drawing says what is wrong.
      }
      byId("estimate").textContent = text;
    }, ESTIMATE_PAUSE_MS);
  }
}

// A job's request as it can be sent again: without the pictures, which are not kept for that.
function asked(request) {
  const { image, mask, previews, keep_alive, ...rest } = request;
  return rest;
}
