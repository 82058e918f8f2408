import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkDockerfile, createDockerfileFrontend, type Diagnostic } from "../../src/frontend/index.js";
import type { HistoryEntry, ImageConfig } from "../../src/oci/index.js";
import { readCase } from "./convert-case.js";

/** Cases whose outcome a frontend does not decide: the command line does, or a step that runs. */
const elsewhere = JSON.parse(readFileSync(join(import.meta.dirname, "convert-decided-elsewhere.json"), "utf8")) as {
  readonly refusedByCommandLine: readonly string[];
  readonly refusedByRunning: readonly string[];
};
const CASES = process.env.ASHLAR_CASES ?? join(import.meta.dirname, "../conformance/cases");
const commandLine = new Set(elsewhere.refusedByCommandLine);
const running = new Set(elsewhere.refusedByRunning);

interface Recorded {
  readonly status: string;
  readonly error?: string;
  readonly platform?: string;
  readonly config?: unknown;
  readonly history?: unknown;
  readonly warnings?: unknown;
  readonly buildError?: string;
}

const names = existsSync(CASES)
  ? readdirSync(CASES).flatMap((name) => (name.endsWith(".txtar") ? [name.slice(0, -".txtar".length)] : []))
  : [];

describe.skipIf(names.length === 0)("the frontend agrees with what BuildKit made of", () => {
  it.each(names.filter((name) => !commandLine.has(name)))("%s", async (name) => {
    const recorded = JSON.parse(readFileSync(join(CASES, `${name}.json`), "utf8")) as Recorded;
    const { request, bridge, check } = readCase(join(CASES, `${name}.txtar`));
    if (check) {
      const { diagnostics } = await checkDockerfile(request, bridge);
      expect(described(diagnostics)).toEqual({ warnings: recorded.warnings, buildError: recorded.buildError });
      return;
    }
    const solved = createDockerfileFrontend().solve(request, bridge);
    if (recorded.status !== "ok" && !running.has(name)) {
      await expect(solved).rejects.toThrow(wordsOf(recorded.error ?? ""));
      return;
    }
    const { images } = await solved;
    if (recorded.config === undefined) return;
    const [image] = images;
    expect(image && describedImage(image.config)).toEqual({
      platform: recorded.platform,
      config: recorded.config,
      history: recorded.history,
    });
  });
});

/** The words without what only says how far BuildKit had come. */
function wordsOf(error: string): string {
  return error.replace(/^dockerfile parse error on line \d+: |^failed to marshal LLB definition: /, "");
}

function describedImage({ os, architecture, variant, config, history }: ImageConfig) {
  return {
    platform: [os, architecture, variant].filter(Boolean).join("/"),
    config: JSON.parse(JSON.stringify(config)),
    history: history.map(describedEntry),
  };
}

function describedEntry({ created_by: by = "", empty_layer: empty }: HistoryEntry) {
  return { created_by: by.replace(/ # buildkit$/, ""), ...(empty ? { empty_layer: true } : {}) };
}

function described(diagnostics: readonly Diagnostic[]) {
  const warnings = diagnostics
    .filter(({ severity }) => severity === "warning")
    .map(({ rule = "", message, location }) => ({ rule, detail: message, line: location?.startLine }));
  warnings.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.rule < b.rule ? -1 : 1));
  return { warnings, buildError: diagnostics.find(({ severity }) => severity === "error")?.message };
}
