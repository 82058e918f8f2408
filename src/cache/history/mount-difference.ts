import type { InstructionCause } from "../../base/index.js";
import type { StepNode } from "./node.js";
import { changed, isEqual, list, type Members, memberDifference, members, shown } from "./op-members.js";
import { oneLine, type Written, writtenIn } from "./written.js";

const MOUNT = "--mount";

/**
 * That a mount of ROLE (`mount /target`) is written in another way: of its source, whose key tells what is there and not where it lies, or
 * where ISMADE, of anything that is made for it. Undefined where that is not it.
 */
export function mountSourceDifference(
  { older, newer }: { readonly older: StepNode; readonly newer: StepNode },
  role: string,
  isMade: boolean,
): InstructionCause | undefined {
  const [, place] = /^mount (.*)$/.exec(role) ?? [];
  if (place === undefined) return undefined;
  const [was, is] = [older, newer].map((node) => writtenMounts(writtenIn(node)).find((mount) => isAt(mount, place)));
  if (was === undefined || is === undefined || was.words === is.words) return undefined;
  return isMade || was.source !== is.source ? memberDifference(was.words, is.words, MOUNT)[0] : undefined;
}

interface WrittenMount {
  readonly words: string;
  readonly source: string;
  readonly target: string;
  /** What a mount that is written anew has in common with what it was. */
  readonly name: string;
}

function writtenMounts(written: Written | undefined): readonly WrittenMount[] {
  return (written?.flags.get(MOUNT) ?? []).map((value) => {
    const words = oneLine(value).replace(/["']/g, "");
    const option = (names: RegExp) =>
      words.split(",").flatMap((word) => (names.test(word) ? [word.slice(word.indexOf("=") + 1)] : []))[0] ?? "";
    const target = option(/^(?:target|dst|destination)=/i);
    return { words, source: option(/^(?:source|src|from)=/i), target, name: target || option(/^(?:env|id|type)=/i) };
  });
}

/** A relative target is below the working directory. */
function isAt({ target }: WrittenMount, place: string): boolean {
  return target !== "" && (place === target || (!target.startsWith("/") && place.endsWith(`/${target}`)));
}

/** What differs of the mounts of two processes, and of the secrets in their environments: as they are written, where that is known. */
export function mountDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [was, is] = [members(members(older.op).exec), members(members(newer.op).exec)];
  const [oldMounts, mounts] = [mountsByPlace(was.mounts), mountsByPlace(is.mounts)];
  const [oldText, text] = [writtenIn(older), writtenIn(newer)];
  const sizes = memberDifference(sizeOf(oldMounts.get(SHARED_MEMORY)), sizeOf(mounts.get(SHARED_MEMORY)), "--shm-size");
  if (isEqual([...oldMounts], [...mounts]) && isEqual(was.secretEnv, is.secretEnv)) return [];
  if (oldText && text) return [...sizes, ...writtenDifference(writtenMounts(oldText), writtenMounts(text))];
  const places = [...new Set([...oldMounts.keys(), ...mounts.keys()])].filter((place) => place !== SHARED_MEMORY);
  return [
    ...sizes,
    ...places.flatMap((place) => {
      const [oldMount, mount] = [oldMounts.get(place), mounts.get(place)];
      return isEqual(oldMount, mount) ? [] : [changed(MOUNT, mountText(oldMount), mountText(mount))];
    }),
    ...(isEqual(was.secretEnv, is.secretEnv) ? [] : [changed(MOUNT, undefined, undefined)]),
  ];
}

/** Nothing where they are written alike: what differs follows from the directory that relative paths start at, or from a variable. */
function writtenDifference(was: readonly WrittenMount[], is: readonly WrittenMount[]): readonly InstructionCause[] {
  const [oldWords, words] = [was, is].map((mounts) => new Set(mounts.map((mount) => mount.words)));
  const gone = was.filter((mount) => !words?.has(mount.words));
  const come = is.filter((mount) => !oldWords?.has(mount.words));
  const paired = new Map(come.map((mount) => [mount, gone.find(({ name }) => name === mount.name)]));
  const taken = new Set(paired.values());
  const isOne = gone.length === 1 && come.length === 1;
  if (isOne) return memberDifference(gone[0]?.words, come[0]?.words, MOUNT);
  return [
    ...gone.filter((mount) => !taken.has(mount)).map(({ words: from }) => changed(MOUNT, shown(from), undefined)),
    ...come.flatMap((mount) => memberDifference(paired.get(mount)?.words, mount.words, MOUNT)),
  ];
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
