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
      if (attrs.push !== undefined && parseBoolean(attrs.push, "push")) throw new UsageError(PUSH_UNSUPPORTED);
      return { kind: "store", attrs };
    case "registry":
      throw new UsageError(PUSH_UNSUPPORTED);
    case "cacheonly":
      return { kind: "cache" };
    default:
      throw new UsageError(
        `exporter ${JSON.stringify(type)} could not be found: there are local, tar, oci, docker, image and cacheonly`,
      );
  }
}

const PUSH_UNSUPPORTED = "pushing to a registry is not supported yet";

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
