import { readdirSync, readFileSync } from "node:fs";

const CASES = new URL("../conformance/cases/", import.meta.url);

/** The Dockerfiles of the recorded cases. */
export const RECORDED: readonly string[] = readdirSync(CASES)
  .filter((name) => name.endsWith(".txtar"))
  .flatMap((name) => {
    const archive = readFileSync(new URL(name, CASES), "utf8");
    return /^-- Dockerfile --\n([\s\S]*?)(?=^-- .* --$|(?![\s\S]))/m.exec(archive)?.[1] ?? [];
  });
