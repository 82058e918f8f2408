import { EngineError } from "../../base/index.js";
import type { BytePath } from "./bytes.js";
import type { Entry } from "./file-entry.js";

/**
 * Paths below a root: no slash at the front, "" is the root itself. A *plain* path leads through no link, so that plain calls on it
 * stay below the root as long as nobody else writes there.
 */

/** Something that paths are resolved in. Both are asked for plain paths only. */
export interface Lookup {
  lstat(path: BytePath): Entry | undefined;
  readLink(path: BytePath): BytePath;
}

const LINKS_MAX = 255;

/** Told of each link that is followed: its plain path, and where it leads. */
export type OnLink = (link: BytePath, target: BytePath) => void;

/** The plain path that PATH means inside the root: links are followed (the last only if FOLLOW), `..` stops at the root; what is missing keeps its name. */
export function resolvePath(lookup: Lookup, path: BytePath, follow: boolean, onLink?: OnLink): BytePath {
  const rest = elements(path).reverse();
  const done: BytePath[] = [];
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "..") {
      done.pop();
      continue;
    }
    const at = [...done, name].join("/");
    const last = rest.length === 0;
    if ((last && !follow) || lookup.lstat(at)?.kind !== "symlink") {
      done.push(name);
      continue;
    }
    if (++links > LINKS_MAX) throw new EngineError("invalid", "too many links");
    const target = lookup.readLink(at);
    onLink?.(at, target);
    if (target.startsWith("/")) done.length = 0;
    rest.push(...elements(target).reverse());
  }
  return done.join("/");
}

function elements(path: BytePath): BytePath[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** The path without `.`, `..` and double slashes, as if no link existed. */
export function cleanPath(path: BytePath): BytePath {
  const done: BytePath[] = [];
  for (const name of elements(path)) {
    if (name === "..") done.pop();
    else done.push(name);
  }
  return done.join("/");
}

/** DIRECTORY/NAME of paths below a root. */
export function below(directory: BytePath, name: BytePath): BytePath {
  if (name === "") return directory;
  return directory === "" ? name : `${directory}/${name}`;
}

/** The directory a plain path is in. */
export function parentOf(path: BytePath): BytePath {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The last name of a path, slashes at its end aside; "" of the root. */
export function baseOf(path: BytePath): BytePath {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed.slice(trimmed.lastIndexOf("/") + 1);
}
