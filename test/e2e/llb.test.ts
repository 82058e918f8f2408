import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { beforeEach, expect, test } from "vitest";
import { map, mapValue, message, nested, text } from "../../src/llb/protobuf.js";
import { startDocker } from "./docker.js";
import { ASHLAR, BASE_LAYOUT, findProgram, needs, needsPeer, run, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const BASE = ["--build-context", `base=oci-layout://${BASE_LAYOUT}:latest`];

test("debug dump-llb prints the graph of a Dockerfile, and builds nothing", async () => {
  const directory = world.files({ Dockerfile: "FROM base AS one\nRUN exit 1\nFROM one\nCOPY f /f\n" });
  const dumped = await world.ashlar(["debug", "dump-llb", ...BASE, "--no-cache-filter=one", directory]);
  expect(dumped).toMatchObject({ code: 0, stderr: "" });
  const [head, ...ops] = dumped.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(ops.map(({ name, op, ignoreCache }) => [op.kind, name, ignoreCache ?? false])).toEqual([
    ["source", "[context base] OCI load from client", false],
    ["exec", "[one 1/2] RUN exit 1", true],
    ["source", "[internal] load build context", false],
    ["file", "[stage-1 1/1] COPY f /f", false],
  ]);
  expect(head.result.digest).toBe(ops.at(-1).digest);
  expect(await world.ashlar(["debug", "dump-llb", ...BASE, "--no-cache-filter=one", directory])).toEqual(dumped);
});

test("debug dump-llb takes a Dockerfile on standard input, a target and arguments, and tells what is wrong with it", async () => {
  const input = "ARG A=1\nFROM scratch AS x\nARG A\nWORKDIR /$A\nFROM nowhere\n";
  const words = ["debug", "dump-llb", "--target=x", "--build-arg", "A=two", "-"];
  const { code, stdout } = await world.ashlar(words, { input });
  expect(code).toBe(0);
  expect(stdout).toContain('"path":"/two"');
  expect(await world.ashlar(["debug", "dump-llb", "-"], { input: "FROM scratch\nRUNN x\n" })).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/>>> RUNN x[\s\S]*unknown instruction: RUNN/),
  });
  expect(await world.ashlar(["debug", "dump-llb", "--format=xml", "-"])).toMatchObject({ code: 125 });
  expect(await world.ashlar(["debug"])).toMatchObject({ code: 0, stdout: expect.stringContaining("dump-llb") });
});

test("debug dump-llb writes the bytes of one definition", async (context) => {
  needs(context, "protoc");
  const directory = world.files({ Dockerfile: "FROM base\nRUN true\n" });
  const form = ["debug", "dump-llb", ...BASE, "--format=protobuf"];
  const file = world.path("graph.pb");
  const shell = await run(["sh", "-c", `"$@" >${file}`, "sh", ASHLAR, ...form, "--root", world.root, directory]);
  expect(shell).toMatchObject({ code: 0 });
  const raw = await run(["protoc", "--decode_raw"], { input: fs.readFileSync(file) });
  expect(raw.stdout).toContain("[1/2] RUN true");
  const two = await world.ashlar([...form, "--platform=linux/amd64,linux/arm64", directory]);
  expect(two).toMatchObject({ code: 125, stderr: expect.stringContaining("one platform") });
});

test("BuildKit solves the bytes to the image that they mean", async (context) => {
  needsPeer(context, "dockerd");
  needs(context, "busybox");
  await using docker = await startDocker(context, world);
  await using server = await serve(findProgram("busybox") ?? "");
  const directory = world.files({
    Dockerfile: [
      "FROM scratch AS tools",
      `ADD --chmod=755 ${server.url}/busybox /bin/busybox`,
      "FROM tools",
      "WORKDIR /w",
      "COPY <<X /greeting",
      "hello",
      "X",
      "COPY --from=tools --chown=7:8 /bin/busyb* /copied/",
      "RUN --network=none --mount=type=cache,target=/c --mount=type=tmpfs,target=/t \\",
      '  ["/bin/busybox", "sh", "-c", "busybox cat /greeting >made; busybox stat -c %u:%g /copied/busybox >>made; pwd >>made"]',
    ].join("\n"),
  });
  const file = world.path("graph.pb");
  const words = ["sh", "-c", `"$@" >${file}`, "sh", ASHLAR, "debug", "dump-llb", "--format=protobuf"];
  expect(await run([...words, "--root", world.root, directory])).toMatchObject({ code: 0 });
  expect(await solve(docker.socket, fs.readFileSync(file), "solved")).toBe("0");
  const ran = await docker.run("run", "--rm", "--network=none", "solved", "/bin/busybox", "cat", "/w/made");
  if (ran.code === 125) context.skip(`dockerd can't run containers here: ${ran.stderr.trim()}`);
  expect(ran).toMatchObject({ code: 0, stdout: "hello\n7:8\n/w\n" });
});

async function serve(file: string): Promise<AsyncDisposable & { readonly url: string }> {
  const server = http.createServer((_request, response) => response.end(fs.readFileSync(file)));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Has dockerd's BuildKit solve DEFINITION to the image NAME; the status of the call, `0` where it went well. */
async function solve(socket: string, definition: Uint8Array, name: string): Promise<string> {
  const request = message(
    text(1, `ref-${process.pid}`),
    nested(2, definition),
    text(3, "moby"),
    map(4, new Map([["name", `docker.io/library/${name}:latest`]]), mapValue),
  );
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(request.length, 1);
  const connection = await upgrade(socket);
  const session = http2.connect("http://docker", { createConnection: () => connection });
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": "/moby.buildkit.v1.Control/Solve",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(Buffer.concat([frame, request]));
    stream.resume();
    return await new Promise<string>((resolve, reject) => {
      const end = (headers: http2.IncomingHttpHeaders) => {
        const status = headers["grpc-status"];
        if (status !== undefined) resolve([status, headers["grpc-message"]].filter(Boolean).join(" "));
      };
      stream.on("response", end).on("trailers", end).on("error", reject);
    });
  } finally {
    session.close();
  }
}

/** A connection to dockerd's gRPC server. */
function upgrade(socketPath: string): Promise<Duplex> {
  const headers = { Connection: "Upgrade", Upgrade: "h2c" };
  const request = http.request({ socketPath, path: "/grpc", method: "POST", headers });
  return new Promise((resolve, reject) => {
    request.on("upgrade", (_response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.on("error", reject).on("response", ({ statusCode }) => reject(new Error(`no upgrade: ${statusCode}`)));
    request.end();
  });
}
