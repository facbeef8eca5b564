// The machine: memory, temperature where it is known, the queue, the model that is loaded.

import { machine, watch } from "./api.js";
import { byId, make } from "./dom.js";
import { bytes, say, tag, whenLanguageChanges } from "./words.js";

const SECONDS = 4;

export class Panel {
  constructor() {
    this.state = null;
    this.sheet = byId("machine");
    this.sheet.addEventListener("toggle", () => this.sheet.open && this.refresh());
    addEventListener("pointerdown", (event) => {
      if (!this.sheet.contains(event.target)) this.sheet.open = false;
    });
    this.sheet.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.sheet.open) return;
      event.stopPropagation();
      this.sheet.open = false;
      this.sheet.querySelector("summary").focus();
    });
    watch.listeners.add(() => this.light());
    setInterval(() => !document.hidden && this.sheet.open && this.refresh(), SECONDS * 1000);
    whenLanguageChanges(() => {
      this.light();
      this.show();
    });
  }

  // active: the jobs that wait or run.
  busy(active) {
    this.active = active;
    this.light();
  }

  light() {
    const [look, key] = !watch.there
      ? ["gone", "machine.gone"]
      : this.active?.length
        ? ["busy", "machine.busy"]
        : ["", "machine.ready"];
    byId("machine-dot").className = `dot ${look}`;
    byId("machine-line").textContent = say(key);
  }

  async refresh() {
    try {
      this.state = await machine.state();
      this.show();
    } catch (error) {
      if (error.status === undefined) throw error;
    }
  }

  show() {
    if (!this.state) return;
    const rows = lines(this.state).map(([key, value, bar]) => [
      make("dt", {}, say(key)),
      make(
        "dd",
        {},
        value,
        bar === undefined ? null : make("progress", { max: 1, value: bar, "aria-label": say(key) }),
      ),
    ]);
    byId("machine-facts").replaceChildren(...rows.flat());
  }
}

function lines(state) {
  const { memory, queue, worker } = state;
  const rows = [];
  if (memory) {
    const used = memory.total_bytes - memory.available_bytes;
    rows.push([
      "machine.memory",
      say("machine.of", { used: bytes(used), total: bytes(memory.total_bytes) }),
      used / memory.total_bytes,
    ]);
  }
  if (state.temperature_celsius !== null && state.temperature_celsius !== undefined) {
    const degrees = new Intl.NumberFormat(tag(), { maximumFractionDigits: 0 }).format(state.temperature_celsius);
    rows.push(["machine.temperature", `${degrees} °C`]);
  }
  rows.push(["machine.model", worker?.model ?? say("machine.none")]);
  if (worker?.memory_bytes) rows.push(["machine.worker", bytes(worker.memory_bytes)]);
  rows.push(["machine.queue", say("machine.waiting", { waiting: queue?.waiting ?? 0 })]);
  return rows;
}
