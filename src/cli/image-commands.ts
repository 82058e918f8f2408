import { type Command, Option } from "commander";
import type { EngineFlags } from "./commands/engine-flags.js";
import type { HistoryFlags } from "./commands/image-history.js";
import type { ImportFlags } from "./commands/image-import.js";
import type { InspectFlags } from "./commands/image-inspect.js";
import type { PruneImagesFlags } from "./commands/image-prune.js";
import type { PullFlags } from "./commands/image-pull.js";
import type { PushFlags } from "./commands/image-push.js";
import type { RemoveFlags } from "./commands/image-remove.js";
import type { SaveFlags } from "./commands/image-save.js";
import type { ImagesFlags } from "./commands/images.js";
import type { LoadFlags } from "./commands/load.js";
import { addCommon, list } from "./common-flags.js";
import type { Surroundings } from "./surroundings.js";

type Done = (code: number) => void;

/** Where a command stands: by itself (`ashlar rmi`), or among those of `ashlar image`, where some have other names. */
interface Place {
  readonly parent: Command;
  readonly surroundings: Surroundings;
  readonly done: Done;
}

/** The commands of the local image store, each also as one of `ashlar image`. */
export function addImageCommands(program: Command, surroundings: Surroundings, done: Done): void {
  const outer = { parent: program, surroundings, done };
  addList(outer, "images");
  addShared(outer);
  addRemove(outer, "rmi", []);
  const image = program.command("image").description("manage images: ls, rm, inspect, prune and the commands above");
  const inner = { parent: image, surroundings, done };
  addList(inner, "ls", "list");
  addShared(inner);
  addRemove(inner, "rm", ["remove"]);
  addPrune(inner);
}

function addShared(place: Place): void {
  addPull(place);
  addPush(place);
  addTag(place);
  addSave(place);
  addLoad(place);
  addImport(place);
  addInspect(place);
  addHistory(place);
}

function addList({ parent, surroundings, done }: Place, name: string, alias?: string): void {
  const command = addCommon(
    parent.command(name).argument("[name]", "only images of this name, which may be a pattern"),
  );
  if (alias) command.alias(alias);
  command
    .description("list images")
    .option("-a, --all", "all images (there are no hidden ones)")
    .option("-q, --quiet", "only ids")
    .option("--digests", "show digests")
    .option("--no-trunc", "whole ids")
    .addOption(list("-f, --filter <key=value>", "reference, dangling, label, before, since or until"))
    .option("--format <form>", "table, json, or a Go template: '{{.Repository}}:{{.Tag}}'")
    .action(async (only: string | undefined, _options: unknown, self: Command) => {
      const { imagesCommand } = await import("./commands/images.js");
      done(await imagesCommand(self.optsWithGlobals<ImagesFlags>(), only, surroundings));
    });
}

function addRemove({ parent, surroundings, done }: Place, name: string, aliases: readonly string[]): void {
  addCommon(parent.command(name).aliases(aliases).argument("<image...>", "names or ids"))
    .description("remove images")
    .option("-f, --force", "also with several names, and while a build uses it")
    .option("--no-prune", "leave what they consist of for a later prune")
    .action(async (images: readonly string[], _options: unknown, self: Command) => {
      const { removeCommand } = await import("./commands/image-remove.js");
      done(await removeCommand(self.optsWithGlobals<RemoveFlags>(), images, surroundings));
    });
}

function addPrune({ parent, surroundings, done }: Place): void {
  addCommon(parent.command("prune"))
    .description("remove dangling images")
    .option("-a, --all", "all images that no running build uses")
    .option("-f, --force", "do not ask")
    .addOption(list("--filter <key=value>", "until, label or label!"))
    .action(async (_options: unknown, self: Command) => {
      const { pruneImagesCommand } = await import("./commands/image-prune.js");
      done(await pruneImagesCommand(self.optsWithGlobals<PruneImagesFlags>(), surroundings));
    });
}

function addPull({ parent, surroundings, done }: Place): void {
  addWork(parent.command("pull").argument("<name>", "an image of a registry"))
    .description("download an image")
    .option("-a, --all-tags", "all images of the repository")
    .option("--platform <os/arch>", "its platform (default: this machine's)")
    .addOption(new Option("--disable-content-trust").hideHelp())
    .action(async (name: string, _options: unknown, self: Command) => {
      const { pullCommand } = await import("./commands/image-pull.js");
      done(await pullCommand(self.optsWithGlobals<PullFlags>(), name, surroundings));
    });
}

function addPush({ parent, surroundings, done }: Place): void {
  addWork(parent.command("push").argument("<name>", "an image of the local store"))
    .description("upload an image")
    .option("-a, --all-tags", "all tags of the repository")
    .option("--platform <os/arch>", "only this of several")
    .addOption(new Option("--disable-content-trust").hideHelp())
    .action(async (name: string, _options: unknown, self: Command) => {
      const { pushCommand } = await import("./commands/image-push.js");
      done(await pushCommand(self.optsWithGlobals<PushFlags>(), name, surroundings));
    });
}

function addTag({ parent, surroundings, done }: Place): void {
  addCommon(parent.command("tag").argument("<image>", "a name or id").argument("<name>", "its further name"))
    .description("give an image one more name")
    .action(async (image: string, name: string, _options: unknown, self: Command) => {
      const { tagCommand } = await import("./commands/image-tag.js");
      done(await tagCommand(self.optsWithGlobals<EngineFlags>(), [image, name], surroundings));
    });
}

function addSave({ parent, surroundings, done }: Place): void {
  addWork(parent.command("save").argument("<image...>", "names or ids"))
    .description("write images to an archive (default: to standard output)")
    .option("-o, --output <file>", "the archive")
    .addOption(list("--platform <os/arch>", "only these platforms"))
    .action(async (images: readonly string[], _options: unknown, self: Command) => {
      const { saveCommand } = await import("./commands/image-save.js");
      done(await saveCommand(self.optsWithGlobals<SaveFlags>(), images, surroundings));
    });
}

function addLoad({ parent, surroundings, done }: Place): void {
  addWork(parent.command("load"))
    .description("load images from an archive (default: from standard input)")
    .option("-i, --input <file>", "the archive, docker's or OCI's, or a layout directory")
    .option("-t, --tag <name>", "the image's name, in place of those in the archive")
    .addOption(list("--platform <os/arch>", "only these platforms"))
    .action(async (_options: unknown, self: Command) => {
      const { loadCommand } = await import("./commands/load.js");
      done(await loadCommand(self.optsWithGlobals<LoadFlags>(), surroundings));
    });
}

function addImport({ parent, surroundings, done }: Place): void {
  addWork(parent.command("import").argument("<file>", "a tar archive, or -").argument("[name]", "the image's name"))
    .description("make an image of the files in an archive")
    .addOption(list("-c, --change <instruction>", "an instruction of a Dockerfile: 'CMD [\"sh\"]'"))
    .option("-m, --message <text>", "what its history says")
    .option("--platform <os/arch>", "its platform (default: this machine's)")
    .action(async (file: string, name: string | undefined, _options: unknown, self: Command) => {
      const { importCommand } = await import("./commands/image-import.js");
      done(await importCommand(self.optsWithGlobals<ImportFlags>(), [file, name], surroundings));
    });
}

function addInspect({ parent, surroundings, done }: Place): void {
  addCommon(parent.command("inspect").argument("<image...>", "names or ids"))
    .description("show all that is known of images")
    .option("-f, --format <form>", "json, or a Go template: '{{.Config.Env}}'")
    .option("--platform <os/arch>", "of several")
    .addOption(new Option("--type <type>").hideHelp())
    .action(async (images: readonly string[], _options: unknown, self: Command) => {
      const { inspectCommand } = await import("./commands/image-inspect.js");
      done(await inspectCommand(self.optsWithGlobals<InspectFlags>(), images, surroundings));
    });
}

function addHistory({ parent, surroundings, done }: Place): void {
  addCommon(parent.command("history").argument("<image>", "a name or id"))
    .description("show how an image was made")
    .option("-q, --quiet", "only ids")
    .option("--no-trunc", "whole ids and instructions")
    .option("-H, --human", "sizes and dates for people (default)")
    .addOption(new Option("--no-human").hideHelp())
    .option("--format <form>", "table, json, or a Go template")
    .option("--platform <os/arch>", "of several")
    .action(async (image: string, _options: unknown, self: Command) => {
      const { historyCommand } = await import("./commands/image-history.js");
      done(await historyCommand(self.optsWithGlobals<HistoryFlags>(), image, surroundings));
    });
}

/** The flags of commands that show how far they are. */
function addWork(command: Command): Command {
  return addCommon(command)
    .option("-q, --quiet", "show nothing but the result")
    .option("--progress <type>", "auto, tty, plain, quiet, none or rawjson (BUILDKIT_PROGRESS)");
}
