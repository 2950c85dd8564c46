import { plain } from "./plain.js";

// What is known of the scan and of the run, as terms and descriptions; everything enters as text.
export function fillFacts(list, { scan, bundle, engine, threshold, candidate_count, warnings }) {
  const facts = [
    ["Series", scan.series_uid ?? "unknown"],
    ["File", scan.name],
    ["Voxels", scan.shape_irc.join(" × ")],
    ["Spacing", `${scan.spacing_mm.map((mm) => Number(mm.toFixed(4))).join(" × ")} mm`],
    ["Bundle", `${bundle.name} (${bundle.sha256.slice(0, 12)})`],
    ["Engine", `${engine.name} ${engine.version}, ${engine.precision}`],
    ["Threshold", String(threshold)],
    ["Candidates", String(candidate_count)],
    ...warnings.map(({ text }) => ["Warning", text]),
  ];
  list.replaceChildren(...facts.flatMap(([term, text]) => {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = term;
    dd.textContent = plain(text);
    return [dt, dd];
  }));
}
