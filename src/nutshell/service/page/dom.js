// Elements by id, and new ones.

export const byId = (id) => document.getElementById(id);

// make("button", { class: "small", onclick, "aria-label": "Close" }, "text", otherElement)
// Functions become listeners; null and false leave an attribute out.
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false && value !== undefined)
      element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(path) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  drawing.append(line);
  return drawing;
}

export const HEART =
  "M12 20s-7-4.4-9-8.6C1.5 8 3.5 5 6.5 5c2.2 0 4 1.2 5.5 3.3" +
  "C13.5 6.2 15.3 5 17.5 5c3 0 5 3 3.5 6.4C19 15.6 12 20 12 20z";
