import type { Command } from "commander";
import type { LoginFlags } from "./commands/login.js";
import type { SignFlags } from "./commands/sign.js";
import type { Surroundings } from "./surroundings.js";

/** The commands that let a user into registries, and out. */
export function addRegistryCommands(program: Command, surroundings: Surroundings, done: (code: number) => void): void {
  program
    .command("login")
    .argument("[server]", "a registry (default: Docker Hub)")
    .description("log in to a registry")
    .option("-u, --username <name>", "who you are there")
    .option("-p, --password <password>", "your password, for everyone on this machine to see")
    .option("--password-stdin", "take the password from standard input")
    .action(async (server: string | undefined, _options: unknown, command: Command) => {
      const { loginCommand } = await import("./commands/login.js");
      done(await loginCommand(command.optsWithGlobals<LoginFlags>(), server, surroundings));
    });
  program
    .command("logout")
    .argument("[server]", "a registry (default: Docker Hub)")
    .description("log out from a registry")
    .action(async (server: string | undefined) => {
      const { logoutCommand } = await import("./commands/login.js");
      done(await logoutCommand(server, surroundings));
    });
  program
    .command("sign")
    .argument("<image...>", "images of registries")
    .description("sign images in registries")
    .option("--key <file>", "a private key, as cosign or openssl writes it")
    .option("--passphrase-file <file>", "the file of its passphrase")
    .option("--passphrase-env <name>", "the variable of its passphrase (default: COSIGN_PASSWORD)")
    .action(async (images: readonly string[], _options: unknown, command: Command) => {
      const { signCommand } = await import("./commands/sign.js");
      done(await signCommand(command.optsWithGlobals<SignFlags>(), images, surroundings));
    });
}
