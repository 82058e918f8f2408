import { formatPlatform, type Platform } from "../../oci/index.js";
import type { DockerfileNode } from "./ast.js";
import { variableOf } from "./env-entries.js";
import { type EscapeCharacter, expandWord, type VariableSource } from "./expand.js";
import { mistake } from "./place.js";

/** Variables in the order in which they were last set: the order of a process's environment. */
export type Variables = Map<string, string>;

/** Sets KEY, which becomes the last one. */
export function setVariable(variables: Variables, key: string, value: string): void {
  variables.delete(key);
  variables.set(key, value);
}

/** What the steps of a stage see: variables in the order in which they were last set. */
export interface Environment extends VariableSource {
  readonly size: number;
  readonly names: Iterable<string>;
  /** All of them as `KEY=value`; the same list until one is set. */
  readonly entries: readonly string[];
  /** Sets what ENV or ARG gives KEY, which becomes the last one. */
  set(kind: "env" | "arg", key: string, value: string): void;
  /** Begins a stage with ENTRIES (`KEY=value`), the ENV that it takes over: all of them are set in order. */
  begin(entries: readonly string[]): void;
  clone(): Environment;
}

export function createEnvironment(): Environment {
  return new StageEnvironment(new Map(), undefined);
}

class StageEnvironment implements Environment {
  readonly #variables: Variables;
  #entries: readonly string[] | undefined;
  /** How many ENV there are where they are the last ones, in the order in which they were first set; else undefined. */
  #inOrder: number | undefined;

  constructor(variables: Variables, inOrder: number | undefined) {
    this.#variables = variables;
    this.#inOrder = inOrder;
  }

  get size(): number {
    return this.#variables.size;
  }

  get names(): Iterable<string> {
    return this.#variables.keys();
  }

  get entries(): readonly string[] {
    if (this.#entries !== undefined) return this.#entries;
    const entries: string[] = [];
    for (const [key, value] of this.#variables) entries.push(`${key}=${value}`);
    this.#entries = entries;
    return entries;
  }

  get(name: string): string | undefined {
    return this.#variables.get(name);
  }

  set(kind: "env" | "arg", key: string, value: string): void {
    this.#entries = undefined;
    if (this.#inOrder !== undefined) {
      this.#inOrder = kind === "env" && !this.#variables.has(key) ? this.#inOrder + 1 : undefined;
    }
    setVariable(this.#variables, key, value);
  }

  begin(entries: readonly string[]): void {
    // A stage upon many others has few of its own.
    if (this.#inOrder === entries.length) return;
    for (const entry of entries) this.set("env", ...variableOf(entry));
    this.#inOrder = entries.length;
  }

  clone(): Environment {
    return new StageEnvironment(new Map(this.#variables), this.#inOrder);
  }
}

/** TARGETPLATFORM and its like for a build of STAGE (a name or undefined), each replaced where --build-arg gives it. */
export function platformArgs(
  platforms: { readonly build: Platform; readonly target: Platform },
  stage: string | undefined,
  buildArgs: ReadonlyMap<string, string>,
): Variables {
  const { build, target } = platforms;
  const defaults: readonly (readonly [string, string])[] = [
    ["BUILDPLATFORM", formatPlatform(build)],
    ["BUILDOS", build.os],
    ["BUILDOSVERSION", build.osVersion ?? ""],
    ["BUILDARCH", build.architecture],
    ["BUILDVARIANT", build.variant ?? ""],
    ["TARGETPLATFORM", formatPlatform(target)],
    ["TARGETOS", target.os],
    ["TARGETOSVERSION", target.osVersion ?? ""],
    ["TARGETARCH", target.architecture],
    ["TARGETVARIANT", target.variant ?? ""],
    ["TARGETSTAGE", stage || "default"],
  ];
  return new Map(defaults.map(([key, value]) => [key, buildArgs.get(key) ?? value]));
}

/** PLATFORM_ARGS and the ARGs ahead of the first FROM, each of which sees those before it. Throws for what can't be expanded. */
export function globalArgs(
  file: { readonly name: string; readonly dockerfile: DockerfileNode },
  known: ReadonlyMap<string, string>,
  buildArgs: ReadonlyMap<string, string>,
): Variables {
  const variables = new Map(known);
  for (const instruction of file.dockerfile.globalArgs) {
    for (const { key, value, range } of instruction.args) {
      const given = buildArgs.get(key);
      if (given === undefined && value === undefined) continue;
      const expanded = given ?? expandedOr(value ?? "", variables, file.dockerfile.directives.escape);
      if (typeof expanded === "object") {
        throw mistake(expanded.error, { file: file.name, range: instruction.range, culprit: range });
      }
      setVariable(variables, key, expanded);
    }
  }
  return variables;
}

/** What --build-arg tells of proxies, spelt both ways as programs want it; undefined where it tells nothing. */
export function proxyEnvironment(buildArgs: ReadonlyMap<string, string>): Readonly<Record<string, string>> | undefined {
  const given = new Map<string, string>();
  // Where one is given in several spellings, the last in the order of bytes counts: the one in lower case.
  for (const [key, value] of [...buildArgs].sort(([a], [b]) => (a < b ? -1 : 1))) given.set(key.toLowerCase(), value);
  const found = PROXY_NAMES.flatMap((name) => {
    const value = given.get(name);
    return value ? [[name.toUpperCase(), value] as const, [name, value] as const] : [];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

const PROXY_NAMES = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

function expandedOr(
  text: string,
  variables: Variables,
  escapeCharacter: EscapeCharacter,
): string | { readonly error: string } {
  const result = expandWord(text, variables, escapeCharacter);
  return result.ok ? result.value : { error: result.error };
}
