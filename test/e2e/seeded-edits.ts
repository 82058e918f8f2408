import fs from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import {
  type BuildPlan,
  type BuildRequest,
  type BuildResult,
  createEngine,
  type Engine,
} from "../../src/engine/index.js";
import { missText } from "../../src/progress/index.js";
import { BASE_LAYOUT, World } from "./world.js";

const DOCKERFILE = `# syntax=docker/dockerfile:1
ARG WHICH=tools
ARG UNUSED
FROM base AS tools
COPY tools/ /tools/
RUN cat /tools/* > /made
COPY <<A /tools/first
one
A

FROM base AS other
RUN echo other > /made

FROM \${WHICH} AS picked
RUN true
RUN cp /made /picked

FROM base
ARG FLAVOR=plain
ARG API_TOKEN=none
ENV ONE=1 TWO=2 NAME=\${FLAVOR}
WORKDIR /srv/app
COPY src src
COPY --exclude=*.log logs /logs/
COPY --from=assets pic.txt .
COPY --from=picked /picked ./picked
COPY --chmod=640 conf /etc/conf
COPY plain.txt /plain.txt
COPY <<B /etc/b
b
B
RUN --mount=type=bind,source=flat,target=/flat,ro cat /flat/* > /sum
SHELL ["/bin/sh", "-c"]
USER 0:0
RUN <<EOS
echo $NAME > /name
EOS
RUN cat /plain.txt /etc/b > /both
COPY last.txt ./
RUN --network=none true
`;

/** Causes that are told of one step. */
const LISTED = 5;
const FLAT_FILES = 30;

let world: World;
let engine: Engine;
let context: string;
let request: BuildRequest;

/** Before the tests of a file: builds what the edits start from. */
export async function openSeeds(): Promise<void> {
  world = new World();
  context = world.files({
    Dockerfile: DOCKERFILE,
    ".dockerignore": "**/*.tmp\n",
    "tools/a": "a\n",
    "tools/b": "b\n",
    "src/main.c": "main\n",
    "src/deep/x.c": "x\n",
    "src/deep/y.c": "y\n",
    "src/same.c": "same\n",
    "logs/a.txt": "a\n",
    "logs/b.log": "b\n",
    "logs/c.lag": "c\n",
    conf: "conf\n",
    "plain.txt": "plain\n",
    "last.txt": "last\n",
    ...Object.fromEntries(Array.from({ length: FLAT_FILES }, (_, n) => [`flat/f${n}`, `${n}\n`])),
  });
  fs.symlinkSync("main.c", at("src/link"));
  world.files({ "pic.txt": "pic\n", "unread.txt": "1\n" }, "assets");
  engine = await createEngine({ root: world.root, env: process.env });
  await layout("base", "FROM base\nRUN echo 1 > /base\n", BASE_LAYOUT);
  await layout("base2", "FROM base\nRUN echo 2 > /base\n", BASE_LAYOUT);
  request = { context, outputs: [], buildContexts: { base: image("base"), assets: world.path("assets") } };
  await buildUnedited();
}

export async function closeSeeds(): Promise<void> {
  await engine[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
}

export async function buildUnedited(): Promise<void> {
  await engine.build(request);
}

async function layout(name: string, dockerfileText: string, base: string): Promise<void> {
  await engine.build({
    context,
    dockerfileText,
    dockerfile: "bases",
    buildContexts: { base: `oci-layout://${base}:latest` },
    tags: ["latest"],
    outputs: [{ type: "oci", dest: world.path(name), attrs: { tar: "false" } }],
  });
}

const image = (name: string) => `oci-layout://${world.path(name)}:latest`;
const at = (name: string) => path.join(context, name);
const write = (name: string, text: string) => fs.writeFileSync(at(name), text);
const edit = (...changes: readonly (readonly [string, string])[]) => {
  let text = fs.readFileSync(at("Dockerfile"), "utf8");
  for (const [from, to] of changes) {
    expect(text).toContain(from);
    text = text.replace(from, to);
  }
  write("Dockerfile", text);
};

/** An edit, and its true causes as they are told; N makes it another one each time. */
interface Edit {
  readonly make?: (n: number) => void;
  readonly request?: (n: number) => Partial<BuildRequest>;
  readonly causes: (n: number) => readonly (string | RegExp)[];
  /** Where it can be made only once: the second time the history has it. */
  readonly once?: true;
  /** Much like another one: left to the deep test. */
  readonly isLike?: true;
}

const args = (name: string, value = "v") => ({
  request: (n: number) => ({ buildArgs: { [name]: `${value}${n}` } }),
});

export const EDITS: Readonly<Record<string, Edit>> = {
  content: { make: (n) => write("src/main.c", `main ${n}\n`), causes: () => ["src/main.c changed (content)"] },
  mode: {
    make: (n) => fs.chmodSync(at("plain.txt"), 0o600 + n),
    causes: (n) => [`plain.txt changed (mode 0644 -> 060${n})`],
  },
  "mode that --chmod takes the place of": { make: () => fs.chmodSync(at("conf"), 0o600), causes: () => [] },
  "a file below a mount": {
    make: (n) => write("flat/f7", `seven ${n}\n`),
    causes: () => ["flat/f7 changed (content)"],
  },
  "a renamed file": {
    isLike: true,
    make: (n) => fs.renameSync(at("src/deep/x.c"), at(`src/deep/z${n}.c`)),
    causes: (n) => [`src/deep/z${n}.c was src/deep/x.c`],
  },
  "a deleted file": { make: () => fs.rmSync(at("src/same.c")), causes: () => ["src/same.c deleted"], once: true },
  "an added file": {
    isLike: true,
    make: (n) => write(`src/new${n}.c`, "new\n"),
    causes: (n) => [`src/new${n}.c added`],
  },
  "an ignored directory": {
    make: () => write(".dockerignore", "**/*.tmp\nsrc/deep\n"),
    causes: () => [/^src\/deep\/x\.c is now left out/, /^src\/deep\/y\.c is now left out/],
    once: true,
  },
  "an excluded name": {
    make: () => edit(["--exclude=*.log", "--exclude=*.lag"]),
    causes: () => ["--exclude *.log -> *.lag"],
    once: true,
  },
  "a link's target": {
    make: (n) => {
      fs.rmSync(at("src/link"));
      fs.symlinkSync(`same${n}`, at("src/link"));
    },
    causes: (n) => [`src/link changed (link target main.c -> same${n})`],
  },
  "an ARG in an ENV": { ...args("FLAVOR"), causes: (n) => [`ARG FLAVOR plain -> v${n}`] },
  "an ARG that may be secret": { ...args("API_TOKEN"), causes: () => ["ARG API_TOKEN changed"] },
  "an ARG that nobody uses": { isLike: true, ...args("UNUSED"), causes: () => [] },
  "an ARG that is removed": { make: () => edit(["ARG UNUSED\n", ""]), causes: () => [] },
  "the order of an ENV": {
    make: () => edit(["ENV ONE=1 TWO=2 ", "ENV TWO=2 ONE=1 "]),
    causes: () => ["order of variables changed"],
    once: true,
  },
  "an ENV": { isLike: true, make: (n) => edit(["ONE=1", `ONE=x${n}`]), causes: (n) => [`ENV ONE 1 -> x${n}`] },
  "a stage's base by an ARG": {
    request: () => ({ buildArgs: { WHICH: "other" } }),
    causes: () => ["ARG WHICH tools -> other"],
    once: true,
  },
  "a new --chmod": {
    make: (n) => edit(["COPY plain.txt", `COPY --chmod=60${n} plain.txt`]),
    causes: (n) => [`--chmod is new: 60${n}`],
  },
  "a --chmod": {
    isLike: true,
    make: (n) => edit(["--chmod=640", `--chmod=60${n}`]),
    causes: (n) => [`--chmod 640 -> 60${n}`],
  },
  "a copied heredoc": { make: (n) => edit(["one\nA", `two ${n}\nA`]), causes: () => ["heredoc changed"] },
  "another copied heredoc": {
    isLike: true,
    make: (n) => edit(["\nb\nB", `\nbb ${n}\nB`]),
    causes: () => ["heredoc changed"],
  },
  "a heredoc that runs": {
    make: (n) => edit(["echo $NAME >", `echo ${n} $NAME >`]),
    causes: () => ["heredoc changed"],
  },
  "a command": {
    make: (n) => edit(["RUN cat /tools/*", `RUN : ${n}; cat /tools/*`]),
    causes: (n) => [`command cat /tools/* > /made -> : ${n}; cat /tools/* > /made`],
  },
  "an image": {
    request: () => ({ buildContexts: { ...request.buildContexts, base: image("base2") } }),
    causes: () => [/^image .*base.* -> .*base2|^image .*moved/],
    once: true,
  },
  "a file of a named context": {
    make: (n) => fs.writeFileSync(world.path("assets/pic.txt"), `pic ${n}\n`),
    causes: () => ["pic.txt of context assets changed (content)"],
  },
  "a file that nobody reads": {
    isLike: true,
    make: (n) => fs.writeFileSync(world.path("assets/unread.txt"), `${n}\n`),
    causes: () => [],
  },
  SHELL: {
    make: () => edit(['SHELL ["/bin/sh", "-c"]', 'SHELL ["/bin/sh", "-ec"]']),
    causes: () => ["SHELL /bin/sh -c -> /bin/sh -ec"],
    once: true,
  },
  WORKDIR: {
    make: (n) => edit(["WORKDIR /srv/app", `WORKDIR /srv/app${n}`]),
    causes: (n) => [`WORKDIR /srv/app -> /srv/app${n}`],
  },
  USER: { isLike: true, make: (n) => edit(["USER 0:0", `USER 0:${n}`]), causes: (n) => [`USER 0:0 -> 0:${n}`] },
  "a network": {
    make: () => edit(["--network=none", "--network=default"]),
    causes: () => ["--network none -> default"],
    once: true,
  },
  "a stage without the cache": { request: () => ({ noCache: ["tools"] }), causes: () => ["--no-cache-filter=tools"] },
  "a new line": {
    make: (n) => edit(["COPY plain.txt", `RUN echo ${n}\nCOPY plain.txt`]),
    causes: () => [/RUN echo \d is new|no earlier build had this step/],
  },
  "a line less": {
    make: () => edit(["COPY plain.txt /plain.txt\n", ""], ["cat /plain.txt ", "cat "]),
    causes: () => [/COPY plain.txt .*was removed/, "command cat /plain.txt /etc/b > /both -> cat /etc/b > /both"],
    once: true,
  },
  "a line that moved": {
    make: () =>
      edit(
        ["COPY last.txt ./\n", ""],
        ["COPY plain.txt /plain.txt\n", "COPY last.txt ./\nCOPY plain.txt /plain.txt\n"],
      ),
    causes: () => [/moved|no earlier build had this step at this place/],
    once: true,
  },
  "a renamed stage with a new file": {
    make: (n) => {
      edit(["AS picked", "AS chosen"], ["--from=picked", "--from=chosen"], ["AS tools", `AS tools`]);
      write("tools/a", `renamed ${n}\n`);
    },
    causes: () => ["tools/a changed (content)"],
  },
  "a renamed stage": {
    make: () => edit(["AS picked", "AS chosen2"], ["--from=picked", "--from=chosen2"]),
    causes: () => [],
  },
  "two things at once": {
    make: (n) => {
      write("last.txt", `last ${n}\n`);
      write("tools/b", `tools ${n}\n`);
    },
    causes: () => ["last.txt changed (content)", "tools/b changed (content)"],
  },
  "many files": {
    isLike: true,
    make: (n) => {
      for (let i = 0; i < FLAT_FILES; i++) write(`flat/f${i}`, `many ${n} ${i}\n`);
    },
    causes: () => [/^flat\/f\d+ changed \(content\)$/],
  },
  "a touched file": { isLike: true, make: () => fs.utimesSync(at("src/main.c"), 1, 1), causes: () => [] },
  "the first stage and the last step": {
    make: (n) => {
      write("tools/a", `both ${n}\n`);
      edit(["--network=none true", `--network=none : ${n}`]);
    },
    causes: (n) => ["tools/a changed (content)", `command true -> : ${n}`],
  },
};

/** Builds TEXT in the same context; `onMiss` is told why steps ran. */
export async function buildText(
  dockerfileText: string,
  onMiss?: (text: string) => void,
  buildArgs: Readonly<Record<string, string>> = {},
  dockerfile = /(?<= AS )\w+/.exec(dockerfileText)?.[0] ?? "text",
  target?: string,
): Promise<BuildResult> {
  return engine.build({
    ...request,
    ...(target === undefined ? {} : { target }),
    dockerfileText,
    dockerfile,
    buildArgs,
    onProgress: (event) => void (event.type === "vertex-missed" && onMiss?.(missText(event.miss))),
  });
}

/** What a build of TEXT would do. */
export function planText(dockerfileText: string): Promise<BuildPlan> {
  return engine.plan({ ...request, dockerfileText, dockerfile: "planned" });
}

/** All texts in the state directory's database. */
export function everythingKept(): string {
  const files = fs.readdirSync(world.root).filter((name) => name.startsWith("ashlar.db"));
  return files.map((name) => fs.readFileSync(path.join(world.root, name), "latin1")).join("");
}

/** All that the build names as causes, each once, but for the steps that they lie in. */
export function told({ misses }: BuildResult): readonly string[] {
  const texts = misses.flatMap(({ causes }) =>
    causes.map(({ cause, step }) =>
      missText({ causes: [cause.kind === "step" && step ? { cause, step } : { cause }], omitted: 0 }),
    ),
  );
  return [...new Set(texts)];
}

function matches(text: string, expected: string | RegExp): boolean {
  return typeof expected === "string" ? expected === text : expected.test(text);
}

/** Builds with the edit, and takes it back. */
export async function seeded(name: string, n: number): Promise<void> {
  const { make, request: asked, causes } = EDITS[name] ?? { causes: () => [] };
  const saved = ["context", "assets"].map((each) => [world.path(each), world.path(`saved-${each}`)] as const);
  const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true };
  for (const [from, to] of saved) fs.cpSync(from, to, options);
  try {
    make?.(n);
    const { misses, ...built } = await engine.build({ ...request, ...asked?.(n) });
    const found = told({ misses, ...built });
    const expected = causes(n);
    const untrue = found.filter((text) => !expected.some((each) => matches(text, each)));
    const missing = expected.filter((each) => !found.some((text) => matches(text, each)));
    expect({ found, untrue, missing: missing.map(String) }).toEqual({ found, untrue: [], missing: [] });
    if (expected.length === 0) expect(misses).toEqual([]);
    for (const miss of misses) expect(miss.omitted === 0 || miss.causes.length === LISTED).toBe(true);
  } finally {
    for (const [to, from] of saved) {
      fs.rmSync(to, { recursive: true });
      fs.renameSync(from, to);
    }
  }
}
