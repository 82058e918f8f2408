import type { FoundPackage, TextReader } from "./package.js";

/** Go's checksums: what may be built in. */
export const goSum: TextReader = {
  pattern: "(?:^|/)go\\.sum$",
  read: ({ path, text }) =>
    [...text.matchAll(/^(\S+) (v[^\s/]+) h1:/gm)].map(([, module = "", version = ""]) =>
      moduleOf(module, version, path),
    ),
};

/** The modules that the program SOURCE was built of, by its own TEXT, with those that took the place of others. */
export function goModules(text: string, source: string): readonly FoundPackage[] {
  const found: (FoundPackage | undefined)[] = [];
  for (const line of text.split("\n")) {
    const [kind, module, version] = line.split("\t");
    if (!module || !version) continue;
    if (kind === "=>") found.pop();
    else if (kind !== "mod" && kind !== "dep") continue;
    // What was built from a directory has no version of its own.
    found.push(/^v\d/.test(version) ? moduleOf(module, version, source) : undefined);
  }
  return found.filter((each) => each !== undefined);
}

function moduleOf(module: string, version: string, source: string): FoundPackage {
  const slash = module.lastIndexOf("/");
  return {
    type: "golang",
    namespace: slash < 0 ? undefined : module.slice(0, slash),
    name: module.slice(slash + 1),
    version,
    source,
  };
}
