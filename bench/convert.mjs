// How long Dockerfiles take to be read and converted to graphs: wall time the first time and the fastest of N
// rounds, and the processor's time, in milliseconds; and that time and memory grow with the file and no faster.
//
//   node bench/convert.mjs [ROUNDS]
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const FILES = {
  "200 stages, 2,000 lines": () => stages(200, 10),
  "2,000 stages, 20,000 lines": () => stages(2_000, 10),
  "5,000 stages upon each other": () => chain(5_000),
  "10,000 RUN in one stage": () => `FROM scratch\n${lines(10_000, (n) => `RUN make ${n}`)}`,
  "2,000 RUN under 500 ENV": () =>
    `FROM scratch\n${lines(500, (n) => `ENV V${n}=${n}`)}${lines(2_000, (n) => `RUN make ${n}`)}`,
  "100,000 ENV": () => `FROM scratch\n${lines(100_000, (n) => `ENV V${n}=${n}`)}`,
  "190,000 ENV": () => `FROM scratch\n${lines(190_000, (n) => `ENV V${n}=${n}`)}`,
  "190,000 LABEL of one name": () => `FROM scratch\n${lines(190_000, (n) => `LABEL a=${n}`)}`,
  "50,000 LABEL": () => `FROM scratch\n${lines(50_000, (n) => `LABEL l${n}=${n}`)}`,
  "50,000 undefined variables": () => `FROM scratch\n${lines(50_000, (n) => `ENV V${n}=$W${n}`)}`,
  "50,000 EXPOSE and VOLUME": () => `FROM scratch\n${lines(50_000, (n) => `EXPOSE ${n}\nVOLUME /v${n}`)}`,
};

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const rounds = Number(process.argv[2] ?? 10);
const directory = fs.mkdtempSync(path.join(root, "node_modules/.bench-"));
try {
  const outfile = path.join(directory, "frontend.mjs");
  const entryPoints = [path.join(root, "src/frontend/index.ts")];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", external: ["koffi"] });
  const { createDockerfileFrontend } = await import(pathToFileURL(outfile).href);
  console.log(`${os.cpus().length} cores, Node ${process.versions.node}`);
  for (const [name, write] of Object.entries(FILES)) {
    const text = write();
    const times = [];
    for (let round = 0; round < (text.length > 1e6 ? 2 : rounds); round++)
      times.push(await timed(() => convert(createDockerfileFrontend(), text)));
    const figures = [
      times[0].wall,
      Math.min(...times.map(({ wall }) => wall)),
      Math.min(...times.map(({ cpu }) => cpu)),
    ];
    const [first, best, cpu] = figures.map((ms) => ms.toFixed(0).padStart(6));
    const megabytes = (process.memoryUsage().heapUsed / 1e6).toFixed(0);
    console.log(`${name.padEnd(32)} first ${first}  best ${best}  cpu ${cpu}  ${megabytes.padStart(6)} MB`);
  }
} finally {
  fs.rmSync(directory, { recursive: true, force: true });
}

/** Stages as they are in real files: settings, steps, copies from one stage and from the context. */
function stages(count, length) {
  const step = (stage, n) =>
    [
      `ENV STAGE_${stage}_${n}=\${VERSION:-1}-$PATH`,
      `RUN --mount=type=cache,target=/cache make -j4 "target-${n}" && echo done`,
      `COPY src/${n} /app/${n}/`,
      stage > 0 ? `COPY --from=stage${stage - 1} /app/0 /from/${n}` : "WORKDIR /app",
      `LABEL org.example.${n}="stage ${stage}"`,
    ][n % 5];
  const texts = Array.from({ length: count }, (_, stage) => {
    const from = `FROM ${stage % 4 === 3 ? `stage${stage - 1}` : "base"} AS stage${stage}\nARG VERSION\n`;
    return from + lines(length - 2, (n) => step(stage, n));
  });
  return `ARG VERSION=3\n${texts.join("")}`;
}

function chain(count) {
  return `FROM base AS s0\n${lines(count, (n) => `FROM s${n} AS s${n + 1}\nENV V${n}=1\nLABEL l${n}=1`)}`;
}

function lines(count, line) {
  return Array.from({ length: count }, (_, n) => `${line(n)}\n`).join("");
}

async function convert(frontend, text) {
  const digest = `sha256:${"0".repeat(64)}`;
  const config = {
    architecture: "amd64",
    os: "linux",
    config: { Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: [digest] },
    history: [{ created_by: "base" }],
  };
  const bridge = {
    resolveImageConfig: async (identifier) => ({ identifier: `${identifier}@${digest}`, digest, config }),
    readFile: async () => undefined,
    sourceTime: async () => undefined,
    warn: () => {},
  };
  const request = {
    dockerfile: { name: "Dockerfile", text },
    buildArgs: new Map(),
    labels: new Map(),
    contexts: new Map(),
    platforms: [],
    buildPlatform: { os: "linux", architecture: "amd64" },
    noCache: false,
    network: "default",
    extraHosts: [],
    ulimits: [],
  };
  return frontend.solve(request, bridge);
}

async function timed(work) {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wall: performance.now() - start, cpu: (user + system) / 1000 };
}
