import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, type TestContext, test } from "vitest";
import { eventually, needsPeer, type Running, run, startProgram, World } from "./world.js";

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
  await using docker = await startDocker(context);
  expect(await docker.run("load", "-i", file)).toMatchObject({ code: 0 });
  const ran = await docker.run("run", "--rm", "--network=none", "ashlar-made");
  if (ran.code === 125) context.skip(`dockerd can't run containers here: ${ran.stderr.trim()}`);
  expect(ran).toMatchObject({ code: 0, stdout: "made\n" });
});

test("--load puts the image into docker", async (context) => {
  needsPeer(context, "dockerd");
  await using docker = await startDocker(context);
  const directory = world.files({ Dockerfile: "FROM base\nRUN echo made > /made\n" });
  const env = { DOCKER_HOST: docker.host };
  expect(await world.build(["--load", "-t", "ashlar-loaded", directory], { env })).toMatchObject({ code: 0 });
  const listed = await docker.run("image", "ls", "-q", "ashlar-loaded");
  expect(listed.stdout).toMatch(/^[0-9a-f]{12}$/m);
});

interface Docker extends AsyncDisposable {
  readonly host: string;
  run(...words: readonly string[]): ReturnType<typeof run>;
}

/** dockerd with a socket and a data root of its own; skips the test, with dockerd's last word, where the machine refuses it. */
async function startDocker(context: TestContext): Promise<Docker> {
  const at = (name: string) => world.path("docker", name);
  fs.mkdirSync(at("run"), { recursive: true });
  const host = `unix://${at("docker.sock")}`;
  const daemon = startProgram(
    [
      "dockerd",
      `--host=${host}`,
      `--data-root=${at("data")}`,
      `--exec-root=${at("run")}`,
      `--pidfile=${at("pid")}`,
      "--iptables=false",
      "--ip6tables=false",
      "--bridge=none",
      "--storage-driver=vfs",
    ],
    { timeoutMs: 120_000 },
  );
  const docker = (...words: readonly string[]) => run(["docker", "--host", host, ...words]);
  if (!(await isUp(daemon, at("docker.sock")))) {
    daemon.child.kill("SIGKILL");
    await daemon.ended;
    context.skip(`dockerd does not start here: ${daemon.said().trim().split("\n").at(-1)}`);
  }
  return {
    host,
    run: docker,
    async [Symbol.asyncDispose]() {
      daemon.child.kill("SIGTERM");
      await daemon.ended;
      for (const mount of mountsBelow(path.join(world.dir, "docker"))) await run(["umount", "-l", mount]);
    },
  };
}

async function isUp(daemon: Running, socket: string): Promise<boolean> {
  let over = false;
  daemon.ended.finally(() => {
    over = true;
  });
  try {
    await eventually(() => over || (fs.existsSync(socket) && daemon.said().includes("API listen on")), 40_000);
  } catch {
    return false;
  }
  return !over;
}

function mountsBelow(directory: string): readonly string[] {
  const lines = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.map((line) => line.split(" ")[4] ?? "").filter((mount) => mount.startsWith(`${directory}/`));
}
