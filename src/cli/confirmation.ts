import type { Surroundings } from "./surroundings.js";
import { UsageError } from "./usage-error.js";

/** Whether the user agrees to what QUESTION says. Throws `UsageError` where nobody can answer. */
export async function isConfirmed(question: string, { stdin, stderr }: Surroundings): Promise<boolean> {
  if (stdin.isTTY !== true)
    throw new UsageError("prune asks before it removes anything: use -f where nobody can answer");
  stderr.write(`${question}\nAre you sure you want to continue? [y/N] `);
  for await (const chunk of stdin) return /^y(es)?\s*$/i.test(Buffer.from(chunk).toString());
  return false;
}
