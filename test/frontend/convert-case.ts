import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { EngineError } from "../../src/base/index.js";
import type { Diagnostic, FrontendBridge, FrontendRequest, NamedContext } from "../../src/frontend/index.js";
import { type ImageConfig, parsePlatform } from "../../src/oci/index.js";
import { baseImage, digest, requestFor } from "./convert-fixture.js";

/** A recorded case as far as a frontend sees it. */
export interface Case {
  readonly request: FrontendRequest;
  readonly bridge: FrontendBridge;
  readonly warnings: Diagnostic[];
  readonly check: boolean;
}

interface Options {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly check?: boolean;
}

interface ArchiveFile {
  readonly name: string;
  readonly target: string | undefined;
  readonly content: string;
}

const BUILD_PLATFORM = { os: "linux", architecture: "amd64" };

/** Reads a text archive and makes of it the request that the command line would. */
export function readCase(file: string): Case {
  const archive = parseArchive(readFileSync(file, "utf8"));
  const options = JSON.parse(archive.find(({ name }) => name === "options.json")?.content || "{}") as Options;
  const files = laidOut(archive);
  const flags = parseFlags(options);
  const dockerfile =
    flags.file ?? ["Dockerfile", "context/Dockerfile", "context/dockerfile"].find((name) => files.has(name));
  const ignore = [`${dockerfile}.dockerignore`, "context/.dockerignore"].find((name) => files.has(name));
  const warnings: Diagnostic[] = [];
  const request: FrontendRequest = {
    ...requestFor(files.get(dockerfile ?? "") ?? ""),
    dockerignore: ignore === undefined ? undefined : { name: ".dockerignore", text: files.get(ignore) ?? "" },
    target: flags.target,
    buildArgs: flags.buildArgs,
    labels: flags.labels,
    contexts: new Map<string, NamedContext>([["base", BASE_CONTEXT], ...flags.contexts]),
    platforms: flags.platforms.map((text) => parsePlatform(text, BUILD_PLATFORM)),
    noCache: flags.noCache,
    network: flags.network,
  };
  return { request, bridge: caseBridge(files, warnings), warnings, check: options.check ?? false };
}

const BASE_CONTEXT: NamedContext = { kind: "layout", identifier: "oci-layout://base:latest" };

function caseBridge(files: ReadonlyMap<string, string>, warnings: Diagnostic[]): FrontendBridge {
  return {
    async resolveImageConfig(identifier) {
      if (!identifier.startsWith("oci-layout://base")) throw new EngineError("not-found", `${identifier}: not found`);
      return {
        identifier: `${identifier}@${digest("base")}`,
        digest: digest("base"),
        config: baseImage() as ImageConfig,
      };
    },
    async readFile(context, path) {
      const text = files.get(`${context}/${path}`);
      return text === undefined ? undefined : Buffer.from(text);
    },
    sourceTime: async () => undefined,
    warn: (diagnostic) => warnings.push(diagnostic),
  };
}

interface Flags {
  readonly buildArgs: Map<string, string>;
  readonly labels: Map<string, string>;
  readonly contexts: [string, NamedContext][];
  readonly platforms: string[];
  target?: string;
  file?: string;
  noCache: boolean;
  network: "default" | "none" | "host";
}

function parseFlags({ args = [], env = {} }: Options): Flags {
  const flags: Flags = {
    buildArgs: new Map(),
    labels: new Map(),
    contexts: [],
    platforms: [],
    noCache: false,
    network: "default",
  };
  const words = args.flatMap((arg) =>
    /^--[a-z-]+=/.test(arg) ? [arg.slice(0, arg.indexOf("=")), arg.slice(arg.indexOf("=") + 1)] : [arg],
  );
  for (let at = 0; at < words.length; at++) {
    const flag = words[at];
    if (flag === "--no-cache") flags.noCache = true;
    else applyFlag(flags, flag ?? "", words[++at] ?? "", env);
  }
  return flags;
}

function applyFlag(flags: Flags, flag: string, value: string, env: Readonly<Record<string, string>>): void {
  const at = value.indexOf("=");
  const [key, rest] = at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + 1)];
  if (flag === "--build-arg") {
    const given = rest ?? env[key];
    if (given !== undefined) flags.buildArgs.set(key, given);
  } else if (flag === "--label") flags.labels.set(key, rest ?? "");
  else if (flag === "--target") flags.target = value;
  else if (flag === "--platform") flags.platforms.push(...value.split(","));
  else if (flag === "--network") flags.network = value as Flags["network"];
  else if (flag === "--build-context") flags.contexts.push([key, namedContext(rest ?? "")]);
  else if (flag === "-f") flags.file = value.replace("$DIR/", "");
}

function namedContext(value: string): NamedContext {
  if (value.startsWith("oci-layout://$BASE")) return BASE_CONTEXT;
  if (value.startsWith("oci-layout://")) return { kind: "layout", identifier: value };
  if (value.startsWith("docker-image://")) return { kind: "image", reference: value.slice("docker-image://".length) };
  return { kind: "local", name: value.replace("$DIR/", "") };
}

function parseArchive(text: string): readonly ArchiveFile[] {
  const files: { name: string; target: string | undefined; lines: string[] }[] = [];
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const marker = /^-- (\S+?)(?: -> (\S+))?(?: (0[0-7]+))? --$/.exec(line);
    if (marker) files.push({ name: marker[1] ?? "", target: marker[2], lines: [] });
    else files.at(-1)?.lines.push(line);
  }
  return files.map(({ lines, ...file }) => ({ ...file, content: lines.map((line) => `${line}\n`).join("") }));
}

/** The texts of a case's files; what its script makes of a Dockerfile included. */
function laidOut(archive: readonly ArchiveFile[]): ReadonlyMap<string, string> {
  const texts = new Map(archive.map(({ name, content }) => [name, content]));
  const script = texts.get("prepare.sh");
  if (!script?.includes("Dockerfile")) return texts;
  const dir = mkdtempSync(join(tmpdir(), "convert-case-"));
  try {
    mkdirSync(join(dir, "context"));
    for (const { name, target, content } of archive) {
      if (name.endsWith("/")) continue;
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      if (target === undefined) writeFileSync(join(dir, name), content);
      else symlinkSync(target, join(dir, name));
    }
    execFileSync("/bin/sh", ["-euc", script], { cwd: dir });
    return new Map(texts).set("Dockerfile", readFileSync(join(dir, "Dockerfile"), "utf8"));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
