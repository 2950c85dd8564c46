// Wires the page: what the server knows, the pictures, the list, the slider and the keys.
import { watchServer } from "./alive.js";
import { makeChoice } from "./buttons.js";
import { makeEdges } from "./edges.js";
import { fillFacts } from "./facts.js";
import { fetchBuffer, fetchJson } from "./fetch.js";
import { fillKeyTable, listenToKeys } from "./keys.js";
import { makeList, millimetres, probability } from "./list.js";
import { voxelAt } from "./place.js";
import { plain } from "./plain.js";
import { LAYOUTS, WINDOWS } from "./presets.js";
import { FEW_VOXELS, MOST_VOXELS, stepsFor } from "./size.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const stage = new Stage();
const state = { findings: [], chosen: -1, threshold: 0, level: 0, width: 1, mask: "outline" };

// Of the address, for a page that asks for fewer voxels.
const COARSER = "#coarser";

const MASKS = [
  { name: "Outline", style: "outline" },
  { name: "Fill", style: "fill" },
  { name: "Off", style: "off" },
];

main().catch((error) => {
  console.error(error);
  $("loading-progress").hidden = true;
  $("loading").hidden = false;
  if (error instanceof RangeError) sayTooLarge();
  else $("loading-text").textContent = `The scan cannot be shown: ${error.message}`;
  document.documentElement.dataset.state = "failed";
});

async function main() {
  $("coarser").addEventListener("click", () => {
    location.hash = COARSER;
    location.reload();
  });
  chooseTheme(matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
  const known = await fetchJson("view.json");
  state.known = known;
  state.findings = known.findings;
  state.threshold = known.threshold;
  const name = plain(known.scan.series_uid ?? known.scan.name);
  $("scan-name").textContent = name;
  $("scan-name").title = name;
  document.title = `luna-view: ${name}`;
  fillFacts($("facts"), known);

  await stage.attach($("canvas"), {
    onMove: showPlace,
    onWindow: (low, high) => showWindow((low + high) / 2, high - low),
    onDrawn: makeEdges($("edges")),
    onLost: sayTooLarge,
  });
  const steps = await load(known);
  const list = makeList($("list"), state.findings, choose);
  state.list = list;

  const pressLayout = makeChoice($("layouts"), LAYOUTS, ({ view }) => setLayout(view));
  const pressWindow = makeChoice($("windows"), WINDOWS, ({ level, width }) => setWindow(level, width));
  const pressMask = makeChoice($("masks"), MASKS, ({ style }) => setMask(style));
  Object.assign(state, { pressLayout, pressWindow, pressMask });

  const slider = $("threshold");
  slider.value = String(state.threshold);
  slider.addEventListener("input", () => setThreshold(Number(slider.value)));
  $("threshold-reset").addEventListener("click", () => setThreshold(known.threshold));
  for (const id of ["level", "width"]) $(id).addEventListener("change", typedWindow);
  $("theme").addEventListener("click", otherTheme);
  $("help-open").addEventListener("click", () => $("help").showModal());
  const actions = makeActions();
  fillKeyTable($("keys"), actions);
  listenToKeys(window, actions, { isOn: () => $("keys-on").checked });

  stage.reset();
  setLayout("all");
  setWindow(WINDOWS[0].level, WINDOWS[0].width);
  setMask(state.mask);
  setThreshold(state.threshold);
  stage.draw();
  if (steps.some((step) => step > 1)) {
    warn(`The scan is too large for the graphics card: shown is one voxel in ${steps.join(" × ")} (index × row × col).`);
  }
  const first = state.findings.findIndex(isShown);
  if (first >= 0) choose(first);
  else showPlace(stage.place());
  $("loading").hidden = true;
  document.documentElement.dataset.state = "ready";
  watchServer(
    () => warn("luna-view has stopped: what is here stays, a reload needs the program again."),
    () => ($("banner").dataset.stopped ? warn("") : undefined),
  );
}

async function load({ scan, findings }) {
  const steps = stepsFor(scan.shape_irc, stage.largestSide, location.hash === COARSER ? FEW_VOXELS : MOST_VOXELS);
  const query = `step=${steps.join(",")}`;
  const progress = (what) => (part, bytes) => {
    $("loading-text").textContent = `${what}: ${Math.round(100 * part)} % of ${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
    $("loading-progress").value = part;
  };
  const volume = await stage.makeScan(await fetchBuffer(`scan.nii?${query}`, progress("Loading the scan")));
  const mask = findings.length
    ? await stage.makeMask(await fetchBuffer(`mask.nii?${query}`, progress("Loading the mask")))
    : null;
  $("loading-text").textContent = "Drawing";
  stage.show(volume, mask);
  return steps;
}

function isShown(finding) {
  return finding.probability > state.threshold;
}

function choose(place) {
  const finding = state.findings[place];
  state.chosen = place;
  state.list.mark(place);
  stage.goTo(finding.center_xyz_mm, Math.max(8, 0.8 * finding.diameter_mm));
  $("said").textContent = `${finding.kind} ${place + 1}, probability ${probability(finding.probability)}, `
    + `${finding.diameter_mm.toFixed(1)} mm, at ${millimetres(finding.center_xyz_mm)}`;
}

// The next (1) or previous (-1) finding that is shown.
function chooseNext(direction) {
  const shown = state.findings.map((finding, place) => [finding, place]).filter(([finding]) => isShown(finding));
  if (!shown.length) return;
  const after = shown.findIndex(([, place]) => (direction > 0 ? place > state.chosen : place >= state.chosen));
  const at = direction > 0 ? (after < 0 ? 0 : after) : (after < 0 ? shown.length : after) - 1;
  choose(shown.at(at)[1]);
}

function setThreshold(threshold) {
  const { known, findings } = state;
  state.threshold = threshold;
  $("threshold").value = String(threshold);
  $("threshold-value").textContent = String(Number(threshold.toFixed(4)));
  state.list.show(isShown);
  stage.colourMask(findings, isShown);
  const count = findings.filter(isShown).length;
  $("findings-title").textContent = `${known.all_candidates ? "Findings" : "Nodules"} (${count} of ${findings.length})`;
  $("list-empty").hidden = count > 0;
  $("list-empty").textContent = findings.length ? "None above this probability." : "The result lists no nodule.";
  $("threshold-note").textContent = noteOn(known, threshold);
  $("threshold-reset").disabled = threshold === known.threshold;
}

function noteOn({ all_candidates: all, findings_left_out: leftOut, threshold: ofRun }, threshold) {
  if (!all) {
    return threshold < ofRun
      ? `This result lists nodules only: nothing below ${ofRun} is in it. Run luna_infer with --all-candidates to see more.`
      : `The run's threshold was ${ofRun}.`;
  }
  const rest = leftOut ? ` The ${leftOut} least probable candidates are left out.` : "";
  return `The run's threshold was ${ofRun}; white findings are below it.${rest}`;
}

function setWindow(level, width) {
  stage.setWindow(level, width);
  showWindow(level, width);
}

function typedWindow() {
  const [level, width] = [Number($("level").value), Number($("width").value)];
  if (Number.isFinite(level) && width >= 1) setWindow(level, width);
  else showWindow(state.level, state.width);
}

function showWindow(level, width) {
  Object.assign(state, { level, width });
  $("level").value = String(Math.round(level));
  $("width").value = String(Math.round(width));
  state.pressWindow((preset) => preset.level === level && preset.width === width);
}

function setLayout(view) {
  stage.setView(view);
  state.pressLayout((layout) => layout.view === view);
}

function setMask(style) {
  state.mask = style;
  stage.styleMask(style);
  state.pressMask((mask) => mask.style === style);
}

function showPlace({ xyz, hu }) {
  const place = $("place");
  [place.dataset.x, place.dataset.y, place.dataset.z] = xyz.map(String);
  const [index, row, col] = voxelAt(state.known.scan, xyz).map(Math.round);
  const texts = [millimetres(xyz), `image ${index + 1}, row ${row + 1}, column ${col + 1}`, `${Math.round(hu)} HU`];
  place.replaceChildren(...texts.map((text) => {
    const span = document.createElement("span");
    span.textContent = text;
    return span;
  }));
}

function sayTooLarge() {
  $("loading").hidden = false;
  $("loading-progress").hidden = true;
  $("loading-text").textContent = location.hash === COARSER
    ? "The browser or the graphics card cannot hold this scan, not even with fewer voxels. Close other pages and programs, or look on a machine with more memory."
    : "The browser or the graphics card cannot hold this scan. Close other pages and load again, or see fewer of its voxels.";
  $("coarser").hidden = location.hash === COARSER;
}

function warn(text) {
  $("banner").hidden = !text;
  $("banner").textContent = text;
}

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "dark" ? "Light" : "Dark";
}

function otherTheme() {
  chooseTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
}

function makeActions() {
  return [
    { keys: ["n"], does: "next finding", run: () => chooseNext(1) },
    { keys: ["p"], does: "previous finding", run: () => chooseNext(-1) },
    {
      keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], shown: ["←", "→", "↑", "↓"], onCanvas: true,
      does: "on the pictures: crosshair one voxel in the plane; turns 3-D", run: ({ key }) => arrow(key),
    },
    { keys: ["PageUp"], onCanvas: true, does: "on the pictures: one slice up", run: () => page(1) },
    { keys: ["PageDown"], onCanvas: true, does: "on the pictures: one slice down", run: () => page(-1) },
    ...WINDOWS.map(({ name, key, level, width }) => ({
      keys: [key], does: `${name.toLowerCase()} window (level ${level}, width ${width} HU)`, run: () => setWindow(level, width),
    })),
    ...LAYOUTS.map(({ name, key, view }) => ({ keys: [key], does: `layout: ${name}`, run: () => setLayout(view) })),
    {
      keys: ["m"], does: "mask: outline, fill, off",
      run: () => setMask(MASKS[(MASKS.findIndex(({ style }) => style === state.mask) + 1) % MASKS.length].style),
    },
    { keys: ["["], does: "lower the probability by 0.01", run: () => stepThreshold(-1) },
    { keys: ["]"], does: "raise the probability by 0.01", run: () => stepThreshold(1) },
    { keys: ["+", "="], shown: ["+"], does: "zoom in", run: () => stage.zoom(1.25) },
    { keys: ["-"], does: "zoom out", run: () => stage.zoom(0.8) },
    { keys: ["r"], does: "whole picture again", run: () => stage.reset() },
    { keys: ["t"], does: "light or dark", run: otherTheme },
    { keys: ["?"], does: "this help", run: () => $("help").showModal() },
  ];
}

function stepThreshold(direction) {
  setThreshold(Math.min(1, Math.max(0, Math.round(100 * state.threshold + direction) / 100)));
}

// On the screen: left is the patient's right in axial and coronal pictures, and the front in sagittal ones.
function arrow(key) {
  const across = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
  const up = { ArrowUp: 1, ArrowDown: -1 }[key] ?? 0;
  if (stage.view === "render") stage.turn(5 * across, 5 * up);
  else if (stage.view === "sagittal") stage.step(0, -across, up);
  else if (stage.view === "coronal") stage.step(across, 0, up);
  else stage.step(across, up, 0);
}

function page(up) {
  if (stage.view === "sagittal") stage.step(up, 0, 0);
  else if (stage.view === "coronal") stage.step(0, up, 0);
  else stage.step(0, 0, up);
}
