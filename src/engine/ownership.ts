import fs from "node:fs";
import os from "node:os";
import { EngineError, systemCode } from "../base/index.js";
import {
  type IdRange,
  type NamespaceOwnership,
  type NamespacePlane,
  type Ownership,
  parseSubordinateIds,
} from "../snapshot/index.js";
import { bundleFile } from "./bundles.js";

/** Whose files layers are here, and for an ordinary user without subordinate ids what is missing for them. */
export interface ChosenOwnership {
  readonly ownership: Ownership;
  /** A sentence: what to install or to edit. */
  readonly missing?: string | undefined;
}

/** The file of a program, if it is installed. */
export type FindProgram = (program: string) => Promise<string | undefined>;

/** Beyond this the files that grant ids are not read. */
const GRANTS_MAX_BYTES = 16 * 1024 * 1024;
const PROGRAMS = ["newuidmap", "newgidmap"] as const;

/** Looks at who runs this process and which ids they were granted; FIND gives the file of a program. */
export async function chooseOwnership(find: FindProgram): Promise<ChosenOwnership> {
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  if (uid === 0) return { ownership: { kind: "machine" } };
  const user = { uid, gid };
  const name = loginName();
  const uids = grants("/etc/subuid", { name, id: uid });
  const gids = grants("/etc/subgid", { name, id: uid }, gid);
  const lacking = [uids.length === 0 && "/etc/subuid", gids.length === 0 && "/etc/subgid"].filter(Boolean);
  if (lacking.length > 0) {
    const line = `${name}:100000:65536`;
    return { ownership: { kind: "single", user }, missing: `add a line like ${line} to ${lacking.join(" and ")}` };
  }
  const [newuidmap, newgidmap] = await Promise.all(PROGRAMS.map(find));
  if (newuidmap === undefined || newgidmap === undefined)
    return { ownership: { kind: "single", user }, missing: "install newuidmap and newgidmap: apt-get install uidmap" };
  return { ownership: { kind: "subordinate", user, uids, gids, programs: { newuidmap, newgidmap } } };
}

/** What a data plane in a user namespace is made with. Throws EngineError `unavailable` without util-linux. */
export async function namespacePlane(ownership: NamespaceOwnership, find: FindProgram): Promise<NamespacePlane> {
  const [unshare, fuseOverlay] = await Promise.all([find("unshare"), find("fuse-overlayfs")]);
  if (unshare === undefined)
    throw new EngineError("unavailable", "no unshare program found", { hint: "install util-linux" });
  return {
    ownership,
    node: process.execPath,
    outpostFile: bundleFile("outpost"),
    attendantFile: bundleFile("supervisor"),
    unshare,
    fuseOverlay,
  };
}

/** A few words about a namespace. */
export function namespaceFact(ownership: NamespaceOwnership): string {
  if (ownership.kind === "single") return "one id (owners of files are noted beside them)";
  return `${ownership.uids.reduce((sum, { count }) => sum + count, 1)} ids`;
}

/** The user's name, or number where they have none. */
function loginName(): string {
  try {
    return os.userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 0);
  }
}

/** OWN is the id that the ranges must not hold. */
function grants(
  file: string,
  { name, id }: { readonly name: string; readonly id: number },
  own: number = id,
): readonly IdRange[] {
  try {
    if (fs.statSync(file).size > GRANTS_MAX_BYTES) return [];
    return parseSubordinateIds(fs.readFileSync(file, "utf8"), { name, id, own });
  } catch (error) {
    if (["ENOENT", "EACCES"].includes(systemCode(error) ?? "")) return [];
    throw error;
  }
}
