import { posix } from "node:path";

/** PATH from the root, cleaned: `..` ends at the root, no slash at the end. */
export function rooted(path: string): string {
  if (CLEAN.test(path)) return path;
  const joined = posix.join("/", path);
  return joined.length > 1 ? joined.replace(/\/$/, "") : joined;
}

/** Names behind slashes, none of which begins with a dot. */
const CLEAN = /^(?:\/[^/.][^/]*)+$/;

/** The directory that WORKDIR makes of PATH: one from the root stays as it is written. */
export function workdir(current: string | undefined, path: string): string {
  const parent = rooted(current ?? "");
  if (path === "") return parent;
  return path.startsWith("/") ? path : rooted(`${parent}/${path}`);
}

/** The destination of a copy: cleaned and from the root, but a `/` or `/.` at its end stays, since it asks for a directory. */
export function destination(directory: string | undefined, path: string): string {
  const written = path === "" || path === "." ? "./" : path;
  const clean = rooted(written.startsWith("/") ? written : `${directory ?? ""}/${written}`);
  const slash = clean === "/" ? "" : "/";
  if (written.endsWith("/")) return clean + slash;
  return written.endsWith("/.") ? `${clean}${slash}.` : clean;
}
