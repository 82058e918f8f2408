import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../src/store/sqlite.js";
import { type Ended, World } from "./world.js";

/** A state directory with two images, one built on the other, that nothing has happened to yet. */
let sound: World;
let world: World;

beforeAll(async () => {
  sound = new World();
  succeeded(await sound.build(["-t", "mine", contextOf(sound, "mine")]));
  succeeded(await sound.build(["-t", "app", contextOf(sound, "app")]));
});

afterAll(() => sound[Symbol.asyncDispose]());

beforeEach(() => {
  world = new World();
  execFileSync("cp", ["-a", sound.root, world.root]);
  return () => world[Symbol.asyncDispose]();
});

/** Of the image `mine`, or of `app`, which stands on that and has a stage and a cache mount. */
function contextOf(at: World, name: "mine" | "app"): string {
  const dockerfiles = {
    mine: "FROM base\nRUN echo one > /one\n",
    app: [
      "FROM mine AS stage",
      "RUN --mount=type=cache,target=/c echo more >> /c/log; echo two > /two",
      "FROM mine",
      "COPY --from=stage /two /two",
      "RUN cat /one /two > /three",
      "",
    ].join("\n"),
  };
  return at.files({ Dockerfile: dockerfiles[name] }, name);
}

function succeeded(ended: Ended): Ended {
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return ended;
}

const build = (name: "mine" | "app") => world.build(["-t", name, contextOf(world, name)]);
const prune = async (...words: readonly string[]) => succeeded(await world.ashlar(["prune", "-f", ...words]));
const isInOrder = async () => expect(await world.ashlar(["prune", "--check"])).toMatchObject({ code: 0 });

/** What `prune --check` finds, of which there is something. */
async function faults(): Promise<string> {
  const { code, stdout } = await world.ashlar(["prune", "--check"]);
  expect(code).toBe(1);
  return stdout;
}

/** That a build of `app` makes what its Dockerfile says. */
async function appIsRight(): Promise<void> {
  succeeded(await world.build(["-o", world.path("out"), contextOf(world, "app")]));
  expect(world.read("out", "three")).toBe("one\ntwo\n");
}

function rows(sql: string): readonly Readonly<Record<string, unknown>>[] {
  const database = connect(path.join(world.root, "ashlar.db"));
  try {
    return database.prepare(sql).all() as Readonly<Record<string, unknown>>[];
  } finally {
    database.close();
  }
}

/** The directory of the newest layer of a step whose name ends so. */
function layerOf(ending: string): string {
  const [row] = rows(
    `SELECT json_extract(results, '$[0][#-1]') AS layer FROM record WHERE description LIKE '%${ending}'`,
  );
  return path.join(world.root, "layers", String(row?.layer), "fs");
}

const blobFile = (digest: string) => path.join(world.root, "blobs", ...digest.split(":"));

/** The files of the manifest and the config of an image. */
function documentsOf(name: string): { readonly manifest: string; readonly config: string } {
  const [row] = rows(`SELECT target FROM images WHERE name LIKE '%/${name}:latest'`);
  const manifest = blobFile(JSON.parse(String(row?.target)).digest);
  return { manifest, config: blobFile(JSON.parse(fs.readFileSync(manifest, "utf8")).config.digest) };
}

/** Changes a byte and nothing else. */
function flip(file: string): void {
  const bytes = fs.readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  fs.writeFileSync(file, bytes);
}

test("a database that is lost, or older than the layers, gives no number twice", async () => {
  for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(path.join(world.root, `ashlar.db${suffix}`), { force: true });
  expect(await faults()).toMatch(/^unreferenced layer: the directory 1$/m);
  succeeded(await build("mine"));
  succeeded(await build("app"));
  await appIsRight();
  await prune();
  await isInOrder();
});

test("a damaged database is told, and prune --all puts a new one in its place", async () => {
  for (const suffix of ["-wal", "-shm"]) fs.rmSync(path.join(world.root, `ashlar.db${suffix}`), { force: true });
  fs.writeFileSync(path.join(world.root, "ashlar.db"), "garbage ".repeat(1000));
  expect(await build("mine")).toMatchObject({ code: 1, stderr: expect.stringContaining("ashlar prune --all") });
  expect(await world.ashlar(["prune", "-f"])).toMatchObject({ code: 1 });
  const said = await faults();
  expect(said).toMatch(/^damaged database: .*\n`ashlar prune --all` puts a new database in its place/);
  expect((await prune("--all")).stderr).toContain("A new one is in its place");
  await isInOrder();
  expect(fs.readdirSync(path.join(world.root, "layers"))).toEqual(["empty"]);
  succeeded(await build("mine"));
});

test("steps and cache mounts that have lost their files are made again, and prune forgets them", async () => {
  const [mount] = rows("SELECT layer FROM cache_mount");
  const lost = [layerOf("RUN cat /one /two > /three"), layerOf("echo two > /two")];
  for (const directory of lost) fs.rmSync(path.dirname(directory), { recursive: true });
  fs.rmSync(path.join(world.root, "layers", String(mount?.layer)), { recursive: true });
  const said = await faults();
  expect(said).toMatch(/^lost layer: layer \d+ \(.*RUN cat .*\) has no files$/m);
  expect(said).toMatch(/^lost layer: cache mount \/c: layer \d+ is gone$/m);
  expect(said).toMatch(/^damaged image: app:latest: its layer \d+ /m);
  expect(said).toMatch(/^Build or pull the damaged images again.*$/m);
  expect(await world.ashlar(["save", "-o", world.path("app.tar"), "app"])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/the image app:latest is damaged: .*\nbuild or pull it again/),
  });
  succeeded(await world.ashlar(["cache", "mounts", "ls"]));
  await prune();
  succeeded(await build("app"));
  await appIsRight();
  await prune();
  await isInOrder();
});

test("an image that has lost the files of a layer is named to who builds on it, until it is built again", async () => {
  fs.rmSync(path.dirname(layerOf("RUN echo one > /one")), { recursive: true });
  fs.rmSync(path.dirname(layerOf("RUN cat /one /two > /three")), { recursive: true });
  const failed = await build("app");
  expect(failed).toMatchObject({ code: 1 });
  expect(failed.stderr).toMatch(/ERROR: .*the image mine:latest is damaged: .*\nbuild or pull mine:latest again/);
  succeeded(await build("mine"));
  succeeded(await build("app"));
  await appIsRight();
  await prune();
  await isInOrder();
});

test("damaged documents of an image stand in nobody's way, stay where they are looked at, and are written anew", async () => {
  const app = documentsOf("app");
  const before = fs.readFileSync(app.config);
  fs.truncateSync(documentsOf("mine").manifest, 0);
  flip(app.config);
  succeeded(await world.ashlar(["images"]));
  await prune();
  const said = await faults();
  expect(said).toMatch(/^damaged image: mine:latest: sha256:[0-9a-f]{64} holds something else$/m);
  expect(said).toMatch(/^damaged image: app:latest: sha256:[0-9a-f]{64} holds something else$/m);
  succeeded(await build("mine"));
  succeeded(await build("app"));
  expect(fs.readFileSync(app.config)).toEqual(before);
  flip(app.config);
  succeeded(await build("app"));
  expect(fs.readFileSync(app.config)).toEqual(before);
  succeeded(await world.ashlar(["save", "-o", world.path("app.tar"), "app"]));
});

test("a layer that was emptied, or holds something else, is made again", async () => {
  const emptied = layerOf("echo two > /two");
  for (const name of fs.readdirSync(emptied)) fs.rmSync(path.join(emptied, name), { recursive: true });
  fs.rmSync(path.dirname(layerOf("COPY --from=stage /two /two")), { recursive: true });
  await appIsRight();

  fs.rmSync(world.path("out"), { recursive: true });
  succeeded(await build("app"));
  flip(path.join(layerOf("RUN cat /one /two > /three"), "three"));
  const said = await faults();
  expect(said).toMatch(/^damaged layer: layer \d+ \(.*RUN cat .*\) has files with other contents than they had$/m);
  succeeded(await build("app"));
  await appIsRight();
  await prune();
  await isInOrder();
});

test("a plain file where directories are expected is in nobody's way", async () => {
  fs.writeFileSync(path.join(world.root, "ingest", "plain"), "x");
  fs.writeFileSync(path.join(world.root, "owners", "1-dead"), "");
  succeeded(await build("app"));
  await prune();
  await isInOrder();
});
