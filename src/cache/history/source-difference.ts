import { canonicalJson, type MissCause } from "../../base/index.js";
import type { SourceNote, StepNode } from "./node.js";
import { told } from "./shown.js";

/** How what a step takes from elsewhere differs: another image, or the same by another digest; another directory; another commit. */
export function sourceDifference(older: StepNode, newer: StepNode): readonly MissCause[] {
  const [was, is] = [older.source, newer.source];
  if (was === undefined || is === undefined) return replaced(older, newer);
  if (was.kind === "image" && is.kind === "image") {
    const { reference } = is;
    if (was.reference !== reference) return [{ kind: "image", reference, from: was.reference, to: reference }];
    return was.digest === is.digest ? [] : [{ kind: "image", reference, from: was.digest, to: is.digest }];
  }
  if (was.kind === "context" && is.kind === "context") return contextDifference(was, is);
  if (was.kind === "address" && is.kind === "address") {
    const { address } = is;
    if (was.address !== address) return [{ kind: "source", address, from: was.address, to: address }];
    const [from, to] = [identity(older.op), identity(newer.op)];
    if (from === to) return [];
    if (was.checksum !== is.checksum) return [checksumChange(was.checksum, is.checksum)];
    return [{ kind: "source", address, from, to }];
  }
  return replaced(older, newer);
}

/** What must be at an address is another: what is there now follows from that. */
function checksumChange(from: string | undefined, to: string | undefined): MissCause {
  const ends = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  return { kind: "instruction", part: "--checksum", ...ends };
}

function contextDifference(
  was: Extract<SourceNote, { kind: "context" }>,
  is: Extract<SourceNote, { kind: "context" }>,
): readonly MissCause[] {
  if (was.place === is.place) return [];
  return [{ kind: "context", ...(is.name === undefined ? {} : { name: is.name }), from: was.place, to: is.place }];
}

function replaced(older: StepNode, newer: StepNode): readonly MissCause[] {
  const [from, to] = [placeOf(older), placeOf(newer)];
  return from === to ? [] : [{ kind: "source", address: to, from, to }];
}

function placeOf({ source, name }: StepNode): string {
  switch (source?.kind) {
    case "image":
      return source.reference;
    case "context":
      return source.place;
    case "address":
      return source.address;
    case undefined:
      return name;
  }
}

/** The commit, or the digest, that an op says is there. */
function identity(op: unknown): string {
  const { git, http } = (op ?? {}) as { git?: { object?: string }; http?: { digest?: string } };
  return git?.object ?? http?.digest ?? told(canonicalJson(op ?? null)).mark;
}
