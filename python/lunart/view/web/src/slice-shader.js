// How a plane is drawn: the scan in grey, and the findings' mask as an outline or a fill.
//
// A voxel of the overlay has the colour of its finding, of which one channel is full, or is black. Between
// voxels both are mixed, so the largest channel says how far inside the finding a place is; the contour is
// where it is a half, as wide on the screen as `overlayOutlineWidth` says in pixels.
export const SLICE_SHADER = `#version 300 es
precision highp int;
precision highp float;
uniform highp sampler3D volume, overlay;
uniform float overlayOutlineWidth;
uniform float overlayAlphaShader;
uniform float overlays;
uniform float opacity;
in vec3 texPos;
out vec4 color;

float inside(vec3 place) {
  vec3 c = texture(overlay, place).rgb;
  return max(max(c.r, c.g), c.b);
}

void main() {
  color = vec4(texture(volume, texPos).rgb, opacity);
  if (overlays < 1.0) return;
  vec3 dx = dFdx(texPos) * overlayOutlineWidth;
  vec3 dy = dFdy(texPos) * overlayOutlineWidth;
  float here = inside(texPos);
  float most = here;
  for (int x = -1; x <= 1; ++x)
    for (int y = -1; y <= 1; ++y) most = max(most, inside(texPos + float(x) * dx + float(y) * dy));
  if (most <= 0.5) return;
  vec3 c = texture(overlay, texPos).rgb;
  vec3 hue = here > 0.02 ? c / here : vec3(1.0);
  if (here > 0.5) {
    color.rgb = mix(color.rgb, hue, overlayAlphaShader);
  } else if (overlayOutlineWidth > 0.0) {
    color.rgb = hue;
  }
}`;
