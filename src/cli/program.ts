import { Command, Option } from "commander";
import type { BuildFlags } from "./build-flags.js";
import { addCacheCommands } from "./cache-commands.js";
import type { DuFlags } from "./commands/du.js";
import type { DumpFlags } from "./commands/dump-llb.js";
import type { EngineFlags } from "./commands/engine-flags.js";
import type { PruneFlags } from "./commands/prune.js";
import type { RunFlags } from "./commands/run.js";
import { addCommon, list } from "./common-flags.js";
import { addExplain } from "./explain-command.js";
import { addImageCommands } from "./image-commands.js";
import { addImageToolCommands } from "./image-tool-commands.js";
import { addRegistryCommands } from "./registry-commands.js";
import { addShell } from "./shell-command.js";
import type { Surroundings } from "./surroundings.js";
import { UsageError } from "./usage-error.js";
import { readVersion } from "./version.js";

/**
 * The commands and their flags. A command's own code is loaded when it is called; what it does ends in DONE with the exit
 * code. Nothing is written by commander but help.
 */
export function createProgram(surroundings: Surroundings, done: (code: number) => void): Command {
  const program = new Command("ashlar")
    .description("Builds images from Dockerfiles, without a daemon.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: () => undefined,
      getOutHelpWidth: () => surroundings.stdout.columns ?? 100,
    })
    .enablePositionalOptions()
    .option("--root <dir>", "directory of images and cache (ASHLAR_ROOT)")
    .option("-D, --debug", "show what caused an error, and warnings in full");
  program.commandsGroup("Build and run:");
  addBuild(program, surroundings, done);
  addRun(program, surroundings, done);
  addShell(program, addBuildFlags, { surroundings, done });
  addExplain(program, addAllFlags, { surroundings, done });
  program.commandsGroup("Images:");
  addImageCommands(program, surroundings, done);
  program.commandsGroup("Registries:");
  addRegistryCommands(program, surroundings, done);
  addImageToolCommands(program, surroundings, done);
  program.commandsGroup("This machine:").helpCommand("help [command]", "show help, of a command if one is named");
  addStoreCommands(program, surroundings, done);
  addCacheCommands(program, surroundings, done);
  addDebug(program, surroundings, done);
  program
    .command("version")
    .description("show the version")
    .action(() => {
      surroundings.stdout.write(`ashlar ${readVersion()} (node ${process.version})\n`);
      done(0);
    });
  return program;
}

/** Flags of `docker buildx build` that are known and can't be followed yet. */
const UNSUPPORTED = ["policy <text>"];
/** Flags of older builders that mean nothing here: there are no containers to remove, no context to send. */
const IGNORED = ["rm", "force-rm", "compress", "builder <name>"];

function addBuild(program: Command, surroundings: Surroundings, done: (code: number) => void): void {
  const build = program
    .command("build")
    .alias("b")
    .argument("[path]", CONTEXT)
    .description("build an image from a Dockerfile");
  addOutputFlags(build);
  build
    .option("--check", "check the Dockerfile, build nothing")
    .option("--call <method>", "build, check, outline or targets, the last three with ,format=json")
    .option(
      "--plan [form]",
      "say what would run, and why, and run nothing: text or json; exits with 3 unless all is cached",
    );
  addSourceFlags(build);
  addTransferFlags(build);
  addSandboxFlags(build);
  addStepFlags(build);
  addCommon(build);
  for (const flag of [...UNSUPPORTED, ...IGNORED]) build.addOption(new Option(`--${flag}`).hideHelp());
  for (const name of UNSUPPORTED.map((flag) => flag.split(" ")[0])) {
    build.on(`option:${name}`, () => {
      throw new UsageError(`--${name} is not supported yet`);
    });
  }
  build.action(async (path: string | undefined, _options: unknown, command: Command) => {
    const { buildCommand } = await import("./commands/build.js");
    done(await buildCommand(command.optsWithGlobals<BuildFlags>(), path, surroundings));
  });
}

/** What is made, and what is told of it. */
function addOutputFlags(command: Command): void {
  command
    .addOption(list("-t, --tag <name>", "name of the image, NAME[:TAG]"))
    .addOption(list("--label <key=value>", "set a label of the image"))
    .addOption(
      list(
        "-o, --output <dest>",
        "where the result goes: type=local|tar|oci|docker,dest=PATH, type=image|registry, or DIR, or -",
      ),
    )
    .option("--load", "load the image into docker or podman")
    .option("--push", "push the image to its registries")
    .addOption(list("--annotation <key=value>", "annotate the image: [PLACE[PLATFORM]:]KEY=VALUE"))
    .option("-q, --quiet", "print nothing but the image id")
    .option("--iidfile <file>", "write the image id to a file")
    .option("--metadata-file <file>", "write what was built to a file, as JSON")
    .option("--progress <type>", "auto, tty, plain, quiet, none or rawjson (BUILDKIT_PROGRESS)");
}

function addTransferFlags(command: Command): void {
  command
    .addOption(list("--cache-from <spec>", "look for steps in another cache: NAME or type=registry|local|s3|gha,..."))
    .addOption(
      list("--cache-to <spec>", "keep steps for others: NAME or type=registry|local|inline|s3|gha,...[,mode=max]"),
    );
}

/** Also the flags that change nothing of a build's graph: so that the words of a build can be given to what only asks for that. */
function addAllFlags(command: Command): void {
  addBuildFlags(command);
  const needless = new Command();
  for (const add of [addOutputFlags, addTransferFlags, addStepFlags]) add(needless);
  for (const option of needless.options) command.addOption(option.hideHelp());
  for (const flag of IGNORED) command.addOption(new Option(`--${flag}`).hideHelp());
}

const CONTEXT =
  "the context: a directory, an address (git, http), or - for a Dockerfile or an archive on standard input";

/** What is built, and which of it anew. */
function addSourceFlags(command: Command): void {
  command
    .option("-f, --file <path>", "the Dockerfile (default: Dockerfile in the context; - for standard input)")
    .option("--target <stage>", "stop at this stage")
    .addOption(list("--build-arg <key=value>", "set a build argument; without =value, from the environment"))
    .addOption(
      list(
        "--build-context <name=value>",
        "a further context: a directory, an address, docker-image://NAME, oci-layout://DIR",
      ),
    )
    .addOption(list("--platform <os/arch>", "platforms to build for"))
    .option("--no-cache", "run every step")
    .addOption(list("--no-cache-filter <stage>", "run every step of these stages"))
    .option("--pull", "ask the registry for newer base images");
}

/** What the graph of a build depends on. */
function addBuildFlags(command: Command): void {
  addSourceFlags(command);
  addSandboxFlags(command);
  addCommon(command);
}

/** What steps find around them. */
function addSandboxFlags(command: Command): void {
  command
    .option("--network <mode>", "network of RUN: default, none or host")
    .addOption(list("--add-host <host:ip>", "a line for /etc/hosts of steps"))
    .option("--shm-size <bytes>", "size of /dev/shm of steps")
    .addOption(list("--ulimit <name=soft:hard>", "a resource limit of steps"))
    .option("--cgroup-parent <path>", "cgroup under which steps run");
}

function addDebug(program: Command, surroundings: Surroundings, done: (code: number) => void): void {
  const debug = program.command("debug").description("look at what builds are made of");
  const dump = debug
    .command("dump-llb")
    .argument("[path]", CONTEXT)
    .description("show the graph of a build, without building it")
    .option("--format <form>", "json, one object a line, or protobuf, BuildKit's pb.Definition", "json");
  addBuildFlags(dump);
  dump.action(async (path: string | undefined, _options: unknown, command: Command) => {
    const { dumpLlbCommand } = await import("./commands/dump-llb.js");
    done(await dumpLlbCommand(command.optsWithGlobals<DumpFlags>(), path, surroundings));
  });
}

function addStepFlags(build: Command): void {
  build
    .addOption(list("--secret <spec>", "a secret for steps: id=ID,src=FILE or id=ID,env=NAME"))
    .addOption(list("--ssh <spec>", "an ssh agent or key for steps: default or ID=PATH"))
    .addOption(list("--allow <name>", "grant network.host, security.insecure or device[=NAME]"))
    .addOption(list("--resource <key=value>", "bound steps: memory=2g, cpu-quota=50000, cpuset-cpus=0-3 ..."))
    .option("--max-parallelism <n>", "RUN steps at once")
    .option("--cache-max-size <size>", "what images and cache may take on disk: 20gb or 10% (ASHLAR_CACHE_MAX_SIZE)")
    .option("--isolation <kind>", "how steps run: oci or sandbox")
    .option("--on-error <what>", "shell: open a shell in the container of a RUN that fails (needs a terminal)")
    .addOption(list("--attest <spec>", "say something of the image: type=provenance,mode=max or type=sbom"))
    .option("--provenance <value>", "say how it was made: true, false, mode=min|max ... (default: false)")
    .option("--sbom <value>", "say what packages it holds: true or false (default: false)")
    .option("--sign <spec>", "sign what is pushed: key=FILE[,passphrase-file=FILE|passphrase-env=NAME]");
  for (const flag of OLD_RESOURCES) build.addOption(new Option(flag).hideHelp());
}

/** The bounds of steps as docker build had them before --resource. */
const OLD_RESOURCES = [
  "-m, --memory <bytes>",
  "--memory-swap <bytes>",
  "-c, --cpu-shares <n>",
  "--cpu-period <n>",
  "--cpu-quota <n>",
  "--cpuset-cpus <set>",
  "--cpuset-mems <set>",
];

function addRun(program: Command, surroundings: Surroundings, done: (code: number) => void): void {
  const run = program
    .command("run")
    .argument("<image>", "an image of the local store")
    .argument("[args...]", "its command")
    .description("run an image in the foreground")
    .passThroughOptions()
    .option("-i, --interactive", "keep standard input open")
    .option("-t, --tty", "give it a terminal")
    .addOption(list("-e, --env <key=value>", "set a variable; without =value, from the environment"))
    .addOption(list("-v, --volume <src:dst>", "mount a directory or file, SRC:DST[:ro]"))
    .option("-u, --user <user>", "run as this user")
    .option("-w, --workdir <dir>", "run in this directory")
    .option("--entrypoint <path>", "run this instead of the image's entrypoint")
    .option("--isolation <kind>", "oci or sandbox")
    .addOption(new Option("--rm").hideHelp());
  addCommon(run);
  run.action(async (image: string, args: readonly string[], _options: unknown, command: Command) => {
    const { runCommand } = await import("./commands/run.js");
    done(await runCommand(command.optsWithGlobals<RunFlags>(), [image, ...args], surroundings));
  });
}

function addStoreCommands(program: Command, surroundings: Surroundings, done: (code: number) => void): void {
  addCommon(program.command("prune"))
    .description("remove dangling images and build cache")
    .option("-a, --all", "every cached step and cache mount too; images that have names stay")
    .addOption(
      list(
        "--filter <condition>",
        "only what this holds of: until=24h, type=exec.cachemount, id=..., description~=...",
      ),
    )
    .option("--max-used-space <bytes>", "remove the longest unused until no more is taken (20gb, or 10% of the disk)")
    .option("--reserved-space <bytes>", "keep as much, whatever else is asked for")
    .option("--min-free-space <bytes>", "remove the longest unused until so much of the disk is free")
    .option("--keep-storage <bytes>", "the old name of --reserved-space")
    .option("--dry-run", "list what would go, remove nothing")
    .option("--verbose", "all that is known of what goes")
    .option("--check", "remove nothing; list what is damaged or left over, and exit with 1 if there is any")
    .option("-f, --force", "do not ask")
    .action(async (_options: unknown, command: Command) => {
      const { pruneCommand } = await import("./commands/prune.js");
      done(await pruneCommand(command.optsWithGlobals<PruneFlags>(), surroundings));
    });
  addCommon(program.command("du"))
    .description("show what takes space")
    .option("-v, --verbose", "all that is known of each entry")
    .addOption(list("--filter <condition>", "only what this holds of, as of prune"))
    .option("--format <form>", "table, pretty, json, or a Go template")
    .action(async (_options: unknown, command: Command) => {
      const { duCommand } = await import("./commands/du.js");
      done(await duCommand(command.optsWithGlobals<DuFlags>(), surroundings));
    });
  addCommon(program.command("info"))
    .description("show what the engine works with")
    .action(async (_options: unknown, command: Command) => {
      const { infoCommand } = await import("./commands/info.js");
      done(await infoCommand(command.optsWithGlobals<EngineFlags>(), surroundings));
    });
}
