// The pictures: NiiVue with a scan and the findings' mask. Millimetres that come in and go out are LPS.
import { DRAG_MODE, NVImage, SLICE_TYPE } from "@niivue/niivue";
import { colourOf } from "./colours.js";
import { Screen } from "./screen.js";
import { SLICE_SHADER } from "./slice-shader.js";

const VIEWS = {
  all: SLICE_TYPE.MULTIPLANAR,
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  render: SLICE_TYPE.RENDER,
};
// Left, top, width and height: nodules are read in axial pictures, so these are large.
const ALL = [
  { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.62, 1] },
  { sliceType: SLICE_TYPE.CORONAL, position: [0.62, 0, 0.38, 0.34] },
  { sliceType: SLICE_TYPE.SAGITTAL, position: [0.62, 0.34, 0.38, 0.33] },
  { sliceType: SLICE_TYPE.RENDER, position: [0.62, 0.67, 0.38, 0.33] },
];
// Grey in the planes, which ignore A: that is how much 3-D shows of a grey. In a window that has the lungs,
// these are a mist in which the findings shine; in others, what is densest is seen.
const LUNGS = ramp([0, 70, 78, 92, 100, 255], [0, 0, 4, 4, 0, 0]);
const DENSE = ramp([0, 150, 210, 255], [0, 0, 24, 40]);
const HIGHEST_LEVEL_OF_LUNGS = -300; // HU

const CROSSHAIR_MM = 0.7;

export class Stage {
  #nv = new Screen({
    logLevel: "warn",
    isRadiologicalConvention: true,
    sagittalNoseLeft: true,
    isOrientationTextVisible: false, // src/edges.js writes it
    dragAndDropEnabled: false,
    dragMode: DRAG_MODE.windowing,
    backColor: [0, 0, 0, 1],
    crosshairColor: [0.3, 0.9, 0.5, 0.8],
    crosshairWidthUnit: "mm",
    show3Dcrosshair: true,
    // NiiVue's own keys would fight with ours.
    viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",
  });
  #mask = null;
  #gapMm = 0;
  view = "all";

  async attach(canvas, { onMove, onWindow, onDrawn, onLost }) {
    if (!canvas.getContext("webgl2")) {
      throw new Error(
        "this browser has no WebGL 2. Turn on graphics acceleration in its settings, or open this address in another "
        + "browser. luna-report shows the nodules without it.",
      );
    }
    canvas.addEventListener("webglcontextlost", onLost);
    await this.#nv.attachToCanvas(canvas);
    this.#nv.addColormap("lungs", LUNGS);
    this.#nv.addColormap("dense", DENSE);
    this.#nv.setCustomSliceShader(SLICE_SHADER);
    this.#nv.onLocationChange = () => onMove(this.place());
    this.#nv.onDrawn = () => onDrawn(this.planes());
    this.#nv.onIntensityChange = (volume) => onWindow(volume.cal_min, volume.cal_max);
  }

  get largestSide() {
    return this.#nv.gl.getParameter(this.#nv.gl.MAX_3D_TEXTURE_SIZE);
  }

  async makeScan(buffer) {
    return NVImage.new(buffer, "scan.nii", "lungs");
  }

  async makeMask(buffer) {
    return NVImage.new(buffer, "mask.nii", "gray");
  }

  // `mask` is null when there is no finding. Nothing is drawn yet.
  show(scan, mask) {
    this.#mask = mask;
    for (const volume of mask ? [scan, mask] : [scan]) this.#nv.addVolume(volume);
  }

  // Draws what is shown for the first time. Throws RangeError where the graphics card cannot hold it.
  draw() {
    const { gl } = this.#nv;
    this.#nv.flush();
    for (let error = gl.getError(); error !== gl.NO_ERROR; error = gl.getError()) {
      if (error === gl.OUT_OF_MEMORY || error === gl.CONTEXT_LOST_WEBGL) throw new RangeError("out of memory");
    }
  }

  // Colours the voxels of the findings that `isShown`; those of the others vanish.
  colourMask(findings, isShown) {
    if (!this.#mask) return;
    const map = { R: [0], G: [0], B: [0], A: [0], I: [0] };
    findings.forEach((finding, place) => {
      const [r, g, b] = colourOf(finding, place);
      const on = isShown(finding) ? 1 : 0;
      map.R.push(on * r);
      map.G.push(on * g);
      map.B.push(on * b);
      map.A.push(on * 255);
      map.I.push(finding.mask_value);
    });
    this.#mask.setColormapLabel(map);
    this.#nv.updateGLVolume();
  }

  // "fill", "outline" or "off".
  styleMask(style) {
    if (!this.#mask) return;
    this.#nv.overlayOutlineWidth = style === "outline" ? 1.3 * devicePixelRatio : 0;
    this.#nv.overlayAlphaShader = style === "fill" ? 0.45 : 0;
    this.#nv.setOpacity(this.#nv.volumes.indexOf(this.#mask), style === "off" ? 0 : 1);
  }

  setWindow(level, width) {
    const [scan] = this.#nv.volumes;
    scan._colormap = level <= HIGHEST_LEVEL_OF_LUNGS ? "lungs" : "dense"; // the setter would draw
    scan.cal_min = level - width / 2;
    scan.cal_max = level + width / 2;
    this.#nv.updateGLVolume();
  }

  setView(view) {
    this.view = view;
    if (view === "all") this.#nv.setCustomLayout(ALL);
    else this.#nv.clearCustomLayout();
    this.#nv.setSliceType(VIEWS[view]);
  }

  // The crosshair leaves `gapMm` open around the place. A zoomed picture moves along.
  goTo([x, y, z], gapMm) {
    this.#nv.scene.crosshairPos = this.#nv.mm2frac([-x, -y, z], 0, true);
    this.#gapMm = gapMm;
    this.#fitCrosshair();
    if (this.#nv.scene.pan2Dxyzmm[3] > 1) this.#centre();
    this.#nv.createOnLocationChange();
    this.#nv.drawScene();
  }

  // Steps of voxels towards the patient's left (or right), front, head.
  step(left, front, head) {
    this.#nv.moveCrosshairInVox(-left, front, head);
  }

  turn(azimuth, elevation) {
    const { renderAzimuth, renderElevation } = this.#nv.scene;
    this.#nv.setRenderAzimuthElevation(renderAzimuth + azimuth, renderElevation + elevation);
  }

  // Zooms the planes around the crosshair, and 3-D.
  zoom(factor) {
    const { scene } = this.#nv;
    const old = scene.pan2Dxyzmm;
    const scale = Math.min(Math.max(old[3] * factor, 0.5), 16);
    const mm = this.#nv.frac2mm(scene.crosshairPos);
    const pan = [0, 1, 2].map((i) => old[i] + (old[3] - scale) * mm[i]);
    this.#nv.setPan2Dxyzmm([...pan, scale]);
    this.#fitCrosshair();
    this.#nv.setScale(Math.min(Math.max(scene.volScaleMultiplier * factor, 0.5), 8));
  }

  // Planes are drawn at scale × mm + pan, so this puts the crosshair where the scan's middle was.
  #centre() {
    const { scene } = this.#nv;
    const [scale, middle, mm] = [scene.pan2Dxyzmm[3], this.#nv.frac2mm([0.5, 0.5, 0.5]), this.#nv.frac2mm(scene.crosshairPos)];
    this.#nv.setPan2Dxyzmm([...[0, 1, 2].map((i) => middle[i] - scale * mm[i]), scale]);
  }

  // As thin on the screen whatever the zoom, and open around the finding. NiiVue measures the gap in half
  // widths, and keeps the crosshair's shape until its place is another.
  #fitCrosshair() {
    const { opts, scene, crosshairs3D } = this.#nv;
    opts.crosshairWidth = CROSSHAIR_MM / scene.pan2Dxyzmm[3];
    opts.crosshairGap = this.#gapMm / (opts.crosshairWidth / 2);
    if (crosshairs3D) crosshairs3D.mm[0] = NaN;
  }

  reset() {
    this.#nv.setPan2Dxyzmm([0, 0, 0, 1]);
    this.#fitCrosshair();
    this.#nv.setScale(1);
    this.#nv.setRenderAzimuthElevation(180, 10);
  }

  // The planes as they were drawn: where they lie on the canvas, in CSS pixels, and how large a pixel is.
  planes() {
    const { screenSlices, uiData } = this.#nv;
    return screenSlices.map((slice, at) => ({ slice, at })).filter(({ slice }) => slice.axCorSag <= SLICE_TYPE.SAGITTAL)
      .map(({ slice, at }) => {
        const [left, top, width, height] = slice.leftTopWidthHeight.map((pixels) => pixels / (uiData.dpr || 1));
        const view = { [SLICE_TYPE.AXIAL]: "axial", [SLICE_TYPE.CORONAL]: "coronal", [SLICE_TYPE.SAGITTAL]: "sagittal" }[slice.axCorSag];
        return { view, left, top, width, height, mmPerPixel: this.#mmAcross(slice, at) / width };
      });
  }

  // By where NiiVue itself sees two places of the plane, so that zoom and margins are in it.
  #mmAcross({ leftTopWidthHeight: [left, top, width, height] }, at) {
    const [one, other] = [0.25, 0.75].map((part) => {
      const frac = this.#nv.screenXY2TextureFrac(left + part * width, top + height / 2, at, false);
      return this.#nv.frac2mm(frac, 0, true);
    });
    return 2 * Math.hypot(...[0, 1, 2].map((axis) => other[axis] - one[axis]));
  }

  // Where the crosshair is: millimetres LPS and the value there.
  place() {
    const [scan] = this.#nv.volumes;
    const [x, y, z] = this.#nv.frac2mm(this.#nv.scene.crosshairPos, 0, true);
    const voxel = scan.mm2vox([x, y, z]);
    return { xyz: [-x, -y, z], hu: scan.getValue(...voxel) };
  }
}

function ramp(greys, alphas) {
  return { R: greys, G: greys, B: greys, A: alphas, I: greys };
}
