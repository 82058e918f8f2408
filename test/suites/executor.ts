import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Executor, readCgroups, type StepProcess } from "../../src/executor/index.js";
import { type Ground, makeGround, type Ran, removeGround, run, shell } from "../executor/ground.js";

/** What every executor promises. CREATE makes one on a ground; `cgroups`: whether device access is a matter of cgroups. */
export function executorSuite(
  name: string,
  create: (ground: Ground) => Executor,
  traits: { readonly cgroups: boolean },
): void {
  describe(name, () => {
    let ground: Ground;
    let executor: Executor;
    beforeAll(() => {
      ground = makeGround();
      executor = create(ground);
    });
    afterAll(() => removeGround(ground));

    const step = (process: StepProcess): Promise<Ran> => run(executor, process, ground.rootfs);
    const script = (text: string, changes?: Partial<StepProcess>) => step(shell(text, changes));
    const out = async (text: string, changes?: Partial<StepProcess>) => {
      const { exit, stdout, stderr } = await script(text, changes);
      expect({ exit, stderr }).toEqual({ exit: { kind: "exited", code: 0 }, stderr: "" });
      return stdout;
    };
    const put = (file: string, content: string, mode: number) => {
      fs.mkdirSync(path.dirname(path.join(ground.rootfs, file)), { recursive: true });
      fs.writeFileSync(path.join(ground.rootfs, file), content);
      fs.chmodSync(path.join(ground.rootfs, file), mode);
    };

    describe("output and exit codes", () => {
      it("hands over both outputs as bytes", async () => {
        const ran = await script("printf '\\377\\376\\000x'; printf 'err\\n' >&2");
        expect(ran).toEqual({ exit: { kind: "exited", code: 0 }, stdout: "\xff\xfe\0x", stderr: "err\n" });
      });
      it("gives the exit code of the process", async () => {
        expect((await script("exit 3")).exit).toEqual({ kind: "exited", code: 3 });
        expect((await script("exit 1")).exit).toEqual({ kind: "exited", code: 1 });
      });
      it("gives 128 and the signal for a killed child", async () => {
        expect((await script("sh -c 'kill -TERM $$; sleep 5'; exit $?")).exit).toEqual({ kind: "exited", code: 143 });
      });
      it("gives 128 and the signal for a process that is killed from outside", async () => {
        const marker = `${6_000_000_000 + process.pid}`;
        const running = script(`exec sleep ${marker}`);
        const found = await vi.waitUntil(
          () => processesNaming(marker).find((pid) => commandOf(pid) === `sleep ${marker}`),
          { timeout: 5000, interval: 5 },
        );
        process.kill(Number(found), "SIGTERM");
        process.kill(Number(found), "SIGKILL");
        expect((await running).exit).toEqual({ kind: "exited", code: 137 });
      });
      it("ends with the first process, whatever runs in the background", async () => {
        const before = Date.now();
        expect(await out("setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & echo started")).toBe("started\n");
        expect(Date.now() - before).toBeLessThan(10_000);
      });
      it("keeps steps that run side by side apart", async () => {
        const ids = ["a", "b", "c", "d", "e", "f"];
        expect(
          await Promise.all(ids.map((id) => out(`for i in 1 2 3; do echo ${id}; done; touch /tmp/${id}`))),
        ).toEqual(ids.map((id) => `${id}\n`.repeat(3)));
      });
      it("delivers a megabyte of output before it settles", async () => {
        expect((await out("head -c 1048576 /dev/zero")).length).toBe(1_048_576);
      });
      it("keeps what a failing step says on its error output", async () => {
        const ran = await script("echo runc run failed: no >&2; exit 1");
        expect(ran).toEqual({ exit: { kind: "exited", code: 1 }, stdout: "", stderr: "runc run failed: no\n" });
      });
    });

    describe("commands that cannot be started", () => {
      const refused = async (changes: Partial<StepProcess>) => {
        const { exit, stdout, stderr } = await script("", changes);
        expect({ code: exit.kind === "exited" ? exit.code : exit, stdout }).toEqual({ code: 1, stdout: "" });
        return exit.kind === "exited" && exit.reason !== undefined ? exit.reason : stderr;
      };
      it("exit with 1 and a reason where the program is missing", async () => {
        const ran = await script("", { args: ["no-such-program", "x"] });
        expect(ran).toMatchObject({
          exit: { kind: "exited", code: 1, reason: expect.stringContaining("no-such-program") },
          stderr: "",
        });
        expect(await refused({ args: ["/no/such/program"] })).toMatch(/\/no\/such\/program/);
      });
      it("exit with 1 for an empty name, a directory, and a file without permission", async () => {
        put("/opt/tool", "#!/bin/sh\necho hi\n", 0o644);
        expect(await refused({ args: [""] })).not.toBe("");
        expect(await refused({ args: ["/etc"] })).not.toBe("");
        expect(await refused({ args: ["/opt/tool"] })).toMatch(/[Pp]ermission denied/);
      });
      it("exit with 1 for what is no program, and for a missing interpreter", async () => {
        put("/opt/junk", "junk\u0001", 0o755);
        put("/opt/orphan", "#!/no/such/sh\n", 0o755);
        expect(await refused({ args: ["/opt/junk"] })).toMatch(/exec format error/i);
        expect(await refused({ args: ["/opt/orphan"] })).toMatch(/no such file/i);
      });
      it("exit with 1 where the working directory is a file", async () => {
        put("/afile", "x", 0o644);
        expect(await refused({ args: ["/bin/pwd"], cwd: "/afile" })).toMatch(/not a directory/i);
      });
      it("exit with 1 where PATH has no directory", async () => {
        expect(await refused({ args: ["touch", "/r"], env: ["PATH="], cwd: "/bin" })).toMatch(/touch/);
        expect(await refused({ args: ["touch", "/r"], env: ["PATH=/opt/tools"] })).toMatch(/touch/);
      });
    });

    describe("the program", () => {
      it("is the first executable one in PATH", async () => {
        put("/one/tool", "not a program", 0o644);
        put("/two/tool", "#!/bin/sh\necho two\n", 0o755);
        put("/three/tool", "#!/bin/sh\necho three\n", 0o755);
        const ran = await step({ ...shell(""), args: ["tool"], env: ["PATH=/one:/two:/three:/bin"] });
        expect(ran).toMatchObject({ stdout: "two\n", exit: { code: 0 } });
      });
      it("has a process group of its own, so that it can signal nobody else's", async () => {
        expect(await out("awk '{ print $5, $6 }' /proc/self/stat")).toBe("1 1\n");
        expect(await script("kill -KILL 0")).toMatchObject({ exit: { kind: "exited", code: 0 } });
      });
      it("is found from the working directory where it has a slash", async () => {
        put("/work/bin/tool", "#!/bin/sh\npwd\n", 0o755);
        const ran = await step({ ...shell(""), args: ["./bin/tool"], cwd: "/work" });
        expect(ran).toMatchObject({ stdout: "/work\n", exit: { code: 0 } });
      });
      it("is process 1 and sees only its own", async () => {
        expect(await out("echo $$; ls -d /proc/[0-9]* | head -n 1")).toBe("1\n/proc/1\n");
      });
    });

    describe("the environment", () => {
      it("is what the step says, and HOME of its user", async () => {
        const env = ["PATH=/bin", "COLOUR=deep blue", "EMPTY="];
        expect(await out("tr '\\0' '\\n' < /proc/1/environ | sort", { env })).toBe(
          "COLOUR=deep blue\nEMPTY=\nHOME=/root\nPATH=/bin\n",
        );
        expect(await out("echo $HOME", { user: { uid: 1000, gid: 1000, groups: [] } })).toBe("/home/app\n");
        expect(await out("echo $HOME", { user: { uid: 4242, gid: 0, groups: [], home: "/" } })).toBe("/\n");
        expect(await out("echo $HOME", { env: [...env, "HOME=/mine"] })).toBe("/mine\n");
      });
      it("has the groups of the user, the primary one among them", async () => {
        const identity = (user: StepProcess["user"]) => out("grep -E '^(Uid|Gid|Groups):' /proc/self/status", { user });
        expect(await identity({ uid: 1000, gid: 1000, groups: [50] })).toBe(
          "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t50 1000 \n",
        );
        expect(await identity({ uid: 0, gid: 0, groups: [] })).toMatch(/Groups:\t0 \n$/);
      });
      it("has umask 022, no input, no blocked or ignored signal, and no descriptor beside the three", async () => {
        const fds = "for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12; do [ -L /proc/1/fd/$fd ] && echo $fd; done; true";
        expect(await out(`umask; cat | wc -c; ${fds}`)).toBe("0022\n0\n0\n1\n2\n");
        const ran = await step({ ...shell(""), args: ["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"] });
        expect(ran.stdout).toBe("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
      });
      it("can open its outputs again", async () => {
        expect(await out("echo one > /dev/stdout; echo two > /proc/self/fd/1")).toBe("one\ntwo\n");
        const ran = await script("echo x | tee /dev/stderr > /dev/null", {
          user: { uid: 1000, gid: 1000, groups: [] },
        });
        expect(ran).toMatchObject({ stderr: "x\n", exit: { code: 0 } });
      });
      it("has a working directory, made where it is missing", async () => {
        expect(await out("pwd; stat -c '%a %u:%g' .", { cwd: "/made/deep" })).toBe("/made/deep\n755 0:0\n");
      });
      it("may be a working directory the user cannot read", async () => {
        fs.mkdirSync(path.join(ground.rootfs, "closed"), { mode: 0o700 });
        const ran = await script("pwd; ls 2> /dev/null || echo refused", {
          cwd: "/closed",
          user: { uid: 1000, gid: 1000, groups: [] },
        });
        expect(ran.stdout).toBe("/closed\nrefused\n");
      });
      it("refuses a working directory among descriptors", async () => {
        await expect(script("pwd", { cwd: "/proc/self/fd/7" })).rejects.toMatchObject({ code: "denied" });
      });
      it("has the limits asked for", async () => {
        const ulimits = [{ name: "nofile", soft: 321, hard: 654 }];
        expect(await out("awk '/^Max open files/ { print $4, $5 }' /proc/self/limits", { ulimits })).toBe("321 654\n");
        await expect(script("true", { ulimits: [{ name: "files", soft: 1, hard: 1 }] })).rejects.toMatchObject({
          code: "invalid",
        });
      });
      it("has the host name, which cannot be changed", async () => {
        expect(await out("hostname other 2> /dev/null || echo refused; hostname", { hostname: "workshop" })).toBe(
          "refused\nworkshop\n",
        );
      });
    });

    describe("the files", () => {
      it("has a hosts file of its own", async () => {
        const extraHosts = [{ host: "printer", ip: "10.1.2.3" }];
        expect(await out("cat /etc/hosts", { extraHosts })).toBe(
          "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.1.2.3\tprinter\n",
        );
        const ran = await script("echo x > /etc/hosts || rm /etc/hosts || rm /etc/resolv.conf || echo kept");
        expect(ran.stdout).toBe("kept\n");
        expect(
          await out("cat /etc/hosts | wc -l; cat /etc/resolv.conf > /dev/null", {
            user: { uid: 1000, gid: 1000, groups: [] },
          }),
        ).toBe("2\n");
      });
      it("has the nodes of /dev", async () => {
        const nodes = await out("cd /dev && stat -c '%n %F %t:%T %a' null zero full random urandom tty");
        expect(nodes.trim().split("\n")).toEqual(
          ["null 1:3", "zero 1:5", "full 1:7", "random 1:8", "urandom 1:9", "tty 5:0"].map((node) => {
            const [file, numbers] = node.split(" ");
            return `${file} character special file ${numbers} 666`;
          }),
        );
        expect(await out("cd /dev && for l in fd stdin stdout stderr ptmx; do echo $l $(readlink $l); done")).toBe(
          "fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx\n",
        );
        expect(
          await out(
            "head -c 4 /dev/zero | wc -c; echo x > /dev/null; test -d /dev/pts && test -d /dev/mqueue && echo ok",
          ),
        ).toBe("4\nok\n");
      });
      it("has 64 MB of shared memory, or as much as asked for", async () => {
        expect(
          await out("stat -c '%a %u:%g' /dev/shm; df -k /dev/shm | awk 'NR == 2 { print $2 }'; echo x > /dev/shm/f"),
        ).toBe("1777 0:0\n65536\n");
        expect(await out("df -k /dev/shm | awk 'NR == 2 { print $2 }'", { shmSizeBytes: 8 << 20 })).toBe("8192\n");
      });
      it("has its mounts, in any order", async () => {
        const source = path.join(ground.dirs.root, "shared");
        fs.mkdirSync(path.join(source, "deep"), { recursive: true });
        fs.writeFileSync(path.join(source, "file"), "content");
        const mounts: StepProcess["mounts"] = [
          { kind: "tmpfs", destination: "/m/deep", sizeBytes: 1 << 20 },
          { kind: "bind", source, destination: "/m", readonly: true },
          {
            kind: "bind",
            source: path.join(source, "file"),
            destination: "/one/file",
            readonly: true,
            flags: ["nosuid", "nodev", "noexec"],
          },
          { kind: "bind", source, destination: "/rw", readonly: false },
          { kind: "tmpfs", destination: "/dev/shm" },
        ];
        const text =
          "cat /m/file /one/file; echo x > /m/f || echo ro; touch /m/deep/f && df -k /m/deep | awk 'NR == 2 { print $2 }'; echo y > /rw/new";
        const ran = await script(`{ ${text}; } 2> /dev/null; awk '$2 == "/dev/shm"' /proc/mounts | wc -l`, { mounts });
        expect(ran.stdout).toBe("contentcontentro\n1024\n1\n");
        expect(fs.readFileSync(path.join(source, "new"), "utf8")).toBe("y\n");
      });
      it("shows nothing of the host's mounts", async () => {
        const points = (await out("awk '{ print $2 }' /proc/mounts")).trim().split("\n");
        expect(points[0]).toBe("/");
        expect(points.filter((point) => !/^\/($|proc|sys|dev|etc\/(hosts|resolv\.conf)$)/.test(point))).toEqual([]);
      });
    });

    describe("the sandbox", () => {
      it("gives root Docker's capabilities, none of them inheritable", async () => {
        expect(await out("grep ^Cap /proc/self/status")).toBe(
          "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\n",
        );
        expect(
          await out("grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status", { user: { uid: 1000, gid: 1000, groups: [] } }),
        ).toBe("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\n");
      });
      it("filters system calls and lets setuid programs gain privileges", async () => {
        expect(await out("grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status")).toBe("NoNewPrivs:\t0\nSeccomp:\t2\n");
        expect(
          (await script("unshare -U true 2> /dev/null || unshare -m true 2> /dev/null || echo refused")).stdout,
        ).toBe("refused\n");
      });
      it("refuses mounts and the nodes of disks", async () => {
        expect((await script("mount -t tmpfs none /tmp 2> /dev/null || echo refused")).stdout).toBe("refused\n");
        expect(
          (await script("mknod /disk b 7 0 && { head -c 1 /disk > /dev/null 2>&1 || echo refused; }; rm /disk")).stdout,
        ).toBe("refused\n");
        expect(
          (await script("mknod /dev/disk b 7 0 && { head -c 1 /dev/disk > /dev/null 2>&1 || echo refused; }")).stdout,
        ).toBe("refused\n");
        if (traits.cgroups)
          expect(await out("mknod /nought c 1 3 && echo x > /nought && rm /nought && echo ok")).toBe("ok\n");
      });
      it("masks what shows the host", async () => {
        const text =
          "for f in kcore keys timer_list; do [ ! -e /proc/$f ] || head -c 10 /proc/$f 2> /dev/null | wc -c; done; ls -A /sys/firmware | wc -l";
        expect(new Set((await out(text)).trim().split("\n"))).toEqual(new Set(["0"]));
      });
      it("protects the kernel's settings", async () => {
        const text =
          'for d in bus fs irq sys sysrq-trigger; do [ ! -e /proc/$d ] || grep -q "^[^ ]* /proc/$d [^ ]* ro," /proc/mounts || echo $d; done';
        expect(await out(text)).toBe("");
        expect((await script("(echo x > /proc/sys/kernel/domainname) 2> /dev/null || echo refused")).stdout).toBe(
          "refused\n",
        );
        expect(
          await out(
            'awk \'$2 == "/sys" { split($4, o, ","); print $3, o[1] }\' /proc/mounts; mkdir /sys/x 2> /dev/null || echo refused',
          ),
        ).toBe("sysfs ro\nrefused\n");
      });
      it("cuts the network off where it is asked to, but for the loopback", async () => {
        const text =
          "awk -F: 'NR > 2 { gsub(/ /, \"\", $1); print $1 }' /proc/net/dev; ip -o addr show dev lo | awk '$3 == \"inet\" { print $4 }'";
        expect(await out(text, { network: "none" })).toBe("lo\n127.0.0.1/8\n");
      });
      it("lifts its limits for an insecure step", async () => {
        const text =
          "grep -E '^Seccomp:' /proc/self/status; mount -t tmpfs none /tmp && echo mounted; test -c /dev/kmsg && echo kmsg; test -b /dev/loop0 && echo loop";
        expect(await out(text, { security: "insecure" })).toMatch(/^Seccomp:\t0\nmounted\nkmsg\n/);
      });
      it("leaves no mount stubs of its own beside the known ones", async () => {
        const fresh = makeGround();
        try {
          fs.rmSync(path.join(fresh.rootfs, "dev"), { recursive: true });
          await run(create(fresh), shell("true"), fresh.rootfs);
          expect(fs.readdirSync(path.join(fresh.rootfs, "dev"))).toEqual([]);
          expect(fs.readdirSync(path.join(fresh.rootfs, "etc")).sort()).toEqual([
            "group",
            "hosts",
            "passwd",
            "resolv.conf",
          ]);
        } finally {
          removeGround(fresh);
        }
      });
    });

    describe("devices", () => {
      const zero = { path: "/dev/mine", hostPath: "/dev/zero", type: "c", major: 1, minor: 5 } as const;
      const nodes = [{ ...zero, fileMode: 0o666, uid: 0, gid: 0, access: "rwm" }];
      it("are there by the names that the step asks for", async () => {
        const devices = { nodes, hooks: [] };
        expect(await out("head -c 3 /dev/mine | wc -c; test -c /dev/mine && echo node", { devices })).toBe("3\nnode\n");
        expect(await out("test -e /dev/mine || echo gone")).toBe("gone\n");
      });
      it("have their hooks run, or are refused where nobody runs hooks", async () => {
        const log = path.join(ground.dirs.root, "hook");
        const args = ["sh", "-c", `cat > /dev/null; echo ran > ${log}`];
        const hook = { hookName: "createContainer" as const, path: "/bin/sh", args, env: [] };
        const running = script("true", { devices: { nodes, hooks: [hook] } });
        if (traits.cgroups) {
          expect((await running).exit).toEqual({ kind: "exited", code: 0 });
          expect(fs.readFileSync(log, "utf8")).toBe("ran\n");
        } else await expect(running).rejects.toMatchObject({ code: "unsupported" });
      });
    });

    describe("bounds", () => {
      const resources = { memoryBytes: 32 << 20, cpuShares: 512, cpuPeriod: 50_000, cpuQuota: 25_000, cpusetCpus: "0" };
      const read =
        "for f in memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares memory.max cpu.max cpuset.cpus; do cat /sys/fs/cgroup/$f 2> /dev/null; done; grep Cpus_allowed_list /proc/self/status";
      it.runIf(traits.cgroups && canBound)("of memory and CPU are those of the step's control group", async () => {
        const said = (await out(read, { resources })).trim().split("\n");
        expect(said).toEqual([
          ...(said.length === 4 ? ["33554432", "25000", "512"] : ["33554432", "25000 50000", "0"]),
          "Cpus_allowed_list:\t0",
        ]);
      });
      it.runIf(traits.cgroups && canBound)("of memory kill what wants more, and the step fails", async () => {
        const { exit } = await script("tail /dev/zero; exit $?", { resources: { memoryBytes: 16 << 20 } });
        expect(exit).toMatchObject({ kind: "exited", code: 137 });
      });
      it.runIf(traits.cgroups)("leave no control group behind that the step was to be put below", async () => {
        await out("true", { cgroupParent: `/suite-${process.pid}/inner` });
        const { mounts } = readCgroups();
        expect(mounts.filter((mount) => fs.existsSync(path.join(mount, `suite-${process.pid}`)))).toEqual([]);
      });
      it.runIf(!traits.cgroups)("are refused where there is no control group to keep them", async () => {
        await expect(script("true", { resources })).rejects.toMatchObject({
          code: "unsupported",
          message: expect.stringContaining("memory and CPU of steps cannot be bounded"),
        });
        expect((await script("true", { resources: {} })).exit).toEqual({ kind: "exited", code: 0 });
      });
    });

    describe("a hostile image", () => {
      it("cannot lead a mount out of its root by links", async () => {
        const outside = path.join(ground.dirs.root, "outside");
        fs.mkdirSync(outside);
        const fresh = makeGround();
        try {
          fs.symlinkSync(outside, path.join(fresh.rootfs, "link"));
          fs.symlinkSync(path.join(outside, "hosts"), path.join(fresh.rootfs, "etc/hosts"));
          fs.symlinkSync("../../../../../../../..", path.join(fresh.rootfs, "up"));
          const source = path.join(fresh.dirs.root, "source");
          fs.writeFileSync(source, "content");
          const mounts: StepProcess["mounts"] = [
            { kind: "tmpfs", destination: "/link/deep/mount" },
            { kind: "bind", source, destination: "/link/file", readonly: true },
            { kind: "bind", source, destination: `/up${outside}/other`, readonly: true },
          ];
          const ran = await run(
            create(fresh),
            shell("cat /link/file; touch /link/deep/mount/f", { mounts }),
            fresh.rootfs,
          );
          expect(ran.exit.kind === "exited" && ran.exit.code === 0 ? ran.stdout : "content").toBe("content");
          expect(fs.readdirSync(outside)).toEqual([]);
        } finally {
          removeGround(fresh);
        }
      });
      it("cannot put the mounts of /dev or /proc elsewhere", async () => {
        const outside = path.join(ground.dirs.root, "outside-dev");
        fs.mkdirSync(outside);
        const fresh = makeGround();
        try {
          for (const name of ["dev", "proc"]) {
            fs.rmSync(path.join(fresh.rootfs, name), { recursive: true });
            fs.symlinkSync(outside, path.join(fresh.rootfs, name));
          }
          const { exit } = await run(create(fresh), shell("true"), fresh.rootfs).catch((error: Error) => ({
            exit: error,
          }));
          expect(exit).toBeDefined();
          expect(fs.readdirSync(outside)).toEqual([]);
        } finally {
          removeGround(fresh);
        }
      });
    });

    describe("an abort", () => {
      it("ends a step that ignores signals within a second, and all of its processes", async () => {
        const controller = new AbortController();
        const marker = `${7_000_000 + process.pid}`;
        let abortedAt = 0;
        const running = executor.run(
          shell(`trap '' TERM INT; setsid sleep ${marker} & (sleep ${marker} &); echo ready; sleep ${marker}`),
          ground.rootfs,
          {
            signal: controller.signal,
            onOutput: () => {
              abortedAt = performance.now();
              controller.abort();
            },
          },
        );
        await expect(running).rejects.toMatchObject({ code: "canceled" });
        expect(performance.now() - abortedAt).toBeLessThan(1000);
        expect(processesNaming(marker)).toEqual([]);
      });
      it("before the start runs nothing", async () => {
        await expect(
          run(executor, shell("true"), ground.rootfs, { signal: AbortSignal.abort() }),
        ).rejects.toMatchObject({ code: "canceled" });
      });
      it("right after the start ends it too", async () => {
        for (const delayMs of [0, 2, 5, 10, 20, 40]) {
          const signal = AbortSignal.timeout(delayMs);
          await expect(run(executor, shell("sleep 1000"), ground.rootfs, { signal })).rejects.toMatchObject({
            code: "canceled",
          });
        }
        expect(
          fs.readdirSync(ground.dirs.run).flatMap((owner) => fs.readdirSync(path.join(ground.dirs.run, owner))),
        ).toEqual([]);
      });
    });
  });
}

/** The ids of processes whose arguments hold TEXT. */
export function processesNaming(text: string): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        fs
          .readFileSync(`/proc/${pid}/cmdline`, "latin1")
          .split("\0")
          .some((arg) => arg.includes(text))
      );
    } catch {
      return false;
    }
  });
}

/** Version 2 mounted beside a version 1 that has the controllers bounds nothing. */
const canBound = (() => {
  const controllers = "/sys/fs/cgroup/cgroup.controllers";
  return !fs.existsSync(controllers) || fs.readFileSync(controllers, "utf8").includes("memory");
})();

function commandOf(pid: string): string {
  return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").join(" ").trim();
}
