import { EngineError } from "../../base/index.js";
import { fromText } from "./bytes.js";
import type { Job } from "./context.js";
import { cleanPath } from "./file-paths.js";
import { Target } from "./file-target.js";

const EXECUTABLE_BITS = 0o111;

/** The path of the first of PROGRAMS that a mounted root holds; names without a slash are looked for on SEARCH_PATH, as PATH has it. */
export const findProgram: Job<
  {
    readonly root: { readonly kind: "mounted"; readonly path: string };
    readonly programs: readonly string[];
    readonly searchPath: string;
  },
  string | undefined
> = ({ root, programs, searchPath }) => {
  const target = new Target(root.path);
  const directories = searchPath.split(":").filter((directory) => directory.startsWith("/"));
  const places = (name: string) => (name.includes("/") ? [name] : directories.map((each) => `${each}/${name}`));
  return programs.flatMap(places).find((file) => isProgram(target, file));
};

function isProgram(target: Target, file: string): boolean {
  try {
    const entry = target.lstat(target.resolve(cleanPath(fromText(file))));
    return entry?.kind === "file" && (entry.mode & EXECUTABLE_BITS) !== 0;
  } catch (error) {
    // Links in a circle, or a file where a directory should be.
    if (error instanceof EngineError) return false;
    throw error;
  }
}
