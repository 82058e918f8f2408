import path from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take long for their size, by which vitest orders what it has not run yet: one of them at the end would keep one core busy alone. */
const LONG = [
  "e2e/rootless",
  "e2e/remote-cache",
  "e2e/crash",
  "e2e/network",
  "e2e/package",
  "e2e/copied-layers",
  "e2e/cache-histories",
  "e2e/cache-size",
  "sources/git-source",
  "snapshot/layers-trees",
  "executor/runtimes",
  "frontend/parser-properties",
  "exporters/archives",
  "snapshot/layers",
].map((name) => path.join(import.meta.dirname, `${name}.test.ts`));

/** Starts those first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rest = (await super.sort(files)).filter(({ moduleId }) => !LONG.includes(moduleId));
    return [...LONG.flatMap((name) => files.filter(({ moduleId }) => moduleId === name)), ...rest];
  }
}
