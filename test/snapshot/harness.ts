import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { EngineError, type ErrorCode } from "../../src/base/index.js";
import { type StateDirs, stateDirs } from "../../src/snapshot/state-dirs.js";
import type { LayerId, Tree } from "../../src/snapshot/tree.js";
import type { testJobs } from "./layer-worker.js";

type Jobs = typeof testJobs;

/** How layers become file systems; where they are copied, also on a file system that refuses whiteouts as devices. */
export type Ground = "overlay" | "native" | "native on overlay";

/** A thread like the data plane's, with a state directory of its own and jobs that only tests need. */
export class Harness implements AsyncDisposable {
  readonly dirs: StateDirs;
  readonly #worker: Worker;
  readonly #calls = new Map<number, { resolve(value: never): void; reject(error: unknown): void }>();
  #ids = 0;
  #layers = 0;

  static async start(ground: Ground): Promise<Harness> {
    return new Harness(ground, await bundle());
  }

  private constructor(ground: Ground, code: string) {
    this.dirs = stateDirs(fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-layers-")));
    for (const directory of [this.dirs.layers, path.join(this.dirs.layers, "empty"), this.dirs.mounts, this.dirs.tmp]) {
      fs.mkdirSync(directory);
    }
    this.#worker = new Worker(code, { eval: true, workerData: { dirs: this.dirs, ground } });
    this.#worker.on(
      "message",
      ({ id, value, error }: { id: number; value: never; error?: { code: ErrorCode; message: string } }) => {
        const call = this.#calls.get(id);
        this.#calls.delete(id);
        if (error) call?.reject(new EngineError(error.code, error.message));
        else call?.resolve(value);
      },
    );
    this.#worker.on("error", (error) => {
      for (const call of this.#calls.values()) call.reject(error);
    });
  }

  run<N extends keyof Jobs>(name: N, args: Parameters<Jobs[N]>[0]): Promise<Awaited<ReturnType<Jobs[N]>>> {
    const id = this.#ids++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#worker.postMessage({ id, name, args });
    });
  }

  newLayer(): LayerId {
    return ++this.#layers;
  }

  /** A committed layer on PARENTS that a shell script made. */
  async layer(parents: Tree, text: string): Promise<LayerId> {
    const layer = this.newLayer();
    await this.run("createLayer", { layer, parents });
    await this.run("script", { tree: parents, upper: layer, text });
    await this.run("commitLayer", { layer, parents });
    return layer;
  }

  /** A path for a temporary file. */
  file(name: string): string {
    return path.join(this.dirs.tmp, name);
  }

  layerDirectory(layer: LayerId): string {
    return path.join(this.dirs.layers, String(layer), "fs");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
    fs.rmSync(this.dirs.root, { recursive: true, force: true });
  }
}

let bundled: Promise<string> | undefined;

function bundle(): Promise<string> {
  bundled ??= (async () => {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const { outputFiles } = await build({
      entryPoints: [path.join(root, "test/snapshot/layer-worker.ts")],
      write: false,
      bundle: true,
      platform: "node",
      target: "node20",
      format: "cjs",
      external: ["koffi"],
      // Where `require` looks for packages from.
      define: { "import.meta.url": JSON.stringify(pathToFileURL(path.join(root, "package.json")).href) },
    });
    return outputFiles[0]?.text ?? "";
  })();
  return bundled;
}
