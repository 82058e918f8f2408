import { EngineError } from "../../base/index.js";
import type { Tree } from "../tree.js";
import type { Job } from "./context.js";
import { readSmallFile } from "./file-owner.js";
import { type FileView, withSource } from "./file-view.js";
import { findUser, type ResolvedUser } from "./passwd.js";

/** Whom the USER of an image config means in a tree (`findUser`). Unknown names throw `not-found`. */
export const resolveUser: Job<{ readonly tree: Tree; readonly user: string }, ResolvedUser> = (
  { tree, user },
  context,
) =>
  withSource({ kind: "tree", tree }, context, (view) =>
    findUser(user, { passwd: () => readIfFile(view, "etc/passwd"), group: () => readIfFile(view, "etc/group") }),
  );

/** What is no regular file counts as missing; a file that is too large does not. */
function readIfFile(view: FileView, path: string): string | undefined {
  try {
    return readSmallFile(view, path);
  } catch (error) {
    if (error instanceof EngineError && error.message.endsWith("is not a regular file")) return undefined;
    throw error;
  }
}
