import type { TarPath } from "./entry.js";

/** How a layer says that a name of a lower layer is gone (OCI image-spec, layer, "Whiteouts"). */
const WHITEOUT_PREFIX = ".wh.";
const OPAQUE_NAME = ".wh..wh..opq";
/** Names AUFS kept for itself: they are no whiteouts and no files. */
const RESERVED_PREFIX = ".wh..wh.";

/** What the last part of a name in a layer's archive stands for. */
export type LayerName =
  | { readonly kind: "entry" }
  | { readonly kind: "whiteout"; readonly of: TarPath }
  | { readonly kind: "opaque" }
  | { readonly kind: "reserved" };

/** The name that hides NAME of lower layers. */
export function whiteoutName(name: TarPath): TarPath {
  return WHITEOUT_PREFIX + name;
}

/** Reads the last part of an entry's name. A whiteout of nothing, `.` or `..` is reserved too: it names no file. */
export function parseLayerName(name: TarPath): LayerName {
  if (!name.startsWith(WHITEOUT_PREFIX)) return { kind: "entry" };
  if (name === OPAQUE_NAME) return { kind: "opaque" };
  if (name.startsWith(RESERVED_PREFIX)) return { kind: "reserved" };
  const of = name.slice(WHITEOUT_PREFIX.length);
  return of === "" || of === "." || of === ".." ? { kind: "reserved" } : { kind: "whiteout", of };
}
