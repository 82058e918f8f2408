import { EngineError } from "../base/index.js";
import { findProgram } from "./programs.js";

/** An OCI runtime on this machine. */
export interface Runtime {
  readonly kind: "runc" | "crun";
  readonly file: string;
}

export interface RuntimeSearch {
  /** As PATH has it. */
  readonly searchPath: string;
  /** Only this one. */
  readonly only?: Runtime["kind"] | undefined;
}

/** The runtime to use: runc, else crun. Throws EngineError `unavailable` without one. */
export function findRuntime({ searchPath, only }: RuntimeSearch): Runtime {
  // crun starts a step faster, but makes mount points and temporary file systems with other modes than BuildKit's runc.
  const kinds: readonly Runtime["kind"][] = only ? [only] : ["runc", "crun"];
  for (const kind of kinds) {
    const file = findProgram(kind, searchPath);
    if (file !== undefined) return { kind, file };
  }
  throw new EngineError("unavailable", only ? `no ${only} program found` : "no OCI runtime found", {
    hint: only ? `install ${only}` : "install runc or crun: apt-get install crun",
  });
}
