import type { InstructionCause } from "../../base/index.js";
import type { StepNode } from "./node.js";

/*
 * A copy that is linked is two vertices: what it copies, a layer built on nothing, and the place that puts this layer upon what the stage has.
 */

/** The option that makes a copy a linked one. */
export const LINK = "--link";

/** Which input of the place is what it copies; undefined of what is no such place. */
export function layerIndex({ op, inputs }: StepNode): number | undefined {
  if (typeof op !== "object" || op === null || !("merge" in op)) return undefined;
  return inputs.findIndex(({ role }) => role === LAYER_ROLE);
}

/** What makes a copy a linked one or a plain one, where it was the other: what is copied is built on nothing then, or no longer so. */
export function linkDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [was, is] = [older, newer].map(flagsOf);
  if (was === undefined || is === undefined || isLinked(was) === isLinked(is)) return [];
  if (was.link !== is.link) return [{ kind: "instruction", part: LINK, ...(is.link ? { to: "" } : { from: "" }) }];
  return [
    { kind: "instruction", part: "--chmod", ...(was.mode && { from: was.mode }), ...(is.mode && { to: is.mode }) },
  ];
}

const LAYER_ROLE = "layer 1";

interface CopyFlags {
  readonly link: boolean;
  /** Empty where it sets none. */
  readonly mode: string;
}

/** A copy that sets modes is never linked. */
function isLinked({ link, mode }: CopyFlags): boolean {
  return link && mode === "";
}

/** Undefined of what is no copy, or of which the text is not known. */
function flagsOf({ op, text }: StepNode): CopyFlags | undefined {
  if (typeof op !== "object" || op === null || !("file" in op)) return undefined;
  const [, flags] = /^(?:COPY|ADD)((?:\s+--\S+)*)\s/i.exec(text?.shown.replace(/\\\s*\n/g, " ") ?? "") ?? [];
  if (flags === undefined) return undefined;
  const [, mode = ""] = /\s--chmod=0*(\S+)/.exec(flags) ?? [];
  return { link: /\s--link(?:=(?:1|t|true))?(?:\s|$)/i.test(flags), mode };
}
