// A graphics card holds the scan, its colours and the mask's: about eleven bytes a voxel. Larger scans
// come with every second (third, ...) voxel of an axis, and the page says so.
export const MOST_VOXELS = 300e6;
export const FEW_VOXELS = 30e6; // for the cards that cannot hold those

export function stepsFor(shape, largestSide, mostVoxels) {
  const steps = shape.map((side) => Math.max(1, Math.ceil(side / largestSide)));
  const sides = () => shape.map((side, axis) => Math.ceil(side / steps[axis]));
  while (sides().reduce((a, b) => a * b) > mostVoxels) {
    const now = sides();
    steps[now.indexOf(Math.max(...now))] += 1;
  }
  return steps;
}
