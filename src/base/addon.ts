import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** A package that is a native addon with JavaScript around it. */
export interface AddonPackage {
  readonly name: string;
  /** Where its addon for this machine lies, below a node_modules directory; its exports are what we use of the package. */
  readonly file: string;
}

/**
 * The exports of a package's addon. The file is opened where it is known to lie: a package's own search for it takes longer than
 * everything else of a build in which nothing changed. Where it is not there, or does not fit this machine's libc, the package searches.
 */
export function loadAddon({ name, file }: AddonPackage): unknown {
  for (let directory = path.dirname(fileURLToPath(import.meta.url)); ; directory = path.dirname(directory)) {
    const found = path.join(directory, "node_modules", file);
    if (fs.existsSync(found)) {
      const addon = opened(found);
      if (addon !== undefined) return addon;
      break;
    }
    if (directory === path.dirname(directory)) break;
  }
  return createRequire(import.meta.url)(name);
}

function opened(file: string): unknown {
  const module = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch {
    return undefined;
  }
  return module.exports;
}
