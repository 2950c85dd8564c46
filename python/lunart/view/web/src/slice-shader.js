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

float inside(vec3 c) {
  return max(max(c.r, c.g), c.b);
}

void main() {
  color = vec4(texture(volume, texPos).rgb, opacity);
  if (overlays < 1.0) return;
  vec3 dx = dFdx(texPos) * overlayOutlineWidth;
  vec3 dy = dFdy(texPos) * overlayOutlineWidth;
  vec3 c = texture(overlay, texPos).rgb;
  float here = inside(c);
  vec3 most = c; // of the places around
  for (int x = -1; x <= 1; ++x)
    for (int y = -1; y <= 1; ++y) {
      vec3 beside = texture(overlay, texPos + float(x) * dx + float(y) * dy).rgb;
      if (inside(beside) > inside(most)) most = beside;
    }
  if (inside(most) <= 0.5) return;
  if (here > 0.5) {
    color.rgb = mix(color.rgb, c / here, overlayAlphaShader);
  } else if (overlayOutlineWidth > 0.0) {
    color.rgb = most / inside(most); // c may be black
  }
}`;
