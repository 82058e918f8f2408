import fs from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule } from "vitest/node";

/**
 * Stands beside vitest's own report: says why tests were skipped, and writes the counts as JSON to the file that
 * ASHLAR_TEST_COUNTS names. A file that can't be loaded and an error outside of every test count as failed tests.
 */
export default class Report implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const cases = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state: string) => cases.filter((test) => test.result().state === state);
    const broken = modules.filter((module) => module.errors().length > 0).length + unhandledErrors.length;
    const skipped = [...inState("skipped"), ...inState("pending")];
    for (const test of skipped) console.log(`skipped: ${test.fullName}: ${reasonOf(test)}`);
    const file = process.env.ASHLAR_TEST_COUNTS;
    const counts = {
      passed: inState("passed").length,
      failed: inState("failed").length + broken,
      skipped: skipped.length,
    };
    if (file) fs.writeFileSync(file, JSON.stringify(counts));
  }
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  return (result.state === "skipped" && result.note) || "see its name";
}
