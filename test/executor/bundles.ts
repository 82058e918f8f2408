import fs from "node:fs";
import path from "node:path";
import { type BuildOptions, buildSync } from "esbuild";

const common: BuildOptions = { bundle: true, platform: "node", format: "cjs", target: "node20", packages: "external" };
const moduleUrl = "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;";

/** Bundles the built-in sandbox's program into DIRECTORY; gives its file. */
export function buildSandbox(directory: string): string {
  return bundle("src/executor/sandbox/main.ts", path.join(directory, "sandbox.cjs"));
}

/** Bundles the small engine of the tests into DIRECTORY; gives its file. */
export function buildEngine(directory: string): string {
  return bundle("test/executor/engine.ts", path.join(directory, "engine.cjs"));
}

function bundle(entry: string, outfile: string): string {
  const define = { "import.meta.url": "__moduleUrl" };
  buildSync({ ...common, entryPoints: [entry], outfile, banner: { js: moduleUrl }, define });
  const modules = path.join(path.dirname(outfile), "node_modules");
  if (!fs.existsSync(modules)) fs.symlinkSync(path.resolve("node_modules"), modules);
  return outfile;
}
