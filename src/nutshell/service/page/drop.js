// A picture dropped on the page: on the place for it, it is what to start from; anywhere else its settings come back.

import { pictures } from "./api.js";
import { byId } from "./dom.js";
import { pictureIn } from "./files.js";
import { toast } from "./toast.js";
import { say } from "./words.js";

// onStart: called with a file to start from; onParameters: with what a picture was made with.
export function listenForDrops({ onStart, onParameters }) {
  const curtain = byId("dropping");
  let depth = 0; // dragenter and dragleave come for every element that is crossed
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const show = (yes) => {
    curtain.hidden = !yes;
  };

  addEventListener("dragenter", (event) => {
    if (carriesFiles(event)) depth += 1;
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (depth === 0) show(false);
  });
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    show(!byId("start").contains(event.target));
  });
  addEventListener("drop", (event) => {
    depth = 0;
    show(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const file = pictureIn(event.dataTransfer);
    if (!file) toast(say("start.unreadable"));
    else if (byId("start").contains(event.target)) onStart(file);
    else restore(file);
  });

  async function restore(file) {
    try {
      const { parameters } = await pictures.parameters(file);
      if (parameters && "prompt" in parameters) onParameters(parameters);
      else toast(say("drop.none"), { action: say("viewer.start"), onAction: () => onStart(file) });
    } catch (error) {
      if (error.status === undefined) throw error;
      toast(error.message);
    }
  }
}
