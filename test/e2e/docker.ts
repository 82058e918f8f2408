import fs from "node:fs";
import path from "node:path";
import type { TestContext } from "vitest";
import { eventually, type Running, run, startProgram, type World } from "./world.js";

export interface Docker extends AsyncDisposable {
  readonly host: string;
  readonly socket: string;
  run(...words: readonly string[]): ReturnType<typeof run>;
}

/** dockerd with a socket and a data root of its own; skips the test, with dockerd's last word, where the machine refuses it. */
export async function startDocker(context: TestContext, world: World): Promise<Docker> {
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
    socket: at("docker.sock"),
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
