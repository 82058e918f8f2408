import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, type TestContext, test } from "vitest";
import { buildAs, type Grant, needsUser, STRANGER_ID, startAs, USER_ID } from "./user.js";
import { eventually, imageOf, needs, owners, run, tracesOf, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const MAPPED = { grant: "subordinate ids" } as const;
const SINGLE = { grant: "no subordinate ids" } as const;
const EPOCH = { SOURCE_DATE_EPOCH: "1700000000" };

/** Owners, special bits, links, pipes (whose owner fuse-overlayfs can't change), deletions, users, an archive with devices: what an ordinary user can't make without help. */
const DOCKERFILE = `
FROM base
RUN echo a > /a && chown 33:44 /a && chmod 4755 /a && mkdir /d && chown 65534:65534 /d && chmod 2770 /d
COPY --chown=123:456 --chmod=6751 file /copied
COPY --chown=7:8 tree /tree
ADD --chown=9:10 tree/file /added
ADD devices.tar /devices/
USER app
WORKDIR /home/app/work
RUN touch mine && mkdir -p deep/er && ln -s mine link && mkfifo /tmp/pipe && id -u > id && echo more >> id
USER root
RUN cp -a /home/app/work /saved && rm /a && rm -r /d && mkdir /d && ln -s x /d/l && chown -h 5:6 /d/l && mv /tree /moved
RUN chown -R app:staff /home/app && ln /saved/mine /saved/hard && chown 77 /saved/hard
`;

function writeContext(world: World): string {
  const context = world.files({ Dockerfile: DOCKERFILE, file: "content\n", "tree/file": "inner\n", "tree/sub/x": "x" });
  fs.symlinkSync("file", path.join(context, "tree/link"));
  fs.writeFileSync(path.join(context, "devices.tar"), devices());
  return context;
}

/** An archive of two devices and a file of somebody's. */
function devices(): Buffer {
  const blocks = [
    tarHeader({ name: "null", type: "3", mode: 0o666, uid: 0, size: 0, device: [1, 3] }),
    tarHeader({ name: "disk", type: "4", mode: 0o660, uid: 6, size: 0, device: [8, 0] }),
    tarHeader({ name: "owned", type: "0", mode: 0o4711, uid: 1234, size: 0, device: [0, 0] }),
  ];
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

interface TarFile {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly size: number;
  readonly device: readonly [number, number];
}

function tarHeader({ name, type, mode, uid, size, device }: TarFile): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  block.write(name, 0, "latin1");
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(uid, 116, 8);
  octal(size, 124, 12);
  octal(1_500_000_000, 136, 12);
  block.write("        ", 148, "latin1");
  block.write(type, 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  octal(device[0], 329, 8);
  octal(device[1], 337, 8);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}

const outputTo = (dest: string) => ["-o", `type=oci,tar=false,rewrite-timestamp=true,dest=${dest}`];

/** The digest of the image that root builds. */
let wanted: string;

beforeAll(async () => {
  await using roots = new World();
  const built = await roots.build([...outputTo(roots.path("image")), writeContext(roots)], { env: EPOCH });
  expect(built).toMatchObject({ code: 0 });
  wanted = imageOf(roots.path("image")).digest;
});

const WAYS = [
  { name: "runc and overlay", env: {}, programs: [] },
  { name: "crun", env: { ASHLAR_RUNTIME: "crun" }, programs: ["crun"] },
  { name: "the sandbox", env: { ASHLAR_ISOLATION: "sandbox" }, programs: [] },
  { name: "fuse-overlayfs", env: { ASHLAR_SNAPSHOTTER: "fuse-overlayfs" }, programs: ["fuse-overlayfs"] },
  { name: "copied layers", env: { ASHLAR_SNAPSHOTTER: "native" }, programs: [] },
] as const;

for (const grant of ["subordinate ids", "no subordinate ids"] as const) {
  describe(`an ordinary user with ${grant}`, () => {
    test.for(WAYS)("builds the image that root builds, with $name", async ({ env, programs }, context) => {
      needsUser(context, grant);
      needs(context, ...programs);
      const dest = world.path("built");
      const built = await buildAs(world, [...outputTo(dest), writeContext(world)], {
        grant,
        env: { ...env, ...EPOCH },
      });
      expect(built).toMatchObject({ code: 0 });
      expect(imageOf(dest).digest).toBe(wanted);
      const info = await startAs(world, ["info"], { grant, env }).ended;
      expect(info.stdout).toMatch(`User namespace: ${grant === "subordinate ids" ? "65537 ids" : "one id"}`);
    });

    test("runs no step the second time, and keeps the state where users have theirs", async (context) => {
      needsUser(context, grant);
      const directory = writeContext(world);
      const env = { ASHLAR_ROOT: undefined };
      expect(await buildAs(world, ["-t", "app", directory], { grant, env })).toMatchObject({ code: 0 });
      const again = await buildAs(world, ["-t", "app", directory], { grant, env });
      expect(again.stderr).not.toMatch(/^#\d+ \d+\.\d+ /m);
      expect(again.stderr).toMatch(/RUN echo a .*\n#\d+ CACHED/);
      const home = world.path(`ground-${USER_ID}`, "home/.local/share/ashlar");
      expect(fs.statSync(home).mode & 0o777).toBe(0o700);
      const ran = await startAs(world, ["run", "app", "sh", "-c", "id -u; stat -c %u:%g /saved/hard"], { grant, env })
        .ended;
      expect(ran).toMatchObject({ code: 0, stdout: "0\n77:1000\n" });
    });

    test("kill -9 takes processes and mounts along, and the next command sweeps the rest", async (context) => {
      needsUser(context, grant);
      const marker = `31536000.${process.pid}${Math.floor(performance.now())}`;
      const directory = world.files({
        Dockerfile: `FROM base\nRUN (trap '' TERM INT; sleep ${marker}) & echo up-$((40 + 2)); sleep ${marker}\n`,
      });
      const running = startAs(world, world.buildWords([directory]), { grant });
      await running.says("up-42");
      const [owner = ""] = owners(world.root);
      expect(tracesOf(marker, world.root, owner).length).toBeGreaterThan(1);
      running.child.kill("SIGKILL");
      await running.ended;
      await eventually(() => {
        const left = tracesOf(marker, world.root, undefined);
        return left.length === 0 || left.join("\n");
      }, GONE_WITHIN_MS);
      expect(await startAs(world, ["images"], { grant }).ended).toMatchObject({ code: 0 });
      expect(owners(world.root)).toEqual([]);
      expect(fs.readdirSync(path.join(world.root, "run"))).toEqual([]);
    });

    test("Ctrl-C ends the build with 130 and leaves nothing", async (context) => {
      needsUser(context, grant);
      const marker = `31536000.${process.pid}${Math.floor(performance.now())}`;
      const directory = world.files({ Dockerfile: `FROM base\nRUN echo up-$((40 + 2)); sleep ${marker}\n` });
      const running = startAs(world, world.buildWords([directory]), { grant });
      await running.says("up-42");
      running.child.kill("SIGINT");
      expect(await running.ended).toMatchObject({ code: 130 });
      expect(tracesOf(marker, world.root, undefined)).toEqual([]);
      expect(owners(world.root)).toEqual([]);
    });

    test("takes a context from standard input, writes files as the user's, and frees what it took", async (context) => {
      needsUser(context, grant);
      const closed =
        "mkdir -m 700 /p; dd if=/dev/zero of=/p/x bs=1M count=2; mkdir /c/d; echo x > /c/d/x; chown -R 33 /p /c/d";
      const dockerfile = `FROM base AS made\nRUN --mount=type=cache,target=/c ${closed}\nCOPY . /in\nRUN chown 33 /in/a\nFROM scratch\nCOPY --from=made /in /\n`;
      const directory = world.files({ Dockerfile: dockerfile, a: "a", b: "b" });
      const tar = await run([
        "tar",
        "-C",
        directory,
        "--owner=nobody",
        "--mode=o-rwx",
        "-cf",
        world.path("c.tar"),
        ".",
      ]);
      expect(tar).toMatchObject({ code: 0 });
      const input = fs.readFileSync(world.path("c.tar"));
      const built = await buildAs(world, ["-o", world.path("out"), "-"], { grant, input });
      expect(built).toMatchObject({ code: 0 });
      for (const name of ["a", "b"]) expect(fs.statSync(world.path("out", name)).uid).toBe(USER_ID);
      const listed = await startAs(world, ["du", "--format=json"], { grant }).ended;
      const told = listed.stdout.split("\n").flatMap((line) => (line ? [Number(JSON.parse(line).Size)] : []));
      const [used] = execFileSync("du", ["-s", "-B1", world.root], { encoding: "utf8" }).split("\t");
      const total = told.reduce((sum: number, bytes) => sum + bytes, 0);
      expect(Math.abs(total - Number(used)) / Number(used)).toBeLessThan(0.02);
      expect(await startAs(world, ["prune", "--all", "--force"], { grant }).ended).toMatchObject({ code: 0 });
      expect(fs.readdirSync(path.join(world.root, "layers"))).toEqual(["empty"]);
      expect(fs.readdirSync(path.join(world.root, "tmp"))).toEqual([]);
    });
  });
}

/** How long after its end a build may have anything left on the machine. Milliseconds. */
const GONE_WITHIN_MS = 2000;

describe("steps of a user with one id", () => {
  const STEPS: readonly { readonly what: string; readonly script: string; readonly said: string }[] = [
    { what: "become other users", script: "su app -c 'id -u; id -G'; id -u", said: "1000 1000 50 0" },
    {
      what: "can't become root again",
      script: "su app -c 'setpriv 2>/dev/null; su -c id root </dev/null 2>&1 | tail -1 | cut -c1-2'",
      said: "su",
    },
    {
      what: "see the owners they gave",
      script: "touch /f; chown 5:6 /f; stat -c %u:%g /f; chown 7 /f; chgrp 8 /f; stat -c %u:%g /f",
      said: "5:6 7:8",
    },
    {
      what: "see the owners of links",
      script: "ln -s nowhere /l; chown -h 5:6 /l; touch -h -d @5 /l; stat -c %u:%g:%Y /l; mv /l /m; stat -c %u:%g /m",
      said: "5:6:5 5:6",
    },
    {
      what: "lose special bits with the owner",
      script: "touch /f; chmod 6755 /f; chown 5 /f; stat -c %a /f",
      said: "755",
    },
    {
      what: "make files in the group of their directory",
      script: "mkdir /g; chgrp 50 /g; chmod g+s /g; touch /g/f; mkdir /g/d; stat -c %u:%g:%a /g/f /g/d",
      said: "0:50:644 0:50:2755",
    },
    {
      what: "make devices that look like ones",
      script: "mknod /n c 1 3; mknod /b b 8 1; stat -c '%F %t %T' /n /b",
      said: "character special file 1 3 block special file 8 1",
    },
    {
      what: "are refused what only root may",
      script: "su app -c 'chown 0 /home/app; chown 50 /etc/passwd' 2>&1 | grep -c permitted",
      said: "2",
    },
    {
      what: "give their own files to their groups",
      script: "su app -c 'touch ~/f; chgrp staff ~/f; stat -c %U:%G ~/f'",
      said: "app:staff",
    },
    {
      what: "run programs as the owner of these",
      script:
        "sed -i 's/^root:[^:]*:/root::/' /etc/passwd; rm -f /etc/shadow; chmod 4755 /bin/busybox; su app -c 'id -u; su root -c \"id -u\"'",
      said: "1000 0",
    },
    {
      what: "get a file that they must be the first to make",
      script: "su app -c 'cd; set -C; : > new && (: > new) 2>/dev/null || echo no; stat -c %U new'",
      said: "no app",
    },
    {
      what: "are told of missing files as ever",
      script: "stat /none 2>&1 | grep -c 'No such'; chown 1 /none 2>&1 | grep -c 'No such'; : > /none/x",
      said: "1 1",
    },
  ];

  /** One build of all of them. */
  let sayings: Promise<World> | undefined;
  afterAll(async () => {
    await (await sayings)?.[Symbol.asyncDispose]();
  });

  async function buildAll(): Promise<World> {
    const world = new World();
    const stages = STEPS.map((_, n) => `FROM base AS s${n}\nRUN --mount=target=/mnt sh /mnt/${n} > /${n}; true\n`);
    const copies = STEPS.map((_, n) => `COPY --from=s${n} /${n} /\n`);
    const scripts = Object.fromEntries(STEPS.map(({ script }, n) => [String(n), script]));
    const Dockerfile = `${stages.join("")}FROM scratch\n${copies.join("")}`;
    const built = await buildAs(world, ["-o", world.path("out"), world.files({ Dockerfile, ...scripts })], SINGLE);
    expect(built).toMatchObject({ code: 0 });
    return world;
  }

  test.for(STEPS.map((step, n) => ({ ...step, n })))("$what", async ({ said, n }, context) => {
    needsUser(context, "no subordinate ids");
    sayings ??= buildAll();
    expect((await sayings).read("out", String(n)).trim().split(/\s+/).join(" ")).toBe(said);
  });

  test("run a hundred processes at once", async (context) => {
    needsUser(context, "no subordinate ids");
    const script =
      "for i in $(seq 100); do (touch /tmp/$i; chown $i:$i /tmp/$i; stat -c %u /tmp/$i) & done | sort -n | md5sum";
    const directory = world.files({ Dockerfile: `FROM base\nRUN test "$(${script})" = "$(seq 100 | md5sum)"\n` });
    expect(await buildAs(world, [directory], SINGLE)).toMatchObject({ code: 0 });
  });
});

describe("what is missing", () => {
  const built = async (context: TestContext, grant: Grant) => {
    needsUser(context, grant);
    return buildAs(world, ["--debug", world.files({ Dockerfile: "FROM base\nRUN true\n" })], { grant });
  };

  test("subordinate ids: the build says once what to edit", async (context) => {
    const { code, stderr } = await built(context, "no subordinate ids");
    expect({
      code,
      lines: stderr.match(/add a line like builder:100000:65536 to \/etc\/subuid and \/etc\/subgid/g),
    }).toEqual({ code: 0, lines: [expect.any(String)] });
  });

  test("an id that an owner has: the build names the owner and where to have more granted", async (context) => {
    needsUser(context, MAPPED.grant);
    const directory = world.files({ Dockerfile: "FROM base\nCOPY --chown=700000:5 Dockerfile /x\n" });
    const { code, stderr } = await buildAs(world, [directory], MAPPED);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("the owner 700000:5 of a file is beyond"),
    });
    expect(stderr).toContain("/etc/subuid");
  });

  test("newuidmap: the build says which package to install", async (context) => {
    const { code, stderr } = await built(context, "no newuidmap");
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining("apt-get install uidmap") });
  });

  test("user namespaces: the build is refused with the setting to change", async (context) => {
    needsUser(context, "no subordinate ids");
    const directory = world.files({ Dockerfile: "FROM base\nRUN true\n" });
    const { code, stderr } = await buildAs(world, [directory], { ...SINGLE, noNamespaces: true });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("sysctl user.max_user_namespaces=") });
  });
});

describe("a state directory", () => {
  const dockerfile = { Dockerfile: "FROM base\nRUN true\n" };

  test("of another user is refused, whoever asks", async (context) => {
    needsUser(context, "no subordinate ids");
    const directory = world.files(dockerfile);
    expect(await buildAs(world, [directory], SINGLE)).toMatchObject({ code: 0 });
    const asRoot = await world.build([directory]);
    expect({ code: asRoot.code, stderr: asRoot.stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`belongs to another user (uid ${USER_ID})`),
    });
    const stranger = await buildAs(world, [directory], { ...SINGLE, uid: STRANGER_ID });
    expect(stranger.code).toBe(1);
    expect(stranger.stderr).toMatch(/the state directory .* belongs to another user/);
  });

  test("made with other ids is refused with what to do", async (context) => {
    needsUser(context, "subordinate ids");
    const directory = world.files(dockerfile);
    expect(await buildAs(world, [directory], SINGLE)).toMatchObject({ code: 0 });
    const mapped = await buildAs(world, [directory], MAPPED);
    expect({ code: mapped.code, stderr: mapped.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/made with other user ids than are granted now[\s\S]*--root/),
    });
  });
});
