import { EngineError, messageOf } from "../../base/index.js";
import type { InspectedManifest, ListEntry, ManifestLists } from "../../engine/index.js";
import { indentJson } from "../json-indent.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";
import { registrySurroundings } from "./imagetools.js";

export interface ManifestFlags {
  readonly insecure?: boolean;
}

/** `ashlar manifest create LIST MANIFEST…`: picks manifests for a list that is to be pushed. */
export function createListCommand(
  flags: ManifestFlags & { readonly amend?: boolean },
  [list = "", ...manifests]: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  if (manifests.length === 0) throw new UsageError("manifest create requires at least 2 arguments");
  return withLists(surroundings, async (lists, signal) => {
    const { amend = false, insecure = false } = flags;
    const name = await lists.create(list, manifests, { amend, insecure, signal });
    surroundings.stdout.write(`Created manifest list ${name}\n`);
  });
}

export interface AnnotateFlags {
  readonly os?: string;
  readonly arch?: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
}

/** `ashlar manifest annotate LIST MANIFEST`: says more of a manifest of such a list. */
export function annotateCommand(
  { arch, os, variant, osVersion, osFeatures = [] }: AnnotateFlags,
  [list = "", manifest = ""]: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const change = {
    ...(os === undefined ? {} : { os }),
    ...(arch === undefined ? {} : { architecture: arch }),
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
    osFeatures: osFeatures.flatMap((each) => each.split(",")),
  };
  return withLists(surroundings, async (lists) => lists.annotate(list, manifest, change));
}

/** `ashlar manifest inspect [LIST] NAME`. */
export async function inspectManifestCommand(
  { insecure = false, verbose = false }: ManifestFlags & { readonly verbose?: boolean },
  words: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const [name = "", inner] = words;
  const { describeListEntry } = await import("../../engine/index.js");
  return withLists(surroundings, async (lists, signal) => {
    const found: InspectedManifest =
      inner === undefined
        ? await lists.inspect(name, { insecure, signal })
        : { kind: "manifest", entry: lists.entry(name, inner) };
    surroundings.stdout.write(`${verbose ? verboseText(found, describeListEntry) : plainText(found)}\n`);
  });
}

/** `ashlar manifest push LIST`. */
export function pushListCommand(
  { insecure = false, purge = false }: ManifestFlags & { readonly purge?: boolean },
  list: string,
  surroundings: Surroundings,
): Promise<number> {
  return withLists(surroundings, async (lists, signal) => {
    const { copied, digest } = await lists.push(list, { insecure, purge, signal });
    const lines = copied.map((each) => `Pushed ref ${each.name} with digest: ${each.digest}\n`);
    surroundings.stdout.write(`${lines.join("")}${digest}\n`);
  });
}

/** `ashlar manifest rm LIST…`: forgets lists that are not pushed. */
export function removeListsCommand(names: readonly string[], surroundings: Surroundings): Promise<number> {
  return withLists(surroundings, async (lists) => {
    const failures = names.flatMap((name): readonly string[] => {
      try {
        lists.remove(name);
        return [];
      } catch (error) {
        return [messageOf(error)];
      }
    });
    if (failures.length > 0) throw new EngineError("not-found", failures.join("\n"));
  });
}

async function withLists(
  surroundings: Surroundings,
  work: (lists: ManifestLists, signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const { openManifestLists } = await import("../../engine/index.js");
  return untilStopped(surroundings, async (signal) => {
    await using lists = openManifestLists(registrySurroundings(surroundings));
    await work(lists, signal);
    return 0;
  });
}

function plainText(found: InspectedManifest): string {
  return found.kind === "list" ? Buffer.from(found.document).toString() : indentJson(found.entry.raw.toString(), "\t");
}

function verboseText(found: InspectedManifest, describe: (entry: ListEntry) => string): string {
  const text = found.kind === "list" ? `[${found.entries.map(describe).join(",")}]` : describe(found.entry);
  return indentJson(text, "\t");
}
