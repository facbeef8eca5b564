// What is folded under "More": model, size, steps and the rest. An empty field means: as the model has it.

import { machine } from "./api.js";
import { byId, make } from "./dom.js";
import { duration, say, whenLanguageChanges } from "./words.js";

const NUMBERS = ["width", "height", "steps", "guidance", "count", "reuse", "merge"];
const CHECKS = ["fast", "fewer_keys", "int8_attention"];
// Settings of the same name have them, too; a test compares.
const PRECISIONS = ["f32", "bf16", "f16", "int8", "int8_weights"];
// As nutshell.sampling.registry has them; a test compares.
const SAMPLERS = {
  ddim: "DDIM",
  plms: "PLMS",
  euler: "Euler",
  euler_ancestral: "Euler a",
  heun: "Heun",
  lms: "LMS",
  dpmpp_2m: "DPM++ 2M",
  dpmpp_2m_sde: "DPM++ 2M SDE",
  unipc: "UniPC",
  lcm: "LCM",
  tcd: "TCD",
};
// What is offered beside a model's own size, as shares of it: tall, wide, small, large. Models want multiples of 64.
const SHAPES = [
  ["tall", 0.75, 1],
  ["wide", 1, 0.75],
  ["small", 0.75, 0.75],
  ["large", 1.5, 1.5],
];
const GRID = 64;
const LONGEST = 1024;

export class Settings {
  // onChange: after anything was changed that the time of a picture depends on.
  constructor({ onChange }) {
    this.rows = [];
    this.fallback = "";
    this.onChange = onChange;
    this.withPicture = false;
    byId("model").addEventListener("change", () => this.modelChanged());
    byId("size").addEventListener("change", () => this.sizeChanged());
    byId("dice").addEventListener("click", () => {
      byId("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
    });
    for (const name of NUMBERS) byId(name).addEventListener("change", () => onChange());
    whenLanguageChanges(() => this.fill());
  }

  async load() {
    const { models } = await machine.models();
    this.rows = models.filter((row) => row.here);
    this.fallback = (models.find((row) => row.default) ?? this.rows[0])?.name ?? "";
    this.fill();
  }

  get row() {
    return this.rows.find((row) => row.name === byId("model").value);
  }

  fill() {
    const model = byId("model");
    const chosen = model.value || this.fallback;
    model.replaceChildren(...this.rows.map((row) => make("option", { value: row.name }, titled(row)[0])));
    if (this.rows.some((row) => row.name === chosen)) model.value = chosen;
    const sampler = byId("sampler").value;
    byId("sampler").replaceChildren(
      make("option", { value: "" }, say("usual")),
      ...Object.entries(SAMPLERS).map(([name, title]) => make("option", { value: name }, title)),
    );
    byId("sampler").value = sampler;
    const precision = byId("precision").value;
    byId("precision").replaceChildren(
      make("option", { value: "" }, say("usual")),
      ...PRECISIONS.map((name) => make("option", { value: name }, say(`precision.${name}`))),
    );
    byId("precision").value = precision;
    this.modelChanged();
  }

  modelChanged() {
    const row = this.row;
    byId("steps").placeholder = row?.steps ?? "";
    byId("guidance").placeholder = row?.guidance ?? "";
    byId("model-verdict").textContent = row ? verdict(row) : "";
    this.fillSizes();
    this.onChange();
  }

  fillSizes() {
    const row = this.row;
    const size = byId("size");
    const chosen = size.value;
    const options = [];
    // A damaged model has no size.
    if (row?.width) {
      options.push(["", this.withPicture ? say("size.picture") : say("size.usual", row)]);
      for (const [name, width, height] of SHAPES) {
        const side = (share, own) => Math.max(GRID, Math.round((own * share) / GRID) * GRID);
        const [w, h] = [side(width, row.width), side(height, row.height)];
        if (Math.max(w, h) <= LONGEST) options.push([`${w}x${h}`, say(`size.${name}`, { width: w, height: h })]);
      }
    }
    options.push(["custom", say("size.custom")]);
    size.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
    size.value = options.some(([value]) => value === chosen) ? chosen : "";
    this.sizeChanged();
  }

  sizeChanged() {
    const custom = byId("size").value === "custom";
    for (const field of document.querySelectorAll("[data-custom-size]")) field.hidden = !custom;
    if (custom && this.row?.width) {
      byId("width").value ||= this.row.width;
      byId("height").value ||= this.row.height;
    }
    this.onChange();
  }

  // With a picture to start from, the usual size is that picture's shape.
  setWithPicture(yes) {
    this.withPicture = yes;
    this.fillSizes();
  }

  // The fields of a request; what is empty is left out.
  fields() {
    const fields = { model: byId("model").value, sampler: byId("sampler").value };
    for (const name of ["steps", "guidance", "count", "reuse", "merge"]) fields[name] = number(byId(name));
    // What is not ticked is left out: it is as "fast" says.
    for (const name of CHECKS) if (byId(name).checked) fields[name] = true;
    fields.precision = byId("precision").value;
    const size = byId("size").value;
    if (size === "custom") Object.assign(fields, { width: number(byId("width")), height: number(byId("height")) });
    else if (size) [fields.width, fields.height] = size.split("x").map(Number);
    // As text: it may have more digits than JavaScript's numbers.
    const seed = byId("seed").value.trim();
    if (seed) fields.seed = seed;
    fields.negative_prompt = byId("negative_prompt").value.trim();
    return fields;
  }

  // What a picture was made with; what it does not tell goes back to the usual.
  apply(parameters) {
    this.reset();
    if (this.rows.some((row) => row.name === parameters.model)) byId("model").value = parameters.model;
    this.modelChanged();
    for (const name of ["steps", "guidance", "seed", "negative_prompt", "reuse", "merge"])
      byId(name).value = parameters[name] ?? "";
    for (const name of ["fewer_keys", "int8_attention"]) byId(name).checked = parameters[name] === true;
    if (parameters.precision?.startsWith("int8")) byId("precision").value = parameters.precision;
    byId("sampler").value = samplerName(parameters.sampler);
    const { width, height } = parameters;
    if (width && height && (width !== this.row?.width || height !== this.row?.height)) {
      const size = byId("size");
      size.value = `${width}x${height}`;
      if (!size.value) {
        size.value = "custom";
        Object.assign(byId("width"), { value: width });
        Object.assign(byId("height"), { value: height });
      }
      this.sizeChanged();
    }
  }

  reset() {
    for (const name of [...NUMBERS, "seed", "negative_prompt", "sampler", "size", "precision"]) byId(name).value = "";
    for (const name of CHECKS) byId(name).checked = false;
    byId("count").value = 1;
    byId("model").value = this.fallback;
    this.modelChanged();
  }
}

// Parameters hold a sampler's name or its title; "" for one that is not known.
function samplerName(given) {
  return Object.entries(SAMPLERS).find((names) => names.includes(given))?.[0] ?? "";
}

const number = (input) => (input.value === "" ? undefined : Number(input.value));

// A card's title: what it is called, and after a colon what it is.
function titled(row) {
  const [name, ...rest] = (row.title || row.name).split(": ");
  return [name, rest.join(": ")];
}

function verdict(row) {
  const parts = titled(row).slice(1).filter(Boolean);
  if (row.verdict) parts.push(say(`verdict.${row.verdict.replaceAll(" ", "_")}`));
  if (row.seconds) parts.push(say("verdict.seconds", { time: duration(row.seconds) }));
  if (row.licence) parts.push(say("verdict.licence", { licence: row.licence }));
  return parts.join(" · ");
}
