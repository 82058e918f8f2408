/**
 * Replays a made-up build on this terminal, to look at a renderer: bundle it with esbuild and run it with `tty` or `plain`
 * and, optionally, `fail`.
 */
import { digestOf } from "../../src/base/index.js";
import { createPlainRenderer, createTtyRenderer, type ProgressEvent } from "../../src/progress/index.js";

const clock = {
  now: () => Date.now(),
  after: (ms: number, callback: () => void) => {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
};
const color = !process.env.NO_COLOR;
const window = () => ({ columns: process.stderr.columns ?? 80, rows: process.stderr.rows ?? 24 });
const renderer =
  process.argv[2] === "plain"
    ? createPlainRenderer(process.stderr, { clock, color: false })
    : createTtyRenderer(process.stderr, { clock, color, window });

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const emit = (event: ProgressEvent) => renderer.emit(event);
const vertex = (name: string) => ({ digest: digestOf(name), name, inputs: [] });
const end = (name: string, message?: string) =>
  emit({
    type: "vertex-completed",
    vertex: digestOf(name),
    at: clock.now(),
    outcome: message ? { kind: "error", message } : { kind: "done" },
  });

async function step(name: string, lines: number, message?: string): Promise<void> {
  emit({ type: "vertex-started", vertex: vertex(name), at: clock.now() });
  for (let i = 0; i < lines; i++) {
    await wait(120);
    const text =
      i % 5 === 4
        ? `\x1b[33mwarning\x1b[0m: 警告 🚀 wide characters in line ${i} of ${name}\n`
        : `line ${i} of ${name}\n`;
    emit({ type: "log", vertex: digestOf(name), at: clock.now(), fd: 1, chunk: Buffer.from(text) });
  }
  end(name, message);
}

async function pull(name: string): Promise<void> {
  const startedAt = clock.now();
  emit({ type: "vertex-started", vertex: vertex(name), at: startedAt });
  const total = 30_400_000;
  for (let current = 0; current <= total; current += total / 20) {
    for (const id of ["sha256:9f3a8c0d1e2b", "sha256:44d1b7aa0c9f"]) {
      const done = current === total;
      emit({
        type: "status",
        vertex: digestOf(name),
        id,
        at: clock.now(),
        current,
        total,
        unit: "bytes",
        startedAt,
        done,
      });
    }
    await wait(80);
  }
  end(name);
}

emit({ type: "vertex-started", vertex: vertex("[internal] load build definition from Dockerfile"), at: clock.now() });
end("[internal] load build definition from Dockerfile");
emit({
  type: "vertex-cached",
  vertex: vertex("[base 1/3] FROM docker.io/library/node:20@sha256:0123456789abcdef"),
  at: clock.now(),
});
emit({
  type: "warning",
  vertex: undefined,
  warning: {
    rule: "JSONArgsRecommended",
    message: "JSON arguments recommended for CMD",
    file: "Dockerfile",
    startLine: 9,
  },
});
await Promise.all([
  pull("[tools 1/2] FROM docker.io/library/alpine:3.20"),
  step("[base 2/3] RUN npm ci && npm run build -- --configuration=production --verbose", 30),
  step("[docs 2/4] RUN make 文書 documentation", 20),
]);
const failing = process.argv[3] === "fail";
await step("[base 3/3] RUN ./test.sh", 12, failing ? "exit code: 2" : undefined);
if (failing) {
  const text = "FROM node:20 AS base\nCOPY . /src\nRUN npm ci && \\\n  npm run build\nRUN ./test.sh\nCMD node .\n";
  renderer.finish({
    kind: "failed",
    message: 'process "/bin/sh -c ./test.sh" did not complete successfully: exit code: 2',
    source: { file: "Dockerfile", text, startLine: 5, endLine: 5 },
  });
} else {
  renderer.finish({
    kind: "built",
    image: { names: ["docker.io/library/app:latest"], digest: digestOf("app"), sizeBytes: 181_234_567 },
    places: [{ kind: "store", name: "app" }],
  });
}
