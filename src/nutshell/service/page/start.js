// The picture to start from: chosen, dropped, pasted or taken from the gallery, and the mask over it.

import { byId } from "./dom.js";
import { canvasOf, pictureIn, pngOf } from "./files.js";
import { Mask } from "./mask.js";
import { announce, toast } from "./toast.js";
import { say, tag, whenLanguageChanges } from "./words.js";

export function startPicture({ onChange }) {
  const shown = byId("start-picture");
  const strength = byId("strength");
  const erase = byId("mask-erase");
  const file = byId("start-file");
  let present = false;
  const mask = new Mask(byId("mask"), {
    onChange: () => {
      byId("mask-undo").disabled = byId("mask-clear").disabled = mask.strokes.length === 0;
    },
    onPen: (down) => announce(say(down ? "mask.down" : "mask.up")),
  });

  async function use(picture) {
    let canvas;
    try {
      canvas = await canvasOf(picture);
    } catch {
      toast(say("start.unreadable"));
      return false;
    }
    Object.assign(shown, { width: canvas.width, height: canvas.height });
    shown.getContext("2d").drawImage(canvas, 0, 0);
    mask.resize(canvas.width, canvas.height);
    attach(canvas);
    show(true);
    return true;
  }

  // Small, beside the prompt: what is folded away must not surprise whoever draws.
  function attach(canvas) {
    const small = byId("attached-picture");
    const side = Math.min(canvas.width, canvas.height);
    const [left, top] = [(canvas.width - side) / 2, (canvas.height - side) / 2];
    small.getContext("2d").drawImage(canvas, left, top, side, side, 0, 0, small.width, small.height);
  }

  function edit() {
    byId("more").open = true;
    byId("easel").scrollIntoView({ block: "center" });
    byId("mask").focus({ preventScroll: true });
  }

  function show(yes) {
    present = yes;
    byId("attached").hidden = !yes;
    byId("start-empty").hidden = yes;
    byId("start-full").hidden = !yes;
    if (!yes) mask.clear();
    onChange();
  }

  function remove() {
    show(false);
    byId(byId("more").open ? "start-choose" : "prompt").focus();
  }

  byId("start-choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files[0]) use(file.files[0]);
    file.value = ""; // so that the same file can be chosen again
  });
  for (const id of ["start-remove", "attached-remove"]) byId(id).addEventListener("click", remove);
  byId("attached-edit").addEventListener("click", edit);
  byId("brush").addEventListener("input", (event) => {
    mask.share = event.target.value / 100;
    mask.paint();
  });
  erase.addEventListener("click", () => {
    mask.erasing = !mask.erasing;
    erase.setAttribute("aria-pressed", mask.erasing);
  });
  byId("mask-undo").addEventListener("click", () => mask.undo());
  byId("mask-clear").addEventListener("click", () => mask.clear());
  addEventListener("paste", (event) => {
    const picture = pictureIn(event.clipboardData);
    if (!picture || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    use(picture);
  });

  const tellStrength = () => {
    byId("strength-value").textContent = new Intl.NumberFormat(tag(), { style: "percent" }).format(strength.value);
  };
  strength.addEventListener("input", tellStrength);
  whenLanguageChanges(tellStrength);

  return {
    use,
    get present() {
      return present;
    },
    clear() {
      if (present) show(false);
      strength.value = 0.8;
      tellStrength();
    },
    setStrength(value) {
      strength.value = value;
      tellStrength();
    },
    // The fields of a request; none without a picture.
    async fields() {
      if (!present) return {};
      const painted = mask.drawn();
      return {
        image: await pngOf(shown),
        mask: painted ? await pngOf(painted) : undefined,
        strength: Number(strength.value),
      };
    },
  };
}
