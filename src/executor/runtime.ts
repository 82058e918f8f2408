import { EngineError } from "../base/index.js";
import type { Cgroups } from "./cgroups.js";
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
  readonly cgroups: Cgroups;
  /** The engine's effective capabilities. */
  readonly capabilities: readonly string[];
}

/** The runtime to use: crun where it works, since it starts faster, else runc. Throws EngineError `unavailable` without one. */
export function findRuntime(search: RuntimeSearch): Runtime {
  const kinds: readonly Runtime["kind"][] = search.only ? [search.only] : preferred(search);
  for (const kind of kinds) {
    const file = findProgram(kind, search.searchPath);
    if (file !== undefined) return { kind, file };
  }
  throw new EngineError("unavailable", search.only ? `no ${search.only} program found` : "no OCI runtime found", {
    hint: search.only ? `install ${search.only}` : "install runc or crun: apt-get install crun",
  });
}

/** On cgroup v2 crun loads its device filter only after raising a limit, which takes CAP_SYS_RESOURCE. */
function preferred({ cgroups, capabilities }: RuntimeSearch): Runtime["kind"][] {
  return cgroups.version === 2 && !capabilities.includes("CAP_SYS_RESOURCE") ? ["runc", "crun"] : ["crun", "runc"];
}
