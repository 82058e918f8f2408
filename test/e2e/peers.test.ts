import { beforeEach, expect, test } from "vitest";
import { startDocker } from "./docker.js";
import { needsPeer, run, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

/** A docker archive of an image that prints `made`. */
async function archive(): Promise<string> {
  const context = world.files({ Dockerfile: 'FROM base\nRUN echo made > /made\nUSER app\nCMD ["cat", "/made"]\n' });
  const file = world.path("image.tar");
  expect(await world.build(["-t", "ashlar-made", "-o", `type=docker,dest=${file}`, context])).toMatchObject({
    code: 0,
  });
  return file;
}

test("podman loads the image and knows its config", async (context) => {
  needsPeer(context, "podman");
  const file = await archive();
  const podman = [
    "podman",
    "--root",
    world.path("podman"),
    "--runroot",
    world.path("podman-run"),
    "--storage-driver=vfs",
  ];
  const loaded = await run([...podman, "load", "-i", file]);
  if (loaded.code !== 0) expect(loaded.stderr).toBe("");
  const inspected = await run([...podman, "image", "inspect", "ashlar-made"]);
  expect(inspected).toMatchObject({ code: 0 });
  expect(JSON.parse(inspected.stdout)[0].Config).toMatchObject({ User: "app", Cmd: ["cat", "/made"] });
});

test("dockerd loads the image and runs it", async (context) => {
  needsPeer(context, "dockerd");
  const file = await archive();
  await using docker = await startDocker(context, world);
  expect(await docker.run("load", "-i", file)).toMatchObject({ code: 0 });
  const ran = await docker.run("run", "--rm", "--network=none", "ashlar-made");
  if (ran.code === 125) context.skip(`dockerd can't run containers here: ${ran.stderr.trim()}`);
  expect(ran).toMatchObject({ code: 0, stdout: "made\n" });
});

test("--load puts the image into docker", async (context) => {
  needsPeer(context, "dockerd");
  await using docker = await startDocker(context, world);
  const directory = world.files({ Dockerfile: "FROM base\nRUN echo made > /made\n" });
  const env = { DOCKER_HOST: docker.host };
  expect(await world.build(["--load", "-t", "ashlar-loaded", directory], { env })).toMatchObject({ code: 0 });
  const listed = await docker.run("image", "ls", "-q", "ashlar-loaded");
  expect(listed.stdout).toMatch(/^[0-9a-f]{12}$/m);
});
