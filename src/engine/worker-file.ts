import { fileURLToPath } from "node:url";

/** The data plane's bundle: it lies beside every bundle of this package. Tests run from the sources, two levels below the root. */
export function workerFile(): string {
  const here = import.meta.url;
  return fileURLToPath(new URL(here.endsWith(".ts") ? "../../dist/worker.cjs" : "./worker.cjs", here));
}
