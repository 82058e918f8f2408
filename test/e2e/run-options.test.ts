import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { type Ended, needs, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const succeeded = (ended: Ended): Ended => {
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return ended;
};

/** What runs steps, and how it is asked for. */
const ISOLATIONS = [
  { name: "runc", env: { ASHLAR_RUNTIME: "runc" }, program: "runc" },
  { name: "crun", env: { ASHLAR_RUNTIME: "crun" }, program: "crun" },
  { name: "the sandbox", env: { ASHLAR_ISOLATION: "sandbox" }, program: "sh" },
] as const;

/** Programs of this machine with the libraries they need, as a tree below DIRECTORY. */
function copyPrograms(directory: string, programs: readonly string[]): void {
  const files = programs.map((name) => execFileSync("which", [name], { encoding: "utf8" }).trim());
  const libraries = files.flatMap((file) => execFileSync("ldd", [file], { encoding: "utf8" }).match(/\/\S+/g) ?? []);
  for (const file of new Set([...files, ...libraries])) {
    if (file.endsWith(":")) continue;
    fs.mkdirSync(path.join(directory, path.dirname(file)), { recursive: true });
    fs.copyFileSync(fs.realpathSync(file), path.join(directory, file));
    fs.chmodSync(path.join(directory, file), 0o755);
  }
}

describe.each(ISOLATIONS)("with $name", ({ env, program }) => {
  test("steps have keys listed and sign by an agent of their own, several at once, and can change none", async (context) => {
    needs(context, program, "ssh-add", "ssh-keygen", "which", "ldd");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "of the test", "-f", world.path("key")]);
    const agent = `ssh-add -l && ssh-add -L > k.pub && echo text > m && ssh-keygen -q -Y sign -f k.pub -n test m && head -n 1 m.sig && ! ssh-add -D && ! ssh-add -x < /dev/null`;
    const directory = world.files({
      Dockerfile: [
        "FROM base AS tools",
        "COPY rootfs /",
        "WORKDIR /work",
        ...["one", "two", "three"].flatMap((name) => [
          `FROM tools AS ${name}`,
          `RUN --mount=type=ssh,id=deploy,required ${agent} && echo "at $SSH_AUTH_SOCK" && echo ${name} > done`,
        ]),
        "FROM tools AS owned",
        "USER 1000",
        'RUN --mount=type=ssh,id=deploy,uid=1000,gid=5,mode=0640,target=/x/sock stat -c "%F %u:%g %a" /x/sock && ssh-add -l',
        "FROM tools AS kept",
        "ENV SSH_AUTH_SOCK=/mine",
        "RUN --mount=type=ssh,id=deploy echo kept $SSH_AUTH_SOCK",
        "FROM tools",
        ...["one", "two", "three"].map((name) => `COPY --from=${name} /work/done /${name}`),
        "COPY --from=owned /work /owned",
        "COPY --from=kept /work /kept",
        "RUN ! test -e /run/buildkit && ! test -e /x",
      ].join("\n"),
    });
    copyPrograms(path.join(directory, "rootfs"), ["ssh-add", "ssh-keygen"]);
    const { stderr } = succeeded(await world.build(["--ssh", `deploy=${world.path("key")}`, directory], { env }));
    expect(stderr.match(/256 SHA256:\S+ of the test \(ED25519\)/g)).toHaveLength(4);
    expect(stderr.match(/BEGIN SSH SIGNATURE/g)).toHaveLength(3);
    expect(stderr.match(/at \/run\/buildkit\/ssh_agent\.0$/gm)).toHaveLength(3);
    expect(stderr).toMatch(/socket 1000:5 640$/m);
    expect(stderr).toMatch(/kept \/mine$/m);
    expect(fs.readdirSync(path.join(world.root, "tmp"))).toEqual([]);
    expect(fs.readFileSync(world.path("key"), "utf8")).toContain("PRIVATE KEY");
  });

  test("the environment of a step is the image's, whoever its user is", async (context) => {
    needs(context, program);
    const directory = world.files({
      Dockerfile: [
        "FROM base",
        "RUN echo root:x:0:0::/root:/bin/sh > /etc/passwd && echo app:x:1000:1000::/home/app:/bin/sh >> /etc/passwd && printf 'root:x:0:\\napp:x:1000:\\nmore:x:50:app\\n' > /etc/group",
        "ENV A=image B=image",
        'RUN --mount=type=secret,id=s,env=B echo "root $HOME $A $B $(umask) $(hostname) $(id -G) [$TERM] $(wc -c)"',
        "USER app",
        "WORKDIR /made/by/workdir",
        'RUN echo "app $HOME $(id -u):$(id -g) $(id -G) $PWD"',
        "USER 4242",
        'RUN echo "nobody $HOME $(id -G)"',
        "USER 1000:0",
        'RUN echo "both $HOME $(id -G)"',
      ].join("\n"),
    });
    const { stderr } = succeeded(
      await world.build(["--secret", "id=s,env=SECRET", directory], { env: { ...env, SECRET: "s3" } }),
    );
    expect(stderr).toMatch(/root \/root image s3 0022 buildkitsandbox 0 \[\] 0$/m);
    expect(stderr).toMatch(/app \/home\/app 1000:1000 (1000 50|50 1000) \/made\/by\/workdir$/m);
    expect(stderr).toMatch(/nobody \/ 0$/m);
    expect(stderr).toMatch(/both \/home\/app 0$/m);
  });

  test("a step may leave processes behind, close its outputs and kill all it can: it ends, and its layer is whole", async (context) => {
    needs(context, program);
    const directory = world.files({
      Dockerfile: [
        "FROM base",
        "RUN (sleep 1000 &) ; setsid sleep 1000 & echo background > /a",
        "RUN sh -c 'trap \"\" HUP TERM; exec sleep 1000' > /dev/null 2>&1 < /dev/null & echo quiet > /b",
        "RUN exec > /dev/null 2>&1; exec 1>&- 2>&-; echo closed > /c",
        "RUN kill -9 -1; echo survived > /d",
        "RUN kill -9 $PPID; kill -9 1; echo alive > /e",
        "RUN cat /a /b /c /d /e",
      ].join("\n"),
    });
    const { stderr } = succeeded(await world.build([directory], { env }));
    for (const word of ["background", "quiet", "closed", "survived", "alive"])
      expect(stderr).toMatch(new RegExp(`${word}$`, "m"));
  });
});

test("an agent that is not lent is missed by who requires it, and only by them", async () => {
  const directory = world.files({ Dockerfile: "FROM base\nRUN --mount=type=ssh,required true\n" });
  const ended = await world.build([directory]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('no SSH key "default" forwarded from the client');
  expect(ended.stderr).toContain("--ssh default");
  const optional = world.files(
    { Dockerfile: "FROM base\nRUN --mount=type=ssh ! test -e $SSH_AUTH_SOCK\n" },
    "optional",
  );
  succeeded(await world.build([optional]));
});

/** Every file below DIRECTORY that holds TEXT. */
function holding(directory: string, text: string): string[] {
  const names = fs.readdirSync(directory, { recursive: true, encoding: "utf8" });
  return names.filter((name) => {
    const file = path.join(directory, name);
    return fs.lstatSync(file).isFile() && fs.readFileSync(file).includes(text);
  });
}

test("a secret is in no byte that a build leaves: state, image, files, logs, metadata", async () => {
  const secret = `canary-${randomBytes(16).toString("hex")}`;
  fs.writeFileSync(world.path("secret"), secret);
  const length = secret.length;
  const directory = world.files({
    Dockerfile: [
      "FROM base AS one",
      `RUN --mount=type=secret,id=file,required test $(wc -c < /run/secrets/file) = ${length}`,
      `RUN --mount=type=secret,id=file,target=/deep/er/secret,mode=0444 --mount=type=cache,target=/cache test $(wc -c < /deep/er/secret) = ${length} && echo ok > /cache/ok`,
      `RUN --mount=type=secret,id=value,env=VALUE --mount=type=tmpfs,target=/t echo "$VALUE" > /t/copy && test \${#VALUE} = ${length}`,
      "FROM one",
      `RUN --mount=type=secret,id=file,env=VALUE test \${#VALUE} = ${length} && exit 7`,
    ].join("\n"),
  });
  const words = ["--secret", `id=file,src=${world.path("secret")}`, "--secret", "id=value,env=VALUE"];
  const targets = [
    "tar,dest=out.tar",
    "local,dest=files",
    "oci,dest=oci.tar",
    "docker,dest=docker.tar",
    "oci,tar=false,dest=layout",
  ];
  const compression = ",compression=uncompressed,force-compression=true";
  const said = targets.map((each) => `type=${each.replace("dest=", `dest=${world.path("outputs")}/`)}`);
  const outputs = [
    ...said.flatMap((each) => ["-o", /oci|docker/.test(each) ? each + compression : each]),
    ...["--metadata-file", world.path("outputs/metadata.json"), "--provenance=mode=max"],
  ];
  fs.mkdirSync(world.path("outputs"));
  const env = { VALUE: secret };
  const built = succeeded(await world.build([...words, ...outputs, "--target", "one", directory], { env }));
  const stored = succeeded(await world.build([...words, "-t", "x", "--target", "one", directory], { env }));
  const failed = await world.build([...words, "--progress=rawjson", "-D", directory], { env });
  expect(failed.stderr).toContain("exit code: 7");
  for (const { stdout, stderr } of [built, stored, failed]) expect(stdout + stderr).not.toContain(secret);
  expect(holding(world.root, secret)).toEqual([]);
  expect(holding(world.path("outputs"), secret)).toEqual([]);
  // What a step was asked to do is in it, so that it is the one to look through.
  expect(holding(world.path("outputs"), "/deep/er/secret").length).toBeGreaterThan(3);
  const debugged = await world.ashlar(["debug", "dump-llb", "--build-context", `base=${world.dir}`, directory], {
    env,
  });
  expect(debugged.stdout + debugged.stderr).not.toContain(secret);
  // Another value changes no key: nothing of it is in any.
  fs.writeFileSync(world.path("secret"), secret.replace("canary", "parrot"));
  const again = succeeded(await world.build([...words, "--target", "one", directory], { env }));
  expect(again.stderr.match(/CACHED$/gm)?.length).toBeGreaterThanOrEqual(3);
});

test("a secret that a killed build had in its environment is gone with the next one", async () => {
  const secret = `canary-${randomBytes(16).toString("hex")}`;
  const directory = world.files({
    Dockerfile: "FROM base\nRUN --mount=type=secret,id=v,env=V echo started; sleep 1000\n",
  });
  const running = world.start(world.buildWords(["--secret", "id=v,env=VALUE", directory]), { env: { VALUE: secret } });
  await running.says("started");
  running.child.kill("SIGKILL");
  await running.ended;
  await pause(100);
  succeeded(await world.ashlar(["images"]));
  expect(holding(world.root, secret)).toEqual([]);
});

test("a failed step shows its last lines and says where all of them are, whatever the progress", async () => {
  const directory = world.files({
    Dockerfile: "FROM base\nRUN i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo line $i; done; exit 4\n",
  });
  for (const mode of ["plain", "quiet", "rawjson"]) {
    const { stderr, code } = await world.build([`--progress=${mode}`, directory]);
    expect(code).toBe(1);
    const [log = ""] = /\/\S+\/logs\/[0-9a-f-]+\.log/.exec(stderr) ?? [];
    expect(fs.readFileSync(log, "utf8").split("\n")).toHaveLength(501);
  }
  const short = world.files({ Dockerfile: "FROM base\nRUN echo line; exit 4\n" }, "short");
  expect((await world.build([short])).stderr).not.toContain(".log");
  expect(fs.readdirSync(path.join(world.root, "logs"))).toHaveLength(4);
  succeeded(await world.ashlar(["prune", "-f"]));
  expect(fs.readdirSync(path.join(world.root, "logs"))).toEqual([]);
});

test("a flood of output neither fills the memory nor is cut", async () => {
  const megabytes = 200;
  const directory = world.files({ Dockerfile: `FROM base\nRUN head -c ${megabytes}m /dev/zero\n` });
  const running = world.start(world.buildWords(["-q", directory]));
  let peakKib = 0;
  const watch = setInterval(() => {
    const status =
      fs.existsSync(`/proc/${running.child.pid}/status`) &&
      fs.readFileSync(`/proc/${running.child.pid}/status`, "utf8");
    peakKib = Math.max(peakKib, Number(/^VmHWM:\s+(\d+) kB/m.exec(status || "")?.[1] ?? 0));
  }, 50);
  succeeded(await running.ended);
  clearInterval(watch);
  expect(peakKib).toBeGreaterThan(0);
  expect(peakKib).toBeLessThan(400 * 1024);
  const [log = ""] = fs.readdirSync(path.join(world.root, "logs"));
  expect(fs.statSync(path.join(world.root, "logs", log)).size).toBe(megabytes << 20);
});

test("devices are given to steps that name them, if the caller allows it", async (context) => {
  needs(context, "runc");
  const cdi = {
    cdiVersion: "0.6.0",
    kind: "test.org/zero",
    devices: [
      {
        name: "one",
        containerEdits: {
          env: ["ZERO=/dev/my-zero"],
          deviceNodes: [{ path: "/dev/my-zero", hostPath: "/dev/zero" }],
          mounts: [{ hostPath: world.dir, containerPath: "/opt/driver", options: ["ro", "rbind"] }],
        },
      },
    ],
  };
  world.files({ "zero.json": JSON.stringify(cdi) }, "cdi");
  const directory = world.files({
    Dockerfile: [
      "# syntax=docker/dockerfile:1-labs",
      "FROM base",
      "RUN --device=test.org/zero=one,required head -c 4 $ZERO | wc -c && ls /opt/driver && ! touch /opt/driver/x",
      "RUN --device=test.org/none test -z $ZERO && ! test -e /opt",
    ].join("\n"),
  });
  const env = { ASHLAR_CDI_DIRS: world.path("cdi") };
  const denied = await world.build([directory], { env });
  expect(denied.stderr).toContain("device test.org/zero=one is requested by the build but not allowed");
  succeeded(await world.build(["--allow", "device=test.org/zero=one", directory], { env }));
  expect((await world.build([directory], { env })).code).toBe(1); // what is in the cache, too
  const elsewhere = await world.build(["--allow", "device", directory], {
    env: { ASHLAR_CDI_DIRS: world.path("none") },
  });
  expect(elsewhere.stderr).toContain('required device "test.org/zero=one" is not registered');
});

test("memory and CPU of steps are bounded, and bounds are no part of the cache", async (context) => {
  needs(context, "runc");
  const read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2> /dev/null; true";
  const directory = world.files({
    Dockerfile: `FROM base\nRUN ${read}\nRUN grep Cpus_allowed_list /proc/self/status\n`,
  });
  const bounded = succeeded(await world.build(["--resource", "memory=64m", "--cpuset-cpus", "0", directory]));
  expect(bounded.stderr).toMatch(/ 67108864$/m);
  expect(bounded.stderr).toMatch(/Cpus_allowed_list:\s+0$/m);
  expect(succeeded(await world.build(["-m", "32m", directory])).stderr.match(/CACHED$/gm)).toHaveLength(3);
  const sandbox = await world.build(["--resource", "memory=64m", "--no-cache", "--isolation=sandbox", directory]);
  expect(sandbox.stderr).toContain("memory and CPU of steps cannot be bounded");
});
