import { expect } from "vitest";
import type { TestRegistry } from "../registry/docker-registry.js";
import { GHA_TOKEN, startGha } from "../remote-cache/gha-server.js";
import { S3_KEY, S3_SECRET, startS3 } from "../remote-cache/s3-server.js";
import { World } from "./world.js";

/** Where a cache lies that outlasts whoever writes it, as the values of --cache-to and --cache-from. */
export interface CachePlace {
  readonly to: string;
  readonly from: string;
}

/** A place of every type, and what holds them. */
export interface CachePlaces extends AsyncDisposable {
  readonly all: readonly CachePlace[];
}

/** A directory of WORLD, servers of this process's own, and REGISTRY. */
export async function startCachePlaces(world: World, registry: TestRegistry | undefined): Promise<CachePlaces> {
  const [s3, gha] = await Promise.all([startS3(), startGha()]);
  const directory = world.path("cache");
  const bucket = `bucket=bucket,region=eu,endpoint_url=${s3.endpoint},use_path_style=true`;
  const places = [
    { to: `type=local,dest=${directory}`, from: `type=local,src=${directory}` },
    ...[
      `type=s3,${bucket},access_key_id=${S3_KEY},secret_access_key=${S3_SECRET}`,
      `type=gha,url_v2=${gha.url},token=${GHA_TOKEN}`,
      ...(registry ? [`type=registry,ref=${registry.name}/app:cache`] : []),
    ].map((place) => ({ to: place, from: place })),
  ];
  return {
    all: places.map(({ to, from }) => ({ to: `${to},mode=max`, from })),
    async [Symbol.asyncDispose]() {
      await Promise.all([s3[Symbol.asyncDispose](), gha[Symbol.asyncDispose]()]);
    },
  };
}

/** Builds CONTEXT elsewhere into DIRECTORY (of the machine that it calls LOOK with) from a cache, which must be whole: it has STEP. */
export async function buildFrom(
  place: CachePlace,
  { context, step, look }: { readonly context: string; readonly step: string; readonly look: (out: string) => void },
): Promise<void> {
  await using machine = new World();
  const out = machine.path("out");
  const { code, stderr } = await machine.build(["--cache-from", place.from, "-o", out, context]);
  expect(code, `${place.from}: ${stderr}`).toBe(0);
  expect(stderr).not.toMatch(/failed to import|is not used any more|a cached step is made again/);
  const number = stderr.split("\n").flatMap((line) => (line.includes(`] ${step}`) ? line.split(" ")[0] : []))[0];
  expect(stderr, `${place.from} lacks ${step}`).toContain(`\n${number} CACHED\n`);
  look(out);
}
