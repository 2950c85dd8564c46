// What radiologists look for at the edges of a plane: the patient's sides, and a bar of known length. As text
// over the pictures and not by NiiVue, so that it stays readable on white and on black.
const SIDES = { axial: "RLAP", coronal: "RLHF", sagittal: "APHF" }; // at the left, right, top and bottom
const PLACES = ["left", "right", "top", "bottom"];
const BARS_MM = [1, 2, 5, 10, 20, 50, 100, 200, 500];

// A round length that takes at most a quarter of the width.
export function barOf(width, mmPerPixel) {
  return BARS_MM.findLast((mm) => mm / mmPerPixel <= width / 4) ?? BARS_MM[0];
}

// The function that is returned takes the planes as they lie on the screen, in CSS pixels.
export function makeEdges(container) {
  let before = "";
  return (planes) => {
    const now = JSON.stringify(planes);
    if (now === before) return;
    before = now;
    container.replaceChildren(...planes.map(frame));
  };
}

function frame({ view, left, top, width, height, mmPerPixel }) {
  const box = made("div", "plane");
  Object.assign(box.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  box.dataset.view = view;
  [...SIDES[view]].forEach((letter, at) => box.append(made("span", `side ${PLACES[at]}`, letter)));
  const mm = barOf(width, mmPerPixel);
  const bar = made("span", "bar-of-scale", `${mm} mm`);
  bar.style.width = `${mm / mmPerPixel}px`;
  bar.dataset.mm = mm;
  box.append(bar);
  return box;
}

function made(name, className, text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}
