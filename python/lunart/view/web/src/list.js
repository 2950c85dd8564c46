// The list of findings: each a button that jumps. Text of the result enters as text only.
import { colourOf } from "./colours.js";

const COORDINATE = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false });

export function makeList(container, findings, onChoose) {
  const items = findings.map((finding, place) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.label = finding.label;
    const [r, g, b] = colourOf(finding, place);
    button.append(
      swatch(`rgb(${r} ${g} ${b})`),
      part("number", `${place + 1}`),
      part("kind", `${finding.kind === "nodule" ? "Nodule" : "Candidate"}, ${finding.diameter_mm.toFixed(1)} mm`),
      part("probability", probability(finding.probability)),
      part("more", millimetres(finding.center_xyz_mm)),
      part("more", more(finding)),
    );
    button.addEventListener("click", () => onChoose(place));
    item.append(button);
    return item;
  });
  container.replaceChildren(...items);
  return {
    show: (isShown) => items.forEach((item, place) => (item.hidden = !isShown(findings[place]))),
    mark(chosen) {
      items.forEach((item, place) => {
        if (place === chosen) item.firstChild.setAttribute("aria-current", "true");
        else item.firstChild.removeAttribute("aria-current");
      });
      items[chosen]?.scrollIntoView({ block: "nearest" });
    },
  };
}

// L/R, P/A and H/F (head, feet) instead of signs: the letters say where the patient's coordinate grows.
export function millimetres([x, y, z]) {
  return [[x, "L", "R"], [y, "P", "A"], [z, "H", "F"]]
    .map(([value, plus, minus]) => `${value < 0 ? minus : plus} ${COORDINATE.format(Math.abs(value))}`)
    .join("  ") + " mm";
}

// Never rounded to certainty or to nothing.
export function probability(value) {
  if (value > 0 && value < 0.0005) return "< 0.001";
  return value < 1 && value >= 0.9995 ? "> 0.999" : value.toFixed(3);
}

function more({ center_irc: [index], volume_mm3, malignancy }) {
  const parts = [`image ${Math.round(index) + 1}`, `${Math.round(volume_mm3)} mm³`];
  if (malignancy !== null) parts.push(`malignancy ${probability(malignancy)}`);
  return parts.join(", ");
}

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

// SVG, because a style attribute would need a looser Content-Security-Policy.
function swatch(colour) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("aria-hidden", "true");
  const square = document.createElementNS(space, "rect");
  square.setAttribute("width", "12");
  square.setAttribute("height", "12");
  square.setAttribute("rx", "3");
  square.setAttribute("fill", colour);
  svg.append(square);
  return svg;
}
