// From millimetres (LPS) to the scan's voxels (index, row, col), counted from 0, by its own geometry.
export function voxelAt({ spacing_mm: spacing, origin_mm: origin, direction: d }, xyz) {
  const [x, y, z] = xyz.map((mm, axis) => mm - origin[axis]);
  const determinant = d[0] * (d[4] * d[8] - d[5] * d[7]) - d[1] * (d[3] * d[8] - d[5] * d[6]) + d[2] * (d[3] * d[7] - d[4] * d[6]);
  const col = x * (d[4] * d[8] - d[5] * d[7]) + y * (d[2] * d[7] - d[1] * d[8]) + z * (d[1] * d[5] - d[2] * d[4]);
  const row = x * (d[5] * d[6] - d[3] * d[8]) + y * (d[0] * d[8] - d[2] * d[6]) + z * (d[2] * d[3] - d[0] * d[5]);
  const index = x * (d[3] * d[7] - d[4] * d[6]) + y * (d[1] * d[6] - d[0] * d[7]) + z * (d[0] * d[4] - d[1] * d[3]);
  return [index / (determinant * spacing[2]), row / (determinant * spacing[1]), col / (determinant * spacing[0])];
}
