import fs from "node:fs";
import { unreachable } from "../base/index.js";
import type { IdRange } from "./subordinate-ids.js";

/** An ordinary user. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whose files the layers' files are on disk. Root keeps the owners as they are. An ordinary user works in a user namespace in which they are
 * root: with subordinate ids the others stand for their owners, without any all files are the user's own and their owners are noted beside
 * them.
 */
export type Ownership =
  | { readonly kind: "machine" }
  | {
      readonly kind: "subordinate";
      readonly user: UserIds;
      readonly uids: readonly IdRange[];
      readonly gids: readonly IdRange[];
      /** newuidmap(1) and newgidmap(1), which may write a namespace's maps. */
      readonly programs: { readonly newuidmap: string; readonly newgidmap: string };
    }
  | { readonly kind: "single"; readonly user: UserIds };

/** Ownership in a user namespace. */
export type NamespaceOwnership = Exclude<Ownership, { readonly kind: "machine" }>;

/** One line of a namespace's map (user_namespaces(7)): so many ids from INSIDE on are those from OUTSIDE on. */
export interface IdMapping {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** The map that makes the user ID root, and the ranges what follows. */
export function mapOf(id: number, ranges: readonly IdRange[]): IdMapping[] {
  let inside = 1;
  const mapped = ranges.map(({ start, count }) => {
    const mapping = { inside, outside: start, count };
    inside += count;
    return mapping;
  });
  return [{ inside: 0, outside: id, count: 1 }, ...mapped];
}

/**
 * A text that is the same exactly where files on disk mean the same owners: what is written beside the layers, so that they are never read
 * under another ownership.
 */
export function describeOwnership(ownership: Ownership): string {
  switch (ownership.kind) {
    case "machine":
      return "machine\n";
    case "single":
      return "single\n";
    case "subordinate": {
      const line = (name: string, map: readonly IdMapping[]) =>
        `${name} ${map.map(({ inside, outside, count }) => `${inside}:${outside}:${count}`).join(" ")}\n`;
      const { user, uids, gids } = ownership;
      return line("uids", mapOf(user.uid, uids)) + line("gids", mapOf(user.gid, gids));
    }
    default:
      return unreachable(ownership);
  }
}

/** Whether this process is root of a user namespace only, and not of the machine (user_namespaces(7)). */
export function isInUserNamespace(): boolean {
  const [inside, outside, count] = fs.readFileSync("/proc/self/uid_map", "latin1").trim().split(/\s+/).map(Number);
  return !(inside === 0 && outside === 0 && count === MAPPED_ALL);
}

const MAPPED_ALL = 2 ** 32 - 1;
