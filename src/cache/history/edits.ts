import type { AttributedCause, MissCause } from "../../base/index.js";

/** How many edits CAUSES tell of: what lies in a directory that took a file's place came with it. */
export function editsIn(causes: readonly AttributedCause[]): number {
  const paths = new Set(causes.map(({ cause }) => (cause.kind === "file" ? pathIn(cause) : undefined)));
  const isBelow = ({ cause }: AttributedCause) => {
    if (cause.kind !== "file") return false;
    const names = pathIn(cause).split("/");
    return names.some((_, i) => i > 0 && paths.has(names.slice(0, i).join("/")));
  };
  return causes.filter((each) => !isBelow(each)).length;
}

function pathIn({ path, context = "" }: Extract<MissCause, { kind: "file" }>): string {
  return `${context}:${path}`;
}
