/** A full image name as people write it: without docker.io, library/ and latest. */
export function familiarName(full: string): string {
  const short = full.replace(/^docker\.io\/(library\/)?/, "");
  return full.includes("@") ? short : short.replace(/:latest$/, "");
}

/** A full image name without docker.io and library/, with its tag. */
export function taggedName(full: string): string {
  return full.replace(/^docker\.io\/(library\/)?/, "");
}

/** Repository and tag of a full name, as `docker images` lists them. */
export function splitName(full: string): { readonly repository: string; readonly tag: string } {
  const [, repository = full, tag = "<none>"] = /^(.*?)(?::([^:/]+))?$/.exec(full.replace(/@.*$/, "")) ?? [];
  // What is named by its digest is, as docker shows it, not what the tag stands for.
  return {
    repository: repository.replace(/^docker\.io\/(library\/)?/, "") || "<none>",
    tag: full.includes("@") ? "<none>" : tag,
  };
}
