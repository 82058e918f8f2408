import { type Command, Option } from "commander";
import type { CreateFlags, InspectFlags } from "./commands/imagetools.js";
import type { AnnotateFlags, ManifestFlags } from "./commands/manifest.js";
import type { Surroundings } from "./surroundings.js";

type Done = (code: number) => void;

/** The commands for images that are in registries, and stay there. */
export function addImageToolCommands(program: Command, surroundings: Surroundings, done: Done): void {
  addImageTools(program.command("imagetools").description("look at and make images in registries"), surroundings, done);
  addManifest(program.command("manifest").description("make lists of manifests and push them"), surroundings, done);
}

function addImageTools(tools: Command, surroundings: Surroundings, done: Done): void {
  addDebug(tools.command("inspect"))
    .argument("<name>", "an image in a registry, or oci-layout://DIR")
    .description("show what an image is")
    .option("--raw", "the document itself")
    .option("--format <template>", "a Go template of .Name, .Manifest, .Image, .SBOM, .Provenance; or json")
    .addOption(new Option("--builder <name>").hideHelp())
    .action(async (name: string, _options: unknown, command: Command) => {
      const { inspectImageCommand } = await import("./commands/imagetools.js");
      done(await inspectImageCommand(command.optsWithGlobals<InspectFlags>(), name, surroundings));
    });
  addDebug(tools.command("create"))
    .argument("[source...]", "images, digests, descriptors as JSON, or oci-layout://DIR")
    .description("make one image of several")
    .addOption(list("-t, --tag <name>", "what it is called"))
    .addOption(list("-f, --file <file>", "read a source from a file"))
    .addOption(
      list("--annotation <key=value>", "annotate it: index:KEY=VALUE or manifest-descriptor[PLATFORM]:KEY=VALUE"),
    )
    .addOption(list("-p, --platform <os/arch>", "keep these platforms only"))
    .option("--append", "add to the image that has the first tag")
    .option("--dry-run", "show the result, write nothing")
    .addOption(new Option("--prefer-index", "make an index of a single manifest, too").default(true))
    .addOption(new Option("--no-prefer-index").hideHelp())
    .option("--progress <type>", "auto, tty, plain, quiet, none or rawjson (BUILDKIT_PROGRESS)")
    .option("--metadata-file <file>", "write what was made to a file, as JSON")
    .addOption(new Option("--builder <name>").hideHelp())
    .action(async (sources: readonly string[], _options: unknown, command: Command) => {
      const { createImageCommand } = await import("./commands/imagetools.js");
      done(await createImageCommand(command.optsWithGlobals<CreateFlags>(), sources, surroundings));
    });
}

function addManifest(manifest: Command, surroundings: Surroundings, done: Done): void {
  addInsecure(manifest.command("create"))
    .argument("<list>", "the list's name")
    .argument("<manifest...>", "images of one platform each")
    .description("pick manifests for a new list")
    .option("-a, --amend", "add to a list that is there")
    .action(async (name: string, manifests: readonly string[], _options: unknown, command: Command) => {
      const { createListCommand } = await import("./commands/manifest.js");
      const flags = command.optsWithGlobals<ManifestFlags & { amend?: boolean }>();
      done(await createListCommand(flags, [name, ...manifests], surroundings));
    });
  addDebug(manifest.command("annotate"))
    .argument("<list>", "a list that is not pushed yet")
    .argument("<manifest>", "one of its manifests")
    .description("say more of a manifest of a list")
    .option("--arch <arch>", "its architecture")
    .option("--os <os>", "its operating system")
    .addOption(list("--os-features <feature>", "what the operating system must have"))
    .option("--os-version <version>", "the operating system's version")
    .option("--variant <variant>", "the architecture's variant")
    .action(async (name: string, inner: string, _options: unknown, command: Command) => {
      const { annotateCommand } = await import("./commands/manifest.js");
      done(await annotateCommand(command.optsWithGlobals<AnnotateFlags>(), [name, inner], surroundings));
    });
  addInsecure(manifest.command("inspect"))
    .argument("<name>", "a list that is not pushed yet, or an image in a registry")
    .argument("[manifest]", "a manifest of that list")
    .description("show a manifest or a list")
    .option("-v, --verbose", "each manifest with its layers and platform")
    .action(async (name: string, inner: string | undefined, _options: unknown, command: Command) => {
      const { inspectManifestCommand } = await import("./commands/manifest.js");
      const flags = command.optsWithGlobals<ManifestFlags & { verbose?: boolean }>();
      done(await inspectManifestCommand(flags, inner === undefined ? [name] : [name, inner], surroundings));
    });
  addInsecure(manifest.command("push"))
    .argument("<list>", "a list that is not pushed yet")
    .description("push a list and what it needs")
    .option("-p, --purge", "forget the list afterwards")
    .action(async (name: string, _options: unknown, command: Command) => {
      const { pushListCommand } = await import("./commands/manifest.js");
      done(await pushListCommand(command.optsWithGlobals<ManifestFlags & { purge?: boolean }>(), name, surroundings));
    });
  addDebug(manifest.command("rm"))
    .argument("<list...>", "lists that are not pushed yet")
    .description("forget lists")
    .action(async (names: readonly string[]) => {
      const { removeListsCommand } = await import("./commands/manifest.js");
      done(await removeListsCommand(names, surroundings));
    });
}

function addInsecure(command: Command): Command {
  return addDebug(command).option("--insecure", "trust any certificate, or speak in the clear");
}

function addDebug(command: Command): Command {
  return command.option("-D, --debug", "show what caused an error");
}

/** A flag that may be given several times. */
function list(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, previous: unknown) =>
    Array.isArray(previous) ? [...previous, value] : [value],
  );
}
