import { CAPABILITIES, capabilityMask } from "../capabilities.js";
import type { RuntimeSpec } from "../runtime-spec.js";
import type { Native } from "./native.js";

const PR_CAPBSET_DROP = 24;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_SET_KEEPCAPS = 8;
const EINVAL = "EINVAL";

/** <asm-generic/resource.h> */
const RLIMITS =
  "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME".split(" ");

/** Sets the limits of the process. */
export function limit({ rlimits }: RuntimeSpec["process"], native: Native): void {
  for (const { type, soft, hard } of rlimits) native.setLimit(RLIMITS.indexOf(type.replace("RLIMIT_", "")), soft, hard);
}

/** Gives up every capability and right but those of the step: its bounding set, groups, user, then its own sets. */
export function becomeUser({ user, capabilities }: RuntimeSpec["process"], native: Native): void {
  for (const [number, name] of CAPABILITIES.entries()) {
    if (!capabilities.bounding.includes(name)) dropBound(number, name, native);
  }
  const ambient = capabilities.ambient.length > 0;
  if (ambient) native.prctl(PR_SET_KEEPCAPS, 1, "PR_SET_KEEPCAPS");
  native.setGroups(user.additionalGids);
  native.setUser(user.uid, user.gid);
  if (user.uid !== 0 && !ambient) return; // the kernel has taken all of them away
  native.setCapabilities(capabilityMask(capabilities.effective), capabilityMask(capabilities.inheritable));
  for (const name of capabilities.ambient) {
    native.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, `PR_CAP_AMBIENT ${name}`, CAPABILITIES.indexOf(name));
  }
}

function dropBound(number: number, name: string, native: Native): void {
  try {
    native.prctl(PR_CAPBSET_DROP, number, `PR_CAPBSET_DROP ${name}`);
  } catch (error) {
    if ((error as { code?: unknown }).code !== EINVAL) throw error; // an older kernel has fewer
  }
}
