import { describe, expect, it } from "vitest";
import type { BuildFlags } from "../../src/cli/build-flags.js";
import { type Ambient, parseBuild } from "../../src/cli/build-request.js";
import { UsageError } from "../../src/cli/usage-error.js";

const ambient: Ambient = { env: {}, cwd: "/home/me/app", proxyArgs: {}, localPlatform: "linux/arm64" };
const parse = (flags: BuildFlags, around: Partial<Ambient> = {}, context = ".") =>
  parseBuild(flags, context, { ...ambient, ...around });
const requestOf = (flags: BuildFlags, around: Partial<Ambient> = {}) => parse(flags, around).request;

/** What --check asks. */
const CHECK = { method: "check", format: "text", ignoreStatus: false };

describe("what build is asked", () => {
  it.each<[string, BuildFlags, object]>([
    ["nothing", {}, { tags: [], noCache: false, pull: false, buildArgs: {}, labels: {} }],
    ["tags", { tag: ["a", "b:1"] }, { tags: ["a", "b:1"] }],
    [
      "a Dockerfile relative to the working directory",
      { file: "build/Dockerfile.dev" },
      { dockerfile: "/home/me/app/build/Dockerfile.dev" },
    ],
    ["labels", { label: ["a=1", "b", "a=2=3"] }, { labels: { a: "2=3", b: "" } }],
    [
      "platforms, by comma and repeated",
      { platform: ["linux/amd64,linux/arm/v7", "linux/amd64"] },
      { platforms: ["linux/amd64", "linux/arm/v7"] },
    ],
    ["the local platform", { platform: ["local"] }, { platforms: ["linux/arm64"] }],
    ["no cache", { cache: false }, { noCache: true }],
    ["no cache for some stages", { cache: true, cacheFilter: ["a,b", "c"] }, { noCache: ["a", "b", "c"] }],
    ["no stages without cache", { cache: true, cacheFilter: true }, { noCache: false }],
    ["pull", { pull: true }, { pull: true }],
    ["a target", { target: "test" }, { target: "test" }],
    ["no network", { network: "none" }, { network: "none" }],
    [
      "hosts",
      { addHost: ["a:10.1.2.3", "b=fd00::5", "c:[::1]"] },
      {
        extraHosts: [
          { host: "a", ip: "10.1.2.3" },
          { host: "b", ip: "fd00::5" },
          { host: "c", ip: "::1" },
        ],
      },
    ],
    [
      "limits",
      { ulimit: ["nofile=321:654", "core=0", "nproc=-1"] },
      {
        ulimits: [
          { name: "nofile", soft: 321, hard: 654 },
          { name: "core", soft: 0, hard: 0 },
          { name: "nproc", soft: -1, hard: -1 },
        ],
      },
    ],
    ["shared memory", { shmSize: "8m" }, { shmSizeBytes: 8 * 1024 * 1024 }],
    ["shared memory in bytes", { shmSize: "64" }, { shmSizeBytes: 64 }],
    ["shared memory in fractions", { shmSize: "1.5GiB" }, { shmSizeBytes: 1.5 * 1024 ** 3 }],
    ["entitlements", { allow: ["network.host,security.insecure"] }, { allow: ["network.host", "security.insecure"] }],
    ["parallelism", { maxParallelism: "3" }, { maxParallelism: 3 }],
    ["a cgroup", { cgroupParent: "/builds" }, { cgroupParent: "/builds" }],
    [
      "contexts",
      { buildContext: ["a=../lib", "b=docker-image://alpine", "c=oci-layout://layout:latest", "d=target:x"] },
      {
        buildContexts: {
          a: "/home/me/lib",
          b: "docker-image://alpine",
          c: "oci-layout:///home/me/app/layout:latest",
          d: "target:x",
        },
      },
    ],
    ["a name in an output", { output: ["type=oci,dest=x,name=a"] }, { tags: ["a"] }],
  ])("%s", (_, flags, expected) => expect(requestOf(flags)).toMatchObject(expected));

  it("takes a build argument without a value from the environment, and leaves it out where it is not set", () => {
    const flags = { buildArg: ["A", "B", "C=", "D=1", "D=2=3"] };
    expect(requestOf(flags, { env: { A: "from env" } }).buildArgs).toEqual({ A: "from env", C: "", D: "2=3" });
  });

  it("makes the image carry its cache where the build argument of buildx asks for it", () => {
    const to = (value: string) => requestOf({ buildArg: [`BUILDKIT_INLINE_CACHE=${value}`], cacheTo: ["a"] }).cacheTo;
    const named = { type: "registry", attrs: { ref: "a" } };
    expect(to("1")).toEqual([named, { type: "inline" }]);
    for (const no of ["0", "", "yes"]) expect(to(no)).toEqual([named]);
  });

  it("hands SOURCE_DATE_EPOCH and the configured proxies on, unless the command line has its own", () => {
    const around = { env: { SOURCE_DATE_EPOCH: "1" }, proxyArgs: { HTTP_PROXY: "http://p", http_proxy: "http://p" } };
    expect(requestOf({}, around).buildArgs).toEqual({
      SOURCE_DATE_EPOCH: "1",
      HTTP_PROXY: "http://p",
      http_proxy: "http://p",
    });
    expect(requestOf({ buildArg: ["SOURCE_DATE_EPOCH=2", "HTTP_PROXY=x"] }, around).buildArgs).toEqual({
      SOURCE_DATE_EPOCH: "2",
      HTTP_PROXY: "x",
    });
  });

  it("takes DOCKER_DEFAULT_PLATFORM where no platform is named", () => {
    const around = { env: { DOCKER_DEFAULT_PLATFORM: "linux/s390x" } };
    expect(requestOf({}, around).platforms).toEqual(["linux/s390x"]);
    expect(requestOf({ platform: ["linux/amd64"] }, around).platforms).toEqual(["linux/amd64"]);
  });

  it("finds secrets in files and variables", () => {
    const env = { TOKEN: "t0ken", other: "o" };
    const secret = [
      "id=a,src=word.txt",
      "id=b,env=TOKEN",
      "id=TOKEN",
      "id=file.txt",
      "type=env,id=c,src=TOKEN",
      "type=file,id=other",
      '"id=d","src=a,b"',
      "id=e,env=UNSET",
    ];
    const value = (text: string) => ({ source: "value", value: Buffer.from(text) });
    expect(requestOf({ secret }, { env }).secrets).toEqual([
      { id: "a", source: "file", path: "/home/me/app/word.txt" },
      { id: "b", ...value("t0ken") },
      { id: "TOKEN", ...value("t0ken") },
      { id: "file.txt", source: "file", path: "/home/me/app/file.txt" },
      { id: "c", ...value("t0ken") },
      { id: "other", source: "file", path: "/home/me/app/other" },
      { id: "d", source: "file", path: "/home/me/app/a,b" },
      { id: "e", ...value("") },
    ]);
  });

  it.each<[string, BuildFlags, object | undefined]>([
    ["nothing", {}, undefined],
    ["out", { output: ["out"] }, [{ kind: "path", type: "local", dest: "/home/me/app/out", attrs: {} }]],
    ["-", { output: ["-"] }, [{ kind: "stdout", type: "tar", attrs: {} }]],
    [
      "type=oci,dest=/x.tar,compression=zstd",
      { output: ["type=oci,dest=/x.tar,compression=zstd"] },
      [{ kind: "path", type: "oci", dest: "/x.tar", attrs: { compression: "zstd" } }],
    ],
    ["type=oci", { output: ["type=oci"] }, [{ kind: "stdout", type: "oci", attrs: {} }]],
    ["type=tar,dest=-", { output: ["type=tar,dest=-"] }, [{ kind: "stdout", type: "tar", attrs: {} }]],
    [
      "a layout directory",
      { output: ["type=oci,tar=false,dest=d"] },
      [{ kind: "path", type: "oci", dest: "/home/me/app/d", attrs: { tar: "false" } }],
    ],
    ["type=docker", { output: ["type=docker"] }, [{ kind: "load", attrs: {} }]],
    ["--load", { load: true }, [{ kind: "load", attrs: {} }]],
    ["--load and type=docker", { load: true, output: ["type=docker"] }, [{ kind: "load", attrs: {} }]],
    ["type=image", { output: ["type=image,name=x"] }, [{ kind: "store", attrs: { name: "x" } }]],
    ["type=cacheonly", { output: ["type=cacheonly"] }, [{ kind: "cache" }]],
    ["quoted", { output: ['type=local,"dest=/a,b"'] }, [{ kind: "path", type: "local", dest: "/a,b", attrs: {} }]],
  ])("reads the output %s", (_, flags, expected) => expect(parse(flags).outputs).toEqual(expected));

  it.each<[BuildFlags, string]>([
    [{ output: ["type=local"] }, "dest is required for local exporter"],
    [{ output: ["type=local,dest=-"] }, "dest cannot be stdout"],
    [{ output: ["type=floppy,dest=x"] }, 'exporter "floppy" could not be found'],
    [{ output: ["dest=x,type="] }, "type is required"],
    [{ output: ["type=oci,dest"] }, "must be a key=value pair"],
    [{ annotation: ["a"] }, "invalid annotation"],
    [{ attest: ["mode=max"] }, "attestation type not specified"],
    [{ attest: ["type=sbom", "type=sbom"] }, "duplicate attestation field sbom"],
    [{ attest: ["type=vsa"] }, 'unknown attestation type "vsa"'],
    [{ output: ["-", "type=oci"] }, "only one output"],
    [{ output: ["-"], quiet: true }, "--quiet"],
    [{ output: ['type=oci,"dest=x'] }, "a quote is out of place"],
    [{ network: "bridge" }, 'invalid value "bridge" for --network'],
    [{ progress: "loud" }, 'invalid value "loud" for --progress'],
    [{ shmSize: "lots" }, 'invalid value "lots" for --shm-size'],
    [{ shmSize: "99999p" }, "--shm-size"],
    [{ ulimit: ["nofile"] }, "--ulimit"],
    [{ ulimit: ["nofiles=1"] }, "invalid ulimit type: nofiles"],
    [{ ulimit: ["nofile=5:3"] }, "must be less than or equal to hard limit: 5 > 3"],
    [{ ulimit: ["nofile=-1:3"] }, "must be less than or equal"],
    [{ addHost: ["nowhere"] }, "HOST:IP"],
    [{ addHost: ["a:300.1.1.1"] }, 'invalid IP address "300.1.1.1"'],
    [{ allow: ["everything"] }, 'invalid value "everything" for --allow'],
    [{ allow: ["device=gpu,mode=rw"] }, "unknown option mode=rw"],
    [{ secret: ["src=x"] }, "needs an id"],
    [{ secret: ["id=x,colour=red"] }, "unexpected key 'colour'"],
    [{ secret: ["id=x,type=safe"] }, 'unsupported secret type "safe"'],
    [{ secret: ["x"] }, "field 'x' must be a key=value pair"],
    [{ ssh: ["default"] }, "make sure SSH_AUTH_SOCK is set"],
    [{ ssh: ["a=x,,y"] }, "one of its paths is empty"],
    [{ buildContext: ["lib"] }, "expected key=value"],
    [{ buildArg: ["=x"] }, "has no name"],
    [{ platform: ["linux/amd64,"] }, "empty name"],
    [{ cache: false, cacheFilter: ["a"] }, "cannot be used together"],
    [{ call: "nothing" }, 'invalid value "nothing" for --call'],
    [{ call: "check,format=xml" }, "format of --call"],
    [{ maxParallelism: "0" }, "it is a number from 1"],
    [{ isolation: "chroot" }, "it is one of oci, sandbox"],
  ])("refuses %j", (flags, words) => {
    expect(() => parse(flags)).toThrow(UsageError);
    expect(() => parse(flags)).toThrow(words);
  });

  it("takes agents and keys for ssh, devices, and the host by its own name", () => {
    const env = { SSH_AUTH_SOCK: "/run/agent" };
    expect(requestOf({ ssh: ["default", "deploy=id_rsa,/keys/b"] }, { env }).ssh).toEqual([
      { id: "default", paths: ["/run/agent"] },
      { id: "deploy", paths: ["/home/me/app/id_rsa", "/keys/b"] },
    ]);
    expect(requestOf({ allow: ["device=gpu,alias=g", "network.host"] }).allow).toEqual([
      "device=gpu,alias=g",
      "network.host",
    ]);
    expect(requestOf({ addHost: ["a:host-gateway"] }).extraHosts).toEqual([{ host: "a", ip: "host-gateway" }]);
  });

  it.each<[BuildFlags, unknown]>([
    [{ provenance: "false", sbom: "false" }, undefined],
    [{ provenance: "true" }, [{ type: "provenance", attrs: {} }]],
    [{ provenance: "mode=min,version=v0.2" }, [{ type: "provenance", attrs: { mode: "min", version: "v0.2" } }]],
    [{ provenance: "max" }, [{ type: "provenance", attrs: { mode: "max" } }]],
    [
      { attest: ["type=provenance,mode=max", "type=sbom,disabled=true"] },
      [{ type: "provenance", attrs: { mode: "max" } }],
    ],
    [{ attest: ["type=provenance,mode=max"], provenance: "false" }, undefined],
    [{ sbom: "true" }, [{ type: "sbom", attrs: {} }]],
  ])("reads what is to be said of the image: %j", (flags, expected) => {
    expect(parse(flags).request.attestations).toEqual(expected);
  });

  it("pushes every image with --push, and makes one where there is none", () => {
    expect(parse({ push: true }).outputs).toEqual([{ kind: "store", attrs: { push: "true" } }]);
    expect(parse({ push: true, output: ["type=image,name=x", "out"] }).outputs).toMatchObject([
      { kind: "store", attrs: { name: "x", push: "true" } },
      { kind: "path" },
    ]);
    expect(parse({ output: ["type=registry,name=x"] }).outputs).toEqual([
      { kind: "store", attrs: { name: "x", push: "true" } },
    ]);
  });

  it("gives every image the annotations, each in its place", () => {
    const annotation = ["a=1", "index,manifest[linux/amd64]:org.example/b=2=3"];
    const attrs = {
      "annotation-manifest.a": "1",
      "annotation-index.org.example/b": "2=3",
      "annotation-manifest[linux/amd64].org.example/b": "2=3",
    };
    expect(parse({ annotation }).outputs).toEqual([{ kind: "store", attrs }]);
    expect(parse({ annotation, output: ["out", "type=oci,dest=x"] }).outputs).toMatchObject([
      { type: "local", attrs: {} },
      { type: "oci", attrs },
    ]);
  });

  it("reads no more of the flags that are switched off", () => {
    expect(() => parse({ provenance: "false", sbom: "false" })).not.toThrow();
  });

  it("knows contexts: a directory, standard input, an address", () => {
    expect(parse({}, {}, "sub").context).toEqual({ kind: "directory", path: "/home/me/app/sub", shown: "sub" });
    expect(parse({ file: "sub/Dockerfile" }, {}, "-")).toMatchObject({
      context: { kind: "stdin" },
      request: { dockerfile: "sub/Dockerfile" },
    });
    expect(parse({ file: "-" })).toMatchObject({ dockerfileFromStdin: true, request: { dockerfile: "-" } });
    expect(() => parse({ file: "-" }, {}, "-")).toThrow("can't use stdin for both");
    const address = "https://example.org/x.git#main:sub";
    expect(parse({}, {}, address).context).toEqual({ kind: "address", address });
    expect(() => parse({}, {}, "")).toThrow("no build context");
  });

  it("knows which engine is meant", () => {
    expect(parse({}).engine).toEqual({});
    expect(parse({}, { env: { ASHLAR_ROOT: "/state" } }).engine).toEqual({ root: "/state" });
    expect(parse({ root: "s", isolation: "sandbox" }, { env: { ASHLAR_ROOT: "/state" } }).engine).toEqual({
      root: "/home/me/app/s",
      isolation: "sandbox",
    });
  });

  it("knows how to show progress", () => {
    expect(parse({}).progress).toBe("auto");
    expect(parse({}, { env: { BUILDKIT_PROGRESS: "plain" } }).progress).toBe("plain");
    expect(parse({ progress: "rawjson" }, { env: { BUILDKIT_PROGRESS: "plain" } }).progress).toBe("rawjson");
    expect(parse({ quiet: true, progress: "plain" }).progress).toBe("quiet");
    expect(() => parse({}, { env: { BUILDKIT_PROGRESS: "loud" } })).toThrow("BUILDKIT_PROGRESS");
  });

  it.each<[BuildFlags, object | undefined]>([
    [{}, undefined],
    [{ call: "build" }, undefined],
    [{ check: true }, CHECK],
    [{ call: "check,format=json" }, { ...CHECK, format: "json" }],
    [{ call: "format=json,lint" }, { ...CHECK, format: "json" }],
    [{ call: "check", check: true }, CHECK],
    [{ call: "check,ignorestatus=true" }, { ...CHECK, ignoreStatus: true }],
    [{ call: "outline" }, { ...CHECK, method: "outline" }],
    [{ call: "targets,format=text" }, { ...CHECK, method: "targets" }],
    [{ call: "subrequests.describe" }, { ...CHECK, method: "subrequests.describe" }],
  ])("calls for %j", (flags, expected) => expect(parse(flags).call).toEqual(expected));
});
