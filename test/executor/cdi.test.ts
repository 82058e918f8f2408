import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkDevices, devicesFor } from "../../src/executor/index.js";
import { runtimeSpec } from "../../src/executor/runtime-spec.js";
import { shell } from "./ground.js";

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-cdi-"));
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

const at = (...names: readonly string[]) => path.join(directory, ...names);
const describeDevices = (file: string, document: object) => {
  fs.mkdirSync(path.dirname(at(file)), { recursive: true });
  fs.writeFileSync(at(file), JSON.stringify({ cdiVersion: "0.6.0", kind: "vendor1.com/device", ...document }));
};
const named = (name: string, env = `${name.toUpperCase()}=1`, more: object = {}) => ({
  name,
  containerEdits: { env: [env], ...more },
});
const user = { uid: 7, gid: 8 };
const wanted = async (names: readonly string[], entitlements: readonly string[] = ["device"], required = true) => {
  const requests = names.map((name) => ({ name, optional: !required }));
  return devicesFor(requests, { directories: [at("etc"), at("run")], entitlements, user });
};
const env = async (...args: Parameters<typeof wanted>) => (await wanted(...args)).env;

describe("devices of the container device interface", () => {
  beforeEach(() => {
    describeDevices("etc/one.json", {
      devices: [
        named("foo"),
        named("bar"),
        { ...named("quux"), annotations: { "org.mobyproject.buildkit.device.class": "gpu" } },
      ],
      containerEdits: { env: ["SHARED=yes"] },
    });
  });

  it("are found by their names, by their kind, as all of a kind and by the class of their annotations", async () => {
    expect(await env(["vendor1.com/device=foo"])).toEqual(["SHARED=yes", "FOO=1"]);
    expect(await env(["vendor1.com/device"])).toEqual(["SHARED=yes", "BAR=1"]);
    expect(await env(["vendor1.com/device=*"])).toEqual(["SHARED=yes", "BAR=1", "FOO=1", "QUUX=1"]);
    expect(await env(["gpu"])).toEqual(["SHARED=yes", "QUUX=1"]);
    expect(await env(["vendor1.com/device=foo", "vendor1.com/device=foo", "gpu"])).toEqual([
      "SHARED=yes",
      "FOO=1",
      "QUUX=1",
    ]);
  });

  it("that are not there are refused where they are required, and else left out", async () => {
    await expect(wanted(["vendor1.com/device=none"])).rejects.toMatchObject({
      code: "not-found",
      message: 'required device "vendor1.com/device=none" is not registered',
    });
    expect(await env(["vendor1.com/device=none", "nothing"], ["device"], false)).toEqual([]);
    await expect(
      checkDevices([{ name: "gpu", optional: false }], { directories: [at("no")], entitlements: ["device"] }),
    ).rejects.toMatchObject({
      code: "not-found",
    });
  });

  it("are denied unless they are allowed by name, by kind, by alias, all together or by themselves", async () => {
    const foo = ["vendor1.com/device=foo"];
    await expect(wanted(foo, ["network.host"])).rejects.toMatchObject({
      code: "denied",
      message: "device vendor1.com/device=foo is requested by the build but not allowed",
      hint: "allow it with --allow device=vendor1.com/device=foo",
    });
    await expect(wanted([...foo, "gpu"], [])).rejects.toMatchObject({
      message: "devices vendor1.com/device=foo, vendor1.com/device=quux are requested by the build but not allowed",
    });
    expect(await env(foo, ["device=vendor1.com/device=foo"])).toContain("FOO=1");
    expect(await env(foo, ["device=vendor1.com/device=*"])).toContain("FOO=1");
    await expect(env(foo, ["device=vendor1.com/device=bar"])).rejects.toMatchObject({ code: "denied" });
    expect(await env(["mine"], ["device=vendor1.com/device=foo,alias=mine"])).toContain("FOO=1");
    describeDevices("run/two.json", {
      kind: "vendor2.com/device",
      devices: [{ ...named("open"), annotations: { "org.mobyproject.buildkit.device.autoallow": "true" } }],
    });
    expect(await env(["vendor2.com/device=open"], [])).toEqual(["OPEN=1"]);
  });

  it("of later directories win; of two files in one directory neither counts", async () => {
    describeDevices("run/one.json", { devices: [named("foo", "FOO=run")] });
    expect(await env(["vendor1.com/device=foo"])).toEqual(["FOO=run"]);
    describeDevices("run/other.json", { devices: [named("foo", "FOO=other")] });
    await expect(wanted(["vendor1.com/device=foo"])).rejects.toMatchObject({
      code: "not-found",
      hint: expect.stringContaining("described more than once"),
    });
    expect(await env(["vendor1.com/device=bar"])).toContain("BAR=1");
  });

  it("are described in YAML as well, whose numbers are text where a text belongs", async () => {
    const text = `---
cdiVersion: 0.5.0
kind: yaml.com/gpu
devices:
- name: 0
  containerEdits: &edits
    env: [GPU=0, "T=12:30"]
    deviceNodes:
    - {path: /dev/made, type: c, major: 10, minor: 0x0a, fileMode: 0640, permissions: rw, uid: 0o17}
- name: "1"
  annotations: {org.mobyproject.buildkit.device.autoallow: true, at: 12:30, on: 2001-12-14}
  containerEdits:
    <<: *edits
    mounts:
containerEdits:
  additionalGids: [7]
`;
    fs.writeFileSync(at("etc/gpu.yaml"), text);
    fs.writeFileSync(at("etc/other.yml"), text.replace("yaml.com", "other.com"));
    const first = await wanted(["yaml.com/gpu=0"]);
    expect(first).toMatchObject({ env: ["GPU=0", "T=12:30"], groups: [7] });
    expect(first.nodes).toMatchObject([{ type: "c", major: 10, minor: 10, fileMode: 0o640, access: "rw", uid: 0o17 }]);
    expect((await wanted(["yaml.com/gpu=1"], [])).nodes).toHaveLength(1);
    await expect(wanted(["other.com/gpu=0"])).rejects.toMatchObject({ code: "not-found" });
  });

  it("in YAML that repeats itself beyond all measure are complained of", async () => {
    const grown = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`).join("\n");
    fs.writeFileSync(at("etc/bomb.yaml"), `a0: &a0 [x]\n${grown}\n`);
    await expect(wanted(["bomb.com/gpu=0"])).rejects.toMatchObject({ hint: expect.stringContaining("bomb.yaml: ") });
  });

  it("in files that are wrong are complained of when they are missed", async () => {
    fs.writeFileSync(at("etc/broken.json"), "{");
    fs.writeFileSync(at("etc/nvidia.yaml"), "cdiVersion: 0.5.0\n");
    describeDevices("etc/unknown.json", { kind: "a.b/c", devices: [], containerEdits: { intelRdt: {} } });
    describeDevices("etc/name.json", { kind: "a.b/c", devices: [{ name: "no/name" }] });
    expect(await env(["vendor1.com/device=foo"])).toContain("FOO=1");
    const { hint = "" } = await wanted(["nvidia.com/gpu=all"]).then(
      () => ({ hint: "it was not refused" }),
      (error: { readonly hint?: string }) => error,
    );
    for (const words of [
      "broken.json",
      "nvidia.yaml: kind",
      "unknown.json: containerEdits.intelRdt",
      "no name of a device",
    ])
      expect(hint).toContain(words);
  });

  it("bring nodes, mounts, hooks and groups", async () => {
    fs.writeFileSync(at("library"), "");
    describeDevices("run/full.json", {
      kind: "full.com/device",
      devices: [
        {
          name: "all",
          containerEdits: {
            env: ["A=1", "A=2"],
            deviceNodes: [
              { path: "/dev/mine", hostPath: "/dev/zero", permissions: "r" },
              { path: "/dev/null" },
              { path: "/dev/made", type: "c", major: 10, minor: 200, fileMode: 0o600, uid: 1, gid: 2 },
            ],
            mounts: [
              { hostPath: at("library"), containerPath: "/usr/lib/library", options: ["ro", "nosuid", "rbind"] },
            ],
            hooks: [{ hookName: "createContainer", path: "/usr/bin/ldconfig", args: ["ldconfig"], timeout: 2 }],
            additionalGids: [44, 44],
          },
        },
      ],
    });
    const devices = await wanted(["full.com/device=all"]);
    expect(devices.env).toEqual(["A=2"]);
    expect(devices.groups).toEqual([44]);
    expect(devices.mounts).toEqual([
      {
        kind: "file",
        mount: {
          kind: "bind",
          source: at("library"),
          destination: "/usr/lib/library",
          readonly: true,
          flags: ["nosuid"],
        },
      },
    ]);
    const host = { arch: "x64", capabilities: [], cgroupVersion: 1, userNamespace: false, devices: () => [] } as const;
    const place = { rootfs: "/r", etc: { hosts: "/h", resolvConf: "/c" } };
    const spec = runtimeSpec(shell("true", { devices }), place, host, undefined);
    expect(spec.linux.devices).toEqual([
      { path: "/dev/mine", hostPath: "/dev/zero", type: "c", major: 1, minor: 5, fileMode: 0o666, uid: 7, gid: 8 },
      { path: "/dev/null", hostPath: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o666, uid: 7, gid: 8 },
      { path: "/dev/made", hostPath: "/dev/made", type: "c", major: 10, minor: 200, fileMode: 0o600, uid: 1, gid: 2 },
    ]);
    expect(spec.linux.resources.devices).toEqual([
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 1, minor: 5, access: "r" },
      { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
      { allow: true, type: "c", major: 10, minor: 200, access: "rwm" },
    ]);
    expect(spec.hooks).toEqual({
      createContainer: [{ path: "/usr/bin/ldconfig", args: ["ldconfig"], env: [], timeout: 2 }],
    });
  });

  it("whose nodes or mounts are not on the machine are told", async () => {
    describeDevices("run/gone.json", {
      kind: "gone.com/device",
      devices: [
        named("node", "A=1", { deviceNodes: [{ path: "/dev/ashlar-is-not-there" }] }),
        named("file", "A=1", { deviceNodes: [{ path: "/dev/x", hostPath: "/etc/passwd" }] }),
        named("mount", "A=1", { mounts: [{ hostPath: at("nowhere"), containerPath: "/x" }] }),
        named("option", "A=1", { mounts: [{ hostPath: directory, containerPath: "/x", options: ["idmap"] }] }),
      ],
    });
    const refused = (name: string) => expect(wanted([`gone.com/device=${name}`])).rejects;
    await refused("node").toMatchObject({
      code: "unavailable",
      message: "there is no device /dev/ashlar-is-not-there on this machine",
    });
    await refused("file").toMatchObject({ code: "unavailable" });
    await refused("mount").toMatchObject({ code: "unavailable" });
    await refused("option").toMatchObject({ code: "unsupported" });
  });
});
