import path from "node:path";
import { EngineError, systemCode } from "../base/index.js";
import type { Surroundings } from "./surroundings.js";

/** Where a command writes an archive: a file, or standard output where no file or `-` is named. */
export interface ArchiveDestination {
  readonly dest: string | Surroundings["stdout"];
  /** Does WORK, which writes there; true if the reader of standard output has gone, as it may. */
  isCutOff(work: () => Promise<unknown>): Promise<boolean>;
}

/** The destination that OUTPUT, the value of -o, names. Throws `invalid` with REFUSAL where that is a terminal. */
export function archiveDestination(
  output: string | undefined,
  { stdout, cwd }: Surroundings,
  refusal: string,
): ArchiveDestination {
  const file = output === undefined || output === "-" ? undefined : path.resolve(cwd, output);
  if (file === undefined && stdout.isTTY) throw new EngineError("invalid", `${refusal}. Use the -o flag or redirect`);
  return {
    dest: file ?? stdout,
    async isCutOff(work) {
      try {
        await work();
        return false;
      } catch (error) {
        if (file !== undefined || systemCode(error) !== "EPIPE") throw error;
        return true;
      }
    },
  };
}
