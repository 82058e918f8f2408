import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

/** What each folder of src may import, in the order of dependency: a folder's row names only folders above it. */
const ALLOWED: ReadonlyMap<string, readonly string[]> = new Map([
  ["base", []],
  ["oci", ["base"]],
  ["progress", ["base"]],
  ["tar", ["base"]],
  ["store", ["base", "oci"]],
  ["snapshot", ["base", "oci", "tar", "store"]],
  ["executor", ["base", "snapshot"]],
  ["registry", ["base", "oci", "store"]],
  ["session", ["base"]],
  ["sources", ["base", "oci", "store", "snapshot", "registry", "session"]],
  ["llb", ["base", "oci"]],
  ["frontend", ["base", "oci", "llb"]],
  ["solver", ["base", "progress"]],
  ["cache", ["base", "oci", "store", "snapshot", "registry", "solver"]],
  ["ops", ["base", "oci", "progress", "snapshot", "executor", "session", "sources", "llb", "solver", "cache"]],
  ["attest", ["base", "oci", "llb"]],
  ["sign", ["base", "oci", "registry"]],
  ["exporters", ["base", "oci", "tar", "progress", "store", "snapshot", "registry", "session", "llb", "attest"]],
  ["remote-cache", ["base", "oci", "store", "snapshot", "registry", "solver", "cache"]],
]);
/** They wire: each may import every folder above and those before it here. */
const WIRING = ["engine", "server", "cli"];
/** Modules that may be imported beside a folder's index: the pattern matcher pulls in nothing, and the worker needs it. */
const DOORS = new Set(["base/patterns.js"]);

const SRC = path.join(import.meta.dirname, "../src");
/** Where facts about the machine and words for people may come and go. */
const isCli = (file: string) => file.startsWith("cli/");
const isProgress = (file: string) => file.startsWith("progress/");
const isClock = (file: string) => file === "base/clock.ts";

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly lazy: boolean;
}

interface Module {
  /** Path below src. */
  readonly file: string;
  readonly folder: string;
  /** The text without comments. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const modules = readModules();

test("the table itself points backwards only", () => {
  const order = [...ALLOWED.keys()];
  const forward = [...ALLOWED].flatMap(([folder, names]) =>
    names.filter((name) => order.indexOf(name) < 0 || order.indexOf(name) >= order.indexOf(folder)),
  );
  expect(forward).toEqual([]);
});

test("every folder of src is in the table", () => {
  const known = new Set([...ALLOWED.keys(), ...WIRING]);
  expect([...new Set(modules.map(({ folder }) => folder))].filter((folder) => !known.has(folder))).toEqual([]);
});

test("a folder imports only what the table allows it, and only through index.ts", () => {
  const problems = modules.flatMap((module) =>
    module.imports.flatMap(({ specifier }) => {
      const target = targetOf(module, specifier);
      const [folder = ""] = target?.split("/") ?? [];
      if (target === undefined || folder === module.folder) return [];
      if (!mayImport(module.folder, folder)) return [`${module.file}: ${module.folder} may not import ${folder}`];
      if (target === `${folder}/index.js` || DOORS.has(target)) return [];
      return [`${module.file}: import ${folder}/index.js, not ${target}`];
    }),
  );
  expect(problems).toEqual([]);
});

test("no module imports itself in a circle", () => {
  expect(cycles()).toEqual([]);
});

test("the data-plane worker makes no asynchronous file call and loads nothing late", () => {
  // Such a call is answered by a thread that still sees the host's mounts.
  const problems = modules
    .filter(({ file }) => file.startsWith("snapshot/worker/"))
    .flatMap((module) => [
      ...module.imports
        .filter(({ specifier, lazy }) => lazy || /^(node:)?fs\/promises$/.test(specifier))
        .map(({ specifier, lazy }) => `${module.file}: ${lazy ? "lazy import of" : "imports"} ${specifier}`),
      ...matches(module, /(?<![\w$.])require\(/g),
      ...matches(module, /\bfs\.(?!constants\b)[a-z]\w*(?<!Sync)\(/g),
      ...matches(module, /\bfs\.promises\b/g),
      ...matches(module, /import \{[^}]*\b(?!type\b)[a-z]\w*(?<!Sync|constants)\b[^}]*\} from "node:fs"/g),
    ]);
  expect(problems).toEqual([]);
});

test("nothing that the data-plane worker is bundled with uses fs/promises", () => {
  const reached = [...reachable("snapshot/worker/main.ts")];
  const problems = reached.flatMap((module) =>
    module.imports
      .filter(({ specifier, typeOnly }) => !typeOnly && /^(node:)?fs\/promises$/.test(specifier))
      .map(({ specifier }) => `${module.file} imports ${specifier}`),
  );
  expect(reached.length).toBeGreaterThan(1);
  expect(problems).toEqual([]);
});

test("only cli and progress write to the terminal", () => {
  const speakers = modules.filter(({ file }) => !isCli(file) && !isProgress(file));
  expect(speakers.flatMap((module) => matches(module, /\bconsole\./g))).toEqual([]);
  expect(speakers.flatMap((module) => ofProcess(module, "std(?:in|out|err)"))).toEqual([]);
});

test("environment, clock and chance come in through cli and base/clock only", () => {
  const pure = modules.filter(({ file }) => !isCli(file) && !isClock(file));
  expect(pure.flatMap((module) => ofProcess(module, "(?:env|cwd|hrtime)\\b"))).toEqual([]);
  expect(pure.flatMap((module) => matches(module, /\b(?:Date\.now|Math\.random)\b/g))).toEqual([]);
  expect(pure.flatMap((module) => matches(module, /\bnew Date\(\)/g))).toEqual([]);
});

test("nothing but the command line tool, and programs and threads of their own, changes the process it runs in", () => {
  const isProgram = (file: string) =>
    file.startsWith("executor/sandbox/") || /^(?:snapshot\/(?:outpost|worker)|executor\/one-id)\/main\.ts$/.test(file);
  const guests = modules.filter(({ file }) => !isCli(file) && !isProgram(file));
  expect(guests.flatMap((module) => ofProcess(module, "(?:chdir|umask|on|once|setuid|setgid|exit)\\("))).toEqual([]);
});

function readModules(): readonly Module[] {
  return fs
    .readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((file) => {
      const code = withoutComments(fs.readFileSync(path.join(SRC, file), "utf8"));
      return { file, folder: file.split("/", 1)[0] ?? "", code, imports: importsOf(code) };
    });
}

function importsOf(code: string): readonly Import[] {
  const fixed = [...code.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^"';]*\sfrom\s+)?"([^"]+)"/gm)];
  const lazy = [...code.matchAll(/(typeof\s+)?\bimport\(\s*"([^"]+)"\s*\)/g)];
  return [
    ...fixed.map(([, type, specifier = ""]) => ({ specifier, typeOnly: type !== undefined, lazy: false })),
    ...lazy.map(([, type, specifier = ""]) => ({ specifier, typeOnly: type !== undefined, lazy: type === undefined })),
  ];
}

/** Comments are blanked out; the few strings that look like comments lose their end, which no rule here minds. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`\\/])\/\/.*$/gm, "$1");
}

/** The path below src of a relative import; undefined for packages and what lies outside src. */
function targetOf({ file }: Module, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const target = path.posix.join(path.posix.dirname(file), specifier);
  return target.startsWith("../") || target.endsWith(".json") ? undefined : target;
}

function mayImport(from: string, to: string): boolean {
  const rank = WIRING.indexOf(from);
  if (rank >= 0) return ALLOWED.has(to) || WIRING.slice(0, rank).includes(to);
  return ALLOWED.get(from)?.includes(to) ?? false;
}

function matches({ file, code }: Module, pattern: RegExp): readonly string[] {
  return [...code.matchAll(pattern)].map(([text]) => `${file}: ${text.replaceAll(/\s+/g, " ")}`);
}

/** Uses of a member of the global `process`; a module that calls something of its own so means that. */
function ofProcess(module: Module, member: string): readonly string[] {
  if (/[(,]\s*process\s*[,:)]|\b(?:const|let)\s+process\b/.test(module.code)) return [];
  return matches(module, new RegExp(`(?<![#.\\w])process\\??\\.${member}`, "g"));
}

function moduleAt(target: string): Module | undefined {
  const file = target.replace(/\.js$/, ".ts");
  return modules.find((module) => module.file === file);
}

function valueTargets(module: Module): readonly Module[] {
  return module.imports
    .filter(({ typeOnly, lazy }) => !typeOnly && !lazy)
    .flatMap(({ specifier }) => moduleAt(targetOf(module, specifier) ?? "") ?? []);
}

function reachable(entry: string): ReadonlySet<Module> {
  const seen = new Set<Module>();
  const visit = (module: Module | undefined) => {
    if (!module || seen.has(module)) return;
    seen.add(module);
    for (const next of valueTargets(module)) visit(next);
  };
  visit(moduleAt(entry));
  return seen;
}

/** Each circle of imports that exist at run time, once. */
function cycles(): readonly string[] {
  const found: string[] = [];
  const done = new Set<Module>();
  const visit = (module: Module, trail: readonly Module[]) => {
    const at = trail.indexOf(module);
    if (at >= 0) found.push([...trail.slice(at), module].map(({ file }) => file).join(" -> "));
    if (at >= 0 || done.has(module)) return;
    for (const next of valueTargets(module)) visit(next, [...trail, module]);
    done.add(module);
  };
  for (const module of modules) visit(module, []);
  return found;
}
