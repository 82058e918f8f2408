import type { InstructionCause } from "../../base/index.js";
import type { StepNode } from "./node.js";
import { changed, isEqual, list, type Members, members, shown } from "./op-members.js";
import { cut, VALUE_MAX_LENGTH } from "./shown.js";

/**
 * That a mount of ROLE (`mount /target`) has another source, as the instruction says it: the key of what is mounted to be read tells what is
 * there, and not where it lies. Undefined where that is not it.
 */
export function mountSourceDifference(older: StepNode, newer: StepNode, role: string): InstructionCause | undefined {
  const [, place] = /^mount (.*)$/.exec(role) ?? [];
  if (place === undefined) return undefined;
  const [was, is] = [mountInText(older, place), mountInText(newer, place)];
  return was && is && was.source !== is.source ? changed("--mount", was.words, is.words) : undefined;
}

interface WrittenMount {
  readonly words: string;
  readonly source: string;
}

/** The mount at PLACE as it is written; undefined where that is not known, as of quoted ones. */
function mountInText({ text }: StepNode, place: string): WrittenMount | undefined {
  for (const [, all = ""] of (text?.shown ?? "").matchAll(/--mount=([^\s"']+)/g)) {
    const option = (names: RegExp) =>
      all.split(",").flatMap((word) => (names.test(word) ? [word.slice(word.indexOf("=") + 1)] : []))[0] ?? "";
    if (!isAt(option(/^(?:target|dst|destination)=/i), place)) continue;
    return { words: cut(all, VALUE_MAX_LENGTH), source: option(/^(?:source|src)=/i) };
  }
  return undefined;
}

/** A relative target is below the working directory. */
function isAt(target: string, place: string): boolean {
  return target !== "" && (place === target || (!target.startsWith("/") && place.endsWith(`/${target}`)));
}

/** What differs of WAS and IS, the mounts of two processes. */
export function mountDifference(
  { older, newer }: { readonly older: StepNode; readonly newer: StepNode },
  was: unknown,
  is: unknown,
): readonly InstructionCause[] {
  const [oldMounts, mounts] = [mountsByPlace(was), mountsByPlace(is)];
  const places = [...new Set([...oldMounts.keys(), ...mounts.keys()])];
  return places.flatMap((place) => {
    const [oldMount, mount] = [oldMounts.get(place), mounts.get(place)];
    if (isEqual(oldMount, mount)) return [];
    if (place === SHARED_MEMORY) return [changed("--shm-size", sizeOf(oldMount), sizeOf(mount))];
    const [from, to] = [mountText(oldMount), mountText(mount)];
    // In short they are the same: something else that is written differs.
    if (from === to) return [changed("--mount", mountInText(older, place)?.words, mountInText(newer, place)?.words)];
    return [changed("--mount", from, to)];
  });
}

/** Bytes. */
function sizeOf(mount: Members | undefined): string | undefined {
  return shown(members(mount?.tmpfs).sizeBytes);
}

const SHARED_MEMORY = "/dev/shm";

/** Which input a mount has says nothing by itself. */
function mountsByPlace(mounts: unknown): ReadonlyMap<string, Members> {
  return new Map(list(mounts).map((mount) => [String(members(mount).dest), { ...members(mount), input: undefined }]));
}

function mountText(mount: Members | undefined): string | undefined {
  if (mount === undefined) return undefined;
  const id = members(mount.cache ?? mount.secret ?? mount.ssh).id;
  return [`type=${mount.type}`, ...(id === undefined ? [] : [`id=${id}`]), `target=${mount.dest}`].join(",");
}
