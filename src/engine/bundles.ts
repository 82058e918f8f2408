import { fileURLToPath } from "node:url";

/**
 * A bundle that is run by itself: the data plane's threads, the process that holds them for an ordinary user, the sandbox's first process. They lie beside every bundle of this package;
 * tests run from the sources, two levels below the root.
 */
export function bundleFile(name: "worker" | "outpost" | "supervisor" | "sandbox"): string {
  const here = import.meta.url;
  return fileURLToPath(new URL(here.endsWith(".ts") ? `../../dist/${name}.cjs` : `./${name}.cjs`, here));
}
