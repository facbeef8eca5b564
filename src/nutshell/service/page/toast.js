// Short words at the lower edge, with at most one thing to do about them.

import { byId, make } from "./dom.js";

const SECONDS = 7;

// after: called when it goes without its button having been pressed.
export function toast(text, { action, onAction, after } = {}) {
  let acted = false;
  const line = make("div", { class: "toast" }, make("span", {}, text));
  const leave = () => {
    if (!line.isConnected) return;
    line.remove();
    if (!acted) after?.();
  };
  if (action) {
    line.append(
      make(
        "button",
        {
          type: "button",
          onclick: () => {
            acted = true;
            leave();
            onAction();
          },
        },
        action,
      ),
    );
  }
  const region = byId("toasts");
  while (region.children.length > 2) region.firstElementChild.dispatchEvent(new Event("nutshell:leave"));
  line.addEventListener("nutshell:leave", leave);
  region.append(line);
  let clock = setTimeout(leave, SECONDS * 1000);
  // Whoever reads it or is about to press its button is given the time.
  for (const kind of ["pointerenter", "focusin"]) line.addEventListener(kind, () => clearTimeout(clock));
  for (const kind of ["pointerleave", "focusout"]) {
    line.addEventListener(kind, () => {
      clearTimeout(clock);
      clock = setTimeout(leave, SECONDS * 1000);
    });
  }
  return leave;
}

// For who does not see the screen: said politely, shown nowhere.
export function announce(text) {
  byId("told").textContent = text;
}
