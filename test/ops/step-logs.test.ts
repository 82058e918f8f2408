import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { listStepLogs, StepLog } from "../../src/ops/step-logs.js";

const BOUNDS = { headBytes: 100, tailBytes: 60 };
const NOTE = /^\[(\d+) bytes of output are left out here\]\n/m;

/** What is kept of CHUNKS. */
function kept(chunks: readonly string[]): {
  readonly text: string;
  readonly isWhole: boolean;
  readonly mostBytes: number;
} {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "step-logs-"));
  try {
    const log = new StepLog(directory, "one", BOUNDS);
    let mostBytes = 0;
    for (const chunk of chunks) {
      log.write(Buffer.from(chunk));
      mostBytes = Math.max(mostBytes, listStepLogs(directory)[0]?.sizeBytes ?? 0);
    }
    const { isWhole } = log;
    log[Symbol.dispose]();
    const text = chunks.length === 0 ? "" : fs.readFileSync(log.path, "utf8");
    return { text, isWhole, mostBytes };
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

it("a log has all, or the beginning and the end by whole lines with what is missing between", () => {
  const line = fc.stringMatching(/^[a-z]{0,30}$/).map((text) => `${text}\n`);
  fc.assert(
    fc.property(
      fc.array(
        fc.array(line, { maxLength: 4 }).map((lines) => lines.join("")),
        { maxLength: 60 },
      ),
      (chunks) => {
        const all = chunks.join("");
        const { text, isWhole, mostBytes } = kept(chunks);
        expect(isWhole).toBe(all.length <= BOUNDS.headBytes + BOUNDS.tailBytes);
        if (isWhole) {
          expect(text).toBe(all);
          return;
        }
        const [, omitted] = NOTE.exec(text) ?? [];
        const [head = "", , tail = ""] = text.split(NOTE);
        expect(all.startsWith(head) && all.endsWith(tail)).toBe(true);
        expect(head).toMatch(/^$|\n$/);
        expect(head.length + Number(omitted) + tail.length).toBe(all.length);
        expect(head.length).toBeLessThanOrEqual(BOUNDS.headBytes);
        expect(head.length).toBeGreaterThan(BOUNDS.headBytes - 32);
        expect(tail.length).toBeLessThanOrEqual(BOUNDS.tailBytes);
        expect(tail.length).toBeGreaterThan(BOUNDS.tailBytes - 32);
        expect(mostBytes).toBeLessThan(BOUNDS.headBytes + 3 * BOUNDS.tailBytes + 124);
      },
    ),
  );
});

it("one line without an end is cut in its midst", () => {
  const { text } = kept(["x".repeat(1000)]);
  expect(text).toBe(`${"x".repeat(100)}[840 bytes of output are left out here]\n${"x".repeat(60)}`);
});
