// Builds dist/: the CLI and the data-plane worker (one CommonJS file each), the library (ESM and CommonJS) and its types.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
if (!fs.existsSync(path.join(root, "src"))) process.exit(0); // an installed package holds dist/ already
const { build } = await import("esbuild");

// Native modules cannot be bundled; undici is large, and only loaded when something is fetched.
const external = ["koffi", "@photostructure/sqlite", "node:sqlite", "undici"];
const common = { bundle: true, platform: "node", target: "node20", external, absWorkingDir: root, logLevel: "warning" };
const cjs = {
  ...common,
  format: "cjs",
  // import() becomes require(): code that V8 takes from a file (bin/start.cjs) cannot import.
  supported: { "dynamic-import": false },
  banner: { js: "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { "import.meta.url": "__moduleUrl" },
};
const entries = [
  { ...cjs, entryPoints: ["src/cli/main.ts"], outfile: "dist/cli.cjs" },
  { ...cjs, entryPoints: ["src/snapshot/worker/main.ts"], outfile: "dist/worker.cjs" },
  { ...cjs, entryPoints: ["src/executor/sandbox/main.ts"], outfile: "dist/sandbox.cjs" },
  { ...cjs, entryPoints: ["src/engine/index.ts"], outfile: "dist/index.cjs" },
  {
    ...common,
    format: "esm",
    entryPoints: ["src/engine/index.ts"],
    outfile: "dist/index.mjs",
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  },
];
fs.mkdirSync(path.join(root, "dist"), { recursive: true });
// Compiled code of older bundles (bin/start.cjs).
for (const name of fs.readdirSync(path.join(root, "dist")))
  if (name.endsWith(".v8")) fs.rmSync(path.join(root, "dist", name));
await Promise.all(
  entries.filter((entry) => fs.existsSync(path.join(root, entry.entryPoints[0]))).map((entry) => build(entry)),
);
if (!process.argv.includes("--no-types")) {
  execFileSync(path.join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.types.json"], {
    cwd: root,
    stdio: "inherit",
  });
}
