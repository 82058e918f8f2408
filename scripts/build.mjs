// Builds dist/: the CLI and the data-plane worker (one CommonJS file each), the library (ESM and CommonJS) and its types.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { builtinModules, createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
if (!fs.existsSync(path.join(root, "src"))) process.exit(0); // an installed package holds dist/ already
const { build } = await import("esbuild");

// Native modules cannot be bundled; undici, ssh2 and yaml are large, and only loaded when something is fetched, a key is served or a device
// is described in YAML; sigstore-js may be missing.
const external = [
  "koffi",
  "@photostructure/sqlite",
  "node:sqlite",
  "ssh2",
  "undici",
  "yaml",
  "tweetnacl",
  "@sigstore/*",
];
const common = { bundle: true, platform: "node", target: "node20", external, absWorkingDir: root, logLevel: "warning" };

// Node's own modules are loaded by their first use, not by the import: a build of which nothing is left to do needs few of them, and
// crypto alone takes as long as solving. A module here has a getter for each of the builtin's exports. What every file imports is spared
// the getters: its exports are picked one by one, and only those in use.
const PICKED = new Set(["fs", "path", "os"]);
/** What these export as a whole is used itself. */
const FUNCTIONS = new Set(["assert", "events", "module", "process", "stream"]);
/** What they export only in later versions of Node than the one that may bundle. */
const LATER = new Map([["zlib", ["createZstdCompress", "createZstdDecompress"]]]);
const lazyBuiltins = {
  name: "lazy-builtins",
  setup(bundle) {
    const load = createRequire(import.meta.url);
    const names = new Set(builtinModules.filter((name) => !FUNCTIONS.has(name)));
    bundle.onResolve({ filter: /^(node:)?[a-z_]+(\/[a-z_]+)?$/ }, ({ path: specifier, kind, namespace }) => {
      const name = specifier.replace(/^node:/, "");
      if (namespace !== "file" || !names.has(name) || external.includes(specifier)) return undefined;
      const picked = PICKED.has(name) && kind === "import-statement";
      return { path: name, namespace: picked ? "picked-builtin" : "lazy-builtin", sideEffects: !picked };
    });
    const exportsOf = (name) => [...new Set([...Object.keys(load(`node:${name}`)), ...(LATER.get(name) ?? [])])];
    bundle.onLoad({ filter: /.*/, namespace: "lazy-builtin" }, ({ path: name }) => ({
      contents: [
        "let loaded;",
        `const load = () => (loaded ??= require("node:${name}"));`,
        `for (const name of ${JSON.stringify(exportsOf(name))})`,
        "  Object.defineProperty(exports, name, { enumerable: true, get: () => load()[name] });",
      ].join("\n"),
    }));
    bundle.onLoad({ filter: /.*/, namespace: "picked-builtin" }, ({ path: name }) => ({
      contents: [
        `const all = require("node:${name}");`,
        "export default all;",
        "const pick = (name) => all[name];",
        ...exportsOf(name)
          .filter((key) => key !== "default")
          .map((key) => `export const ${key} = /* @__PURE__ */ pick("${key}");`),
      ].join("\n"),
    }));
  },
};
const cjs = {
  ...common,
  plugins: [lazyBuiltins],
  format: "cjs",
  // import() becomes require(): code that V8 takes from a file (bin/start.cjs) cannot import.
  supported: { "dynamic-import": false },
  banner: { js: "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { "import.meta.url": "__moduleUrl" },
};
const entries = [
  { ...cjs, entryPoints: ["src/cli/main.ts"], outfile: "dist/cli.cjs" },
  { ...cjs, entryPoints: ["src/snapshot/worker/main.ts"], outfile: "dist/worker.cjs" },
  { ...cjs, entryPoints: ["src/snapshot/outpost/main.ts"], outfile: "dist/outpost.cjs" },
  { ...cjs, entryPoints: ["src/executor/one-id/main.ts"], outfile: "dist/supervisor.cjs" },
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
