// One colour a finding, told apart also by people who see colours differently (after Okabe and Ito 2008,
// lightened). Each has a channel of 255, which the shader of the planes relies upon. Candidates are white.
const PALETTE = [
  [255, 176, 0], [94, 197, 255], [255, 242, 70], [0, 255, 184], [255, 112, 0], [255, 161, 210],
];
const CANDIDATE = [255, 255, 255];

export function colourOf(finding, place) {
  return finding.kind === "nodule" ? PALETTE[place % PALETTE.length] : CANDIDATE;
}
