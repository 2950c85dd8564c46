// Bundles the page: node build.mjs SOURCE LICENCES OUTPUT. Runs in the folder that holds node_modules (build.py).
// Beside the bundle lie the licences of every package that really went into it.
import { build } from "esbuild";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";

const [source, texts, output] = process.argv.slice(2);
const modules = path.resolve("node_modules");
await mkdir(output, { recursive: true });

const { metafile } = await build({
  entryPoints: [path.join(source, "src/main.js")],
  outfile: path.join(output, "view.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none", // they are in licenses.txt
  metafile: true,
  nodePaths: [modules],
  // Zarr is read over a network: not here.
  alias: { zarrita: path.join(source, "src/no-zarr.js") },
  loader: { ".png": "dataurl", ".jpg": "dataurl" },
  logLevel: "warning",
});
for (const file of ["index.html", "view.css", "icon.svg"]) {
  await copyFile(path.join(source, file), path.join(output, file));
}
await writeFile(path.join(output, "licenses.txt"), await licences(packagesOf(metafile)));

// Folders of the packages whose files are in the bundle.
function packagesOf({ inputs }) {
  const folders = new Set();
  for (const input of Object.keys(inputs)) {
    const [, inside] = path.resolve(input).split(modules + path.sep);
    if (inside) folders.add(inside.match(/^(@[^/\\]+[/\\])?[^/\\]+/)[0]);
  }
  return [...folders].sort().map((name) => path.join(modules, name));
}

async function licences(folders) {
  const parts = ["Packages in view.js and their licences.\n"];
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(
      await readFile(path.join(folder, "package.json"), "utf8"),
    );
    parts.push(`${"=".repeat(78)}\n${name} ${version} (${license})\n`);
    const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    for (const file of files) parts.push(await readFile(path.join(folder, file), "utf8"));
    // A package that ships no text has it in our folder of licences.
    if (!files.length) {
      parts.push(await readFile(path.join(texts, `${path.basename(folder)}.txt`), "utf8"));
    }
  }
  return parts.join("\n");
}
