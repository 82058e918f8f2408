import path from "node:path";
import { UsageError } from "./usage-error.js";
import { parseBoolean, parseCsv, parseFields } from "./values.js";

/** Where a result goes, as asked for on the command line. `load`: into docker or podman, whichever is there. */
export type OutputTarget =
  | { readonly kind: "path"; readonly type: FileType | "local"; readonly dest: string; readonly attrs: Attrs }
  | { readonly kind: "stdout"; readonly type: FileType; readonly attrs: Attrs }
  | { readonly kind: "load"; readonly attrs: Attrs }
  | { readonly kind: "store"; readonly attrs: Attrs }
  | { readonly kind: "cache" };

type FileType = "oci" | "docker" | "tar";
type Attrs = Readonly<Record<string, string>>;

/** TARGETS, with --push: the images among them are pushed, or one more is made. */
export function withPush(targets: readonly OutputTarget[]): readonly OutputTarget[] {
  if (!targets.some(({ kind }) => kind === "store")) return [...targets, { kind: "store", attrs: { push: "true" } }];
  return targets.map((target) =>
    target.kind === "store" ? { ...target, attrs: { ...target.attrs, push: "true" } } : target,
  );
}

/** TARGETS, whose images get each --annotation: `KEY=VALUE` or `PLACE[PLATFORM],PLACE:KEY=VALUE`. */
export function withAnnotations(targets: readonly OutputTarget[], words: readonly string[]): readonly OutputTarget[] {
  if (words.length === 0) return targets;
  const given = annotationAttributes(words);
  return targets.map((target) => {
    const isImage = target.kind === "store" || target.kind === "load" || ("type" in target && isArchive(target.type));
    return isImage && "attrs" in target ? { ...target, attrs: { ...given, ...target.attrs } } : target;
  });
}

/** Each --annotation as an attribute of outputs. */
export function annotationAttributes(words: readonly string[]): Attrs {
  return Object.fromEntries(words.flatMap(parseAnnotation));
}

function isArchive(type: FileType | "local"): boolean {
  return type === "oci" || type === "docker";
}

const ANNOTATION = /^((?:[a-z-]+(?:\[[A-Za-z0-9_/-]+\])?,)*[a-z-]+(?:\[[A-Za-z0-9_/-]+\])?):(.+)$/s;

/** As attributes of an output: `annotation-index.KEY`. */
function parseAnnotation(word: string): readonly (readonly [string, string])[] {
  const equals = word.indexOf("=");
  if (equals < 0) throw new UsageError(`invalid annotation ${JSON.stringify(word)}, expected key=value`);
  const [, places = "manifest", key = word.slice(0, equals)] = ANNOTATION.exec(word.slice(0, equals)) ?? [];
  return places.split(",").map((place) => [`annotation-${place}.${key}`, word.slice(equals + 1)]);
}

/** One --output: `type=oci,dest=out.tar`, `DIR`, or `-` for a tar archive on standard output. Relative paths start at CWD. */
export function parseOutput(text: string, cwd: string): OutputTarget {
  if (text === "-") return { kind: "stdout", type: "tar", attrs: {} };
  const fields = parseCsv(text);
  if (fields.length === 1 && fields[0] === text && !text.startsWith("type=")) {
    if (text === "") throw new UsageError("--output needs a value, such as type=local,dest=DIR");
    return { kind: "path", type: "local", dest: path.resolve(cwd, text), attrs: {} };
  }
  const { type, dest = "", ...attrs } = Object.fromEntries(parseFields(text, "output"));
  return targetOf(type, dest, attrs, cwd);
}

function targetOf(type: string | undefined, dest: string, attrs: Attrs, cwd: string): OutputTarget {
  switch (type) {
    case undefined:
    case "":
      throw new UsageError("type is required for output");
    case "local":
      return directoryTarget("local", dest, attrs, cwd);
    case "docker":
      return dest === "" ? { kind: "load", attrs } : fileTarget(type, dest, attrs, cwd);
    case "oci":
    case "tar":
      return fileTarget(type, dest, attrs, cwd);
    case "image":
      return { kind: "store", attrs };
    case "registry":
      return { kind: "store", attrs: { push: "true", ...attrs } };
    case "cacheonly":
      return { kind: "cache" };
    default:
      throw new UsageError(
        `exporter ${JSON.stringify(type)} could not be found: there are local, tar, oci, docker, image, registry and cacheonly`,
      );
  }
}

/** Whether an image goes to a registry. */
export function isPushed(target: OutputTarget): boolean {
  if (target.kind !== "store" || target.attrs.push === undefined) return false;
  return target.attrs.push === "" || parseBoolean(target.attrs.push, "push");
}

function fileTarget(type: FileType, dest: string, attrs: Attrs, cwd: string): OutputTarget {
  // With tar=false the image is written as a layout directory.
  if (type !== "tar" && attrs.tar !== undefined && !parseBoolean(attrs.tar, "tar"))
    return directoryTarget(type, dest, attrs, cwd);
  if (dest === "" || dest === "-") return { kind: "stdout", type, attrs };
  return { kind: "path", type, dest: path.resolve(cwd, dest), attrs };
}

function directoryTarget(type: "local" | "oci" | "docker", dest: string, attrs: Attrs, cwd: string): OutputTarget {
  if (dest === "") throw new UsageError(`dest is required for ${type} exporter`);
  if (dest === "-") throw new UsageError(`dest cannot be stdout for ${type} exporter`);
  return { kind: "path", type, dest: path.resolve(cwd, dest), attrs };
}
