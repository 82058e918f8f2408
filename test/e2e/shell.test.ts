import { beforeEach, describe, expect, test } from "vitest";
import { type Sitting, sitAt } from "./terminal.js";
import { type Grant, needsUser, startAs } from "./user.js";
import { BASE_LAYOUT, type Ended, eventually, needs, owners, type RunOptions, tracesOf, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const BASE = ["--build-context", `base=oci-layout://${BASE_LAYOUT}:latest`];

/** A step with some mounts, which fails after it has changed things. */
const FAILING = `
FROM base
ENV KNOWN=env
ARG GIVEN=arg
WORKDIR /home/app
USER app
RUN --mount=type=cache,target=/cache,uid=1000,sharing=locked --mount=type=secret,id=s,uid=1000 --mount=type=tmpfs,target=/t \\
  echo partial > /tmp/left; echo warm > /cache/c; echo x > /t/x; exit 3
`;
/** The answer is not in what is typed. */
const LOOK = `echo "[$( (cat /tmp/left /cache/c /run/secrets/s /t/x; grep -c " /t " /proc/mounts) | tr '\\n' ' ')] $KNOWN $GIVEN $(id -u) $PWD" $((40+2))\r`;
const SEEN = "[partial warm hush x 1 ] env arg 1000 /home/app 42";
const OPEN = "cache mounts is kept";

function failingBuild(dockerfile = FAILING): readonly string[] {
  const context = world.files({ Dockerfile: dockerfile, secret: "hush\n" });
  return ["build", "--on-error=shell", ...BASE, "--secret", `id=s,src=${context}/secret`, context];
}

function sit(words: readonly string[], env: RunOptions["env"] = {}): Sitting {
  return sitAt(world, (options) => world.start(words, { ...options, env: { ...options.env, ...env } }));
}

/** Looks around, gives Ctrl-C to a program in the foreground, and leaves. */
async function lookAround(terminal: Sitting): Promise<Ended> {
  await terminal.shows(OPEN);
  terminal.type(LOOK);
  await terminal.shows(SEEN);
  terminal.type("sh -c 'echo now $((1+1)); exec sleep 1000'\r");
  await terminal.shows("now 2");
  terminal.type("\x03");
  terminal.type("echo still $((1+1)); stty size\r");
  await terminal.shows("still 2");
  await terminal.shows("40 120");
  terminal.type("exit 9\r");
  return await terminal.ended;
}

describe("a shell where a step has failed", () => {
  for (const how of ["runc", "crun", "sandbox"]) {
    test(`finds all as the step left it, and the build fails as it would have (${how})`, async (context) => {
      needs(context, "script", ...(how === "sandbox" ? [] : [how]));
      const env = how === "sandbox" ? { ASHLAR_ISOLATION: how } : { ASHLAR_RUNTIME: how };
      const { code, stdout } = await lookAround(sit(failingBuild(), env));
      expect(code).toBe(1);
      expect(stdout).toContain("Dockerfile:7");
      expect(stdout.slice(stdout.indexOf("exit 9"))).toContain("did not complete successfully: exit code: 3");
      expect(tracesOf(world.dir, world.root, undefined)).toEqual([]);
    });
  }

  for (const grant of ["subordinate ids", "no subordinate ids"] as const satisfies readonly Grant[]) {
    test(`is opened by ordinary users, too, with ${grant}`, async (context) => {
      needs(context, "script");
      needsUser(context, grant);
      const words = failingBuild();
      const { code, stdout } = await lookAround(
        sitAt(world, (options) => startAs(world, words, { ...options, grant })),
      );
      expect(code).toBe(1);
      expect(stdout).toContain("did not complete successfully: exit code: 3");
    });
  }

  test("keeps nothing, and lets other steps and other failures wait", async (context) => {
    needs(context, "script", "runc");
    const dockerfile = `
FROM base AS first
RUN echo one > /one; exit 3
FROM base AS second
RUN while ! test -e /run/never; do sleep 0.2; test $((n=n+1)) -lt 8 || exit 4; done
FROM base
COPY --from=first /one /
COPY --from=second / /
`;
    const terminal = sit(failingBuild(dockerfile), { BUILDKIT_PROGRESS: "plain" });
    await terminal.shows(OPEN);
    terminal.type("echo here; sleep 3; echo two $((1+1)) > /one\r");
    terminal.type("cat /one; exit\r");
    await terminal.shows("two 2");
    const { code, stdout } = await terminal.ended;
    expect(code).toBe(1);
    expect(stdout.split(OPEN)).toHaveLength(2);
    expect(stdout).toContain('ERROR: process "/bin/sh -c echo one > /one; exit 3"');
    // What the other one said while the terminal was somebody else's comes when it is ours again.
    expect(stdout.search(/\[second \d\/\d\] RUN/)).toBeGreaterThan(0);
  });

  test("ends with the build, whatever ends that", async (context) => {
    needs(context, "script", "runc");
    const stopped = sit(failingBuild());
    await stopped.shows(OPEN);
    stopped.type("sleep 1000\r");
    await stopped.shows("sleep 1000");
    process.kill(stopped.pid(), "SIGTERM");
    const { code, stdout } = await stopped.ended;
    expect({ code, stdout }).toMatchObject({ code: 143, stdout: expect.stringContaining("canceled by SIGTERM") });
    expect(tracesOf(world.dir, world.root, undefined)).toEqual([]);

    const killed = sit(failingBuild());
    await killed.shows(OPEN);
    const [owner] = owners(world.root);
    process.kill(killed.pid(), "SIGKILL");
    await killed.ended;
    await eventually(() => tracesOf(world.root, world.root, undefined).join("\n") || true, 5000);
    expect(owner).toBeDefined();
  });

  test("is told of in one sentence where there is none", async (context) => {
    needs(context, "script", "runc");
    const terminal = sit(failingBuild('FROM base\nRUN ["/bin/rm", "-r", "/bin", "/nowhere"]\n'));
    const { code, stdout } = await terminal.ended;
    expect(code).toBe(1);
    expect(stdout).toContain("No shell: there is no shell in the container: neither /bin/bash nor /bin/sh");
  });
});

describe("ashlar shell", () => {
  const DOCKERFILE = `
FROM base AS tools
ENV KNOWN=env
WORKDIR /work
RUN --mount=type=cache,target=/cache echo one > one && echo c > /cache/c
USER app
RUN echo two > /tmp/two
FROM tools
RUN exit 3
`;

  async function at(step: string, command: string, flags: readonly string[] = []) {
    const words = ["shell", ...BASE, ...flags, step, world.path("context"), "--", "sh", "-c", command];
    const { code, stdout, stderr } = await world.ashlar(words);
    return { code, text: stdout || stderr };
  }

  test("runs at any cached step, with what a RUN there would have", async (context) => {
    needs(context, "runc");
    const directory = world.files({ Dockerfile: DOCKERFILE });
    expect((await world.build([directory])).code).toBe(1);

    const look = "id -u; pwd; echo $KNOWN; ls /work /tmp";
    const after = "1000\n/work\nenv\n/tmp:\ntwo\n\n/work:\none\n";
    expect(await at("tools", look)).toEqual({ code: 0, text: after });
    expect(await at("tools:2", look)).toEqual({ code: 0, text: "0\n/work\nenv\n/tmp:\n\n/work:\none\n" });
    expect(await at("Dockerfile:4", look)).toEqual({ code: 0, text: "0\n/work\nenv\n/tmp:\n\n/work:\n" });
    expect(await at("1:1", look, ["--before"])).toEqual({ code: 0, text: after });
    expect(await at("Dockerfile:5", "cat /cache/c; ls", ["--before"])).toEqual({ code: 0, text: "c\n" });
    expect(await at("tools", "id -u; exit 7", ["-u", "0"])).toEqual({ code: 7, text: "0\n" });
  });

  test("runs no step to get there, and keeps nothing", async (context) => {
    needs(context, "runc");
    const directory = world.files({ Dockerfile: DOCKERFILE });
    expect((await world.build(["--target", "tools", "-t", "tools", directory])).code).toBe(0);
    const missing = await at("stage-1", "true");
    expect(missing).toEqual({
      code: 125,
      text: expect.stringContaining("[stage-1 1/2] RUN exit 3 is not in the cache"),
    });

    expect(await at("tools", "rm /tmp/two; ls /tmp")).toEqual({ code: 0, text: "" });
    expect(await at("tools", "ls /tmp")).toEqual({ code: 0, text: "two\n" });
    const inImage = async (command: string) =>
      (await world.ashlar(["shell", "-e", "A=1", "tools", "--", "sh", "-c", command])).stdout;
    expect(await inImage("rm /tmp/two; id -u; pwd; echo $A$KNOWN")).toBe("1000\n/work\n1env\n");
    expect(await inImage("ls /tmp")).toBe("two\n");
    expect(tracesOf(world.root, world.root, undefined)).toEqual([]);
  });

  test("is a shell where nothing else is asked for", async (context) => {
    needs(context, "script", "runc");
    const directory = world.files({ Dockerfile: DOCKERFILE });
    expect((await world.build(["--target", "tools", directory])).code).toBe(0);
    const terminal = sit(["shell", ...BASE, "tools", directory]);
    await terminal.shows("$ ");
    terminal.type("tty; echo $TERM $((1+1)); exit 4\r");
    await terminal.shows("/dev/pts/0");
    await terminal.shows("xterm 2");
    expect((await terminal.ended).code).toBe(4);
  });
});
