import type { InstructionCause } from "../../base/index.js";
import { commandDifference } from "./command-difference.js";
import { fileDifference } from "./file-difference.js";
import { linkDifference } from "./linked-copy.js";
import { mountDifference } from "./mount-difference.js";
import type { StepNode } from "./node.js";
import { isEqual, list, type Members, memberDifference, members } from "./op-members.js";
import { oneLine } from "./written.js";

/**
 * What of two ops differs, as far as the instruction or an option of the build says it: variables and inputs are others' affair. The ops
 * are what `CacheMap.preimage` holds.
 */
export function opDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  if (isEqual(older.op, newer.op)) return [];
  const [was, is] = [members(older.op), members(newer.op)];
  const causes = [
    ...linkDifference(older, newer),
    ...kindDifference(older, newer),
    ...memberDifference(was.platform, is.platform, "--platform"),
  ];
  if (causes.length > 0 || isEqual(withoutInputs(was), withoutInputs(is))) return causes;
  return [{ kind: "instruction", part: "definition" }];
}

/** Which of its inputs a file action has says nothing by itself: they are others where a stage begins with nothing. */
function withoutInputs(op: Members): Members {
  if (!("file" in op)) return op;
  return { ...op, file: list(op.file).map((each) => ({ ...members(each), ...NO_INPUTS })) };
}

const NO_INPUTS = { input: undefined, secondaryInput: undefined };

function kindDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [was, is] = [members(older.op), members(newer.op)];
  if ("exec" in was && "exec" in is) return execDifference(older, newer);
  if ("file" in was && "file" in is) return fileDifference(older, newer);
  if (Object.keys(was).join() === Object.keys(is).join()) return [];
  return [
    {
      kind: "instruction",
      part: "instruction",
      from: oneLine(older.text?.shown ?? older.name),
      to: oneLine(newer.text?.shown ?? newer.name),
    },
  ];
}

/** Members of a process that are options or settings, and what they are called. */
const META_PARTS: readonly (readonly [string, string])[] = [
  ["cwd", "WORKDIR"],
  ["user", "USER"],
  ["hostname", "hostname"],
  ["extraHosts", "--add-host"],
  ["cgroupParent", "--cgroup-parent"],
  ["validExitCodes", "exit codes"],
];
const EXEC_PARTS: readonly (readonly [string, string])[] = [
  ["security", "--security"],
  ["devices", "--device"],
];

function execDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [was, is] = [members(members(older.op).exec), members(members(newer.op).exec)];
  const [oldMeta, meta] = [members(was.meta), members(is.meta)];
  return [
    ...commandDifference(older, newer),
    ...META_PARTS.flatMap(([member, part]) => memberDifference(oldMeta[member], meta[member], part)),
    ...memberDifference(ulimitsText(oldMeta.ulimits), ulimitsText(meta.ulimits), "--ulimit"),
    ...mountDifference(older, newer),
    ...memberDifference(networkName(was.network), networkName(is.network), "--network"),
    ...EXEC_PARTS.flatMap(([member, part]) => memberDifference(was[member], is[member], part)),
  ];
}

/** As the options have them. */
function ulimitsText(ulimits: unknown): string | undefined {
  const texts = list(ulimits)
    .map(members)
    .map(({ name, soft, hard }) => `${name}=${soft}:${hard}`);
  return texts.length === 0 ? undefined : texts.join(", ");
}

/** As the option has it. */
function networkName(network: unknown): unknown {
  return network === "sandbox" ? "default" : network;
}
