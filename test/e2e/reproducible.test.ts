import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, type TestContext, test } from "vitest";
import { connect } from "../../src/store/sqlite.js";
import { buildAs, needsUser } from "./user.js";
import { type Ended, imageOf, needs, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

/** Steps that give the same each time, but for the times of what they make. */
const DOCKERFILE = `
FROM base AS made
RUN mkdir -p /out/deep && seq 1 50000 > /out/deep/numbers && ln -s numbers /out/deep/link && chmod 4751 /out/deep/numbers
FROM base
COPY --chown=123:45 files /files
COPY --from=made /out /out
RUN date > /now && rm /now && chown -R 7:8 /out && echo "it's made" > /made
WORKDIR /files
LABEL by=ashlar
`;
const EPOCH = { SOURCE_DATE_EPOCH: "1700000000" };
const FORMS = ["gzip", "zstd"] as const;

function writeContext(): string {
  const context = world.files({ Dockerfile: DOCKERFILE, "files/a": "a\n".repeat(9000), "files/b/c": "c" });
  fs.utimesSync(path.join(context, "files/a"), new Date(), new Date());
  return context;
}

interface Built {
  /** By the form that layers are packed in. */
  readonly digests: Readonly<Record<string, string>>;
  /** What packed them, as the state directory says. */
  readonly encoders: readonly string[];
}

/** Builds with a state directory of its own by BUILD, in both forms. */
async function built(
  name: string,
  build: (words: readonly string[], options: { readonly env: Record<string, string> }) => Promise<Ended>,
): Promise<Built> {
  const root = world.path(name, "root");
  const layout = (form: string) => world.path(name, form);
  fs.mkdirSync(world.path(name));
  fs.chmodSync(world.path(name), 0o777);
  const outputs = FORMS.flatMap((form) => {
    return ["-o", `type=oci,tar=false,dest=${layout(form)},compression=${form},rewrite-timestamp=true`];
  });
  const ended = await build([...outputs, writeContext()], { env: { ...EPOCH, ASHLAR_ROOT: root } });
  expect(ended).toMatchObject({ code: 0 });
  const digests = Object.fromEntries(FORMS.map((form) => [form, imageOf(layout(form)).digest]));
  return { digests, encoders: encodersIn(root) };
}

function encodersIn(root: string): readonly string[] {
  const [file = ""] = fs.readdirSync(root).filter((each) => each.endsWith(".db"));
  const connection = connect(path.join(root, file));
  try {
    const rows = connection.prepare("SELECT descriptor FROM layer_blob").all() as { readonly descriptor: string }[];
    return [...new Set(rows.flatMap(({ descriptor }) => /"encoder":"([^"]+)"/.exec(descriptor)?.[1] ?? []))].sort();
  } finally {
    connection.close();
  }
}

/** A later Node than this one, if the test is told where one is. */
function laterNode(context: TestContext): string {
  const { ASHLAR_TEST_NODE: node } = process.env;
  if (!node) context.skip("ASHLAR_TEST_NODE names no other Node");
  return node;
}

test("the same files at a fixed time are the same image for root and for an ordinary user, packed either way", async (context) => {
  needs(context, "zstd");
  const first = await built("first", (...build) => world.build(...build));
  expect(first.encoders).toEqual([expect.stringMatching(/^zlib \d/), expect.stringMatching(/zstd/)]);
  expect(await built("second", (...build) => world.build(...build))).toEqual(first);
  needsUser(context, "subordinate ids");
  const user = await built("user", (words, { env }) => buildAs(world, words, { env, grant: "subordinate ids" }));
  expect(user).toEqual(first);
});

test("the same files at a fixed time are the same image in a later Node, as far as what packs is the same", async (context) => {
  needs(context, "zstd");
  const node = laterNode(context);
  const here = await built("here", (...build) => world.build(...build));
  const there = await built("there", (words, options) => world.build(words, { ...options, under: [node] }));
  expect(there.digests.gzip).toBe(here.digests.gzip);
  const zstdOf = ({ encoders }: Built) => encoders.find((each) => each.includes("zstd"));
  if (zstdOf(here) === zstdOf(there)) expect(there.digests.zstd).toBe(here.digests.zstd);
});

test("a build on an image of the store finds what it made before, whatever the image was exported to since", async () => {
  const base = world.files({ Dockerfile: "FROM base\nRUN echo base > /base\n" }, "base");
  const directory = world.files({ Dockerfile: "FROM app:1\nRUN cat /base > /made\nCOPY f /f\n", f: "f" });
  expect(await world.build(["-t", "app:1", base])).toMatchObject({ code: 0 });
  expect(await world.build(["-t", "next", directory])).toMatchObject({ code: 0 });
  const outputs = ["type=oci,compression=zstd", "type=docker"].flatMap((attributes, i) => {
    return ["-o", `${attributes},dest=${world.path(`${i}.tar`)}`];
  });
  expect(await world.build(["-t", "app:1", ...outputs, base])).toMatchObject({ code: 0 });
  const again = await world.build(["-t", "next", directory]);
  expect(again.stderr).toMatch(/RUN cat \/base > \/made\n#\d+ CACHED/);
  expect(again.stderr).toMatch(/COPY f \/f\n#\d+ CACHED/);
});
