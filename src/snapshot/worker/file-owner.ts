import fs from "node:fs";
import { type Chown, EngineError, type UserName } from "../../base/index.js";
import type { Tree } from "../tree.js";
import type { JobContext } from "./context.js";
import { shown } from "./file-errors.js";
import { resolvePath } from "./file-paths.js";
import { readOpenFile } from "./file-read.js";
import type { Ids } from "./file-target.js";
import { type FileView, withSource } from "./file-view.js";
import { parseGroup, parsePasswd } from "./passwd.js";

/** /etc/passwd and /etc/group are read up to this size. */
const USER_FILE_MAX_BYTES = 10 * 1024 * 1024;

/** Where the names of an owner are looked up. */
export interface OwnerTrees {
  readonly users?: Tree | undefined;
  readonly groups?: Tree | undefined;
}

/** The ids of an owner. A name that the files do not know counts as 0, as does a file that is missing: as the reference has it. */
export async function resolveOwner(
  owner: Chown | undefined,
  trees: OwnerTrees,
  context: JobContext,
): Promise<Ids | undefined> {
  if (owner === undefined) return undefined;
  const user = await userIds(owner.user, trees.users, context);
  return { uid: user.uid, gid: await groupId(owner.group, trees.groups, user.gid, context) };
}

async function userIds(user: UserName | undefined, tree: Tree | undefined, context: JobContext): Promise<Ids> {
  if (user === undefined) return { uid: 0, gid: 0 };
  if (user.kind === "id") return { uid: user.id, gid: user.id };
  const text = await readUserFile(tree, "etc/passwd", context);
  return parsePasswd(text ?? "").find((known) => known.name === user.name) ?? { uid: 0, gid: 0 };
}

async function groupId(
  group: UserName | undefined,
  tree: Tree | undefined,
  ofUser: number,
  context: JobContext,
): Promise<number> {
  if (group === undefined) return ofUser;
  if (group.kind === "id") return group.id;
  const text = await readUserFile(tree, "etc/group", context);
  return parseGroup(text ?? "").find((known) => known.name === group.name)?.gid ?? ofUser;
}

async function readUserFile(tree: Tree | undefined, path: string, context: JobContext): Promise<string | undefined> {
  if (tree === undefined) throw new EngineError("invalid", "invalid user index: -1");
  return withSource({ kind: "tree", tree }, context, (view) => readSmallFile(view, path));
}

/** The text of a file, links followed inside the root; undefined where nothing is. Throws `invalid` for anything but a regular file. */
export function readSmallFile(view: FileView, path: string): string | undefined {
  const plain = resolvePath(view, path, true);
  const entry = view.lstat(plain);
  if (!entry) return undefined;
  if (entry.kind !== "file") throw new EngineError("invalid", `${shown(plain)} is not a regular file`);
  const fd = view.open(plain);
  try {
    return readOpenFile(fd, USER_FILE_MAX_BYTES, shown(plain)).toString("utf8");
  } finally {
    fs.closeSync(fd);
  }
}
