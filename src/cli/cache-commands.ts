import type { Command } from "commander";
import type {
  ExportMountFlags,
  ImportMountFlags,
  ListMountsFlags,
  RemoveMountsFlags,
} from "./commands/cache-mounts.js";
import { addCommon } from "./common-flags.js";
import type { Surroundings } from "./surroundings.js";

type Done = (code: number) => void;

/** `ashlar cache …`: what steps keep from one build to the next. */
export function addCacheCommands(program: Command, surroundings: Surroundings, done: Done): void {
  const cache = program.command("cache").description("look after what steps keep between builds");
  const mounts = cache.command("mounts").description("the cache mounts of steps (RUN --mount=type=cache), by id");
  const load = () => import("./commands/cache-mounts.js");
  addCommon(mounts.command("ls").alias("list"))
    .description("list cache mounts")
    .option("-q, --quiet", "only ids")
    .option("--format <form>", "table, json, or a Go template")
    .action(async (_options: unknown, self: Command) =>
      done(await (await load()).listMountsCommand(self.optsWithGlobals<ListMountsFlags>(), surroundings)),
    );
  addCommon(mounts.command("du"))
    .description("list cache mounts and what they take together")
    .action(async (_options: unknown, self: Command) => {
      const flags = { ...self.optsWithGlobals<ListMountsFlags>(), total: true };
      done(await (await load()).listMountsCommand(flags, surroundings));
    });
  addCommon(mounts.command("rm").alias("remove").argument("[id...]", "as in the Dockerfile; without id= the target"))
    .description("remove cache mounts that no step is using")
    .option("-a, --all", "all of them")
    .action(async (ids: readonly string[], _options: unknown, self: Command) =>
      done(await (await load()).removeMountsCommand(self.optsWithGlobals<RemoveMountsFlags>(), ids, surroundings)),
    );
  addCommon(mounts.command("export").argument("<id>", "a cache mount"))
    .description("write the files of a cache mount to a tar archive (default: to standard output)")
    .option("-o, --output <file>", "the archive")
    .action(async (id: string, _options: unknown, self: Command) =>
      done(await (await load()).exportMountCommand(self.optsWithGlobals<ExportMountFlags>(), id, surroundings)),
    );
  addCommon(mounts.command("import").argument("<id>", "a cache mount, there or not"))
    .description("fill a cache mount with the files of a tar archive (default: from standard input)")
    .option("-i, --input <file>", "the archive")
    .action(async (id: string, _options: unknown, self: Command) =>
      done(await (await load()).importMountCommand(self.optsWithGlobals<ImportMountFlags>(), id, surroundings)),
    );
}
