import { EngineError, errorCode } from "../../base/index.js";
import { engineSurroundings } from "../docker-config.js";
import { openPrompt } from "../prompt.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";

export interface LoginFlags {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
}

/** `ashlar login [-u NAME] [-p PASSWORD | --password-stdin] [SERVER]`. */
export async function loginCommand(
  flags: LoginFlags,
  server: string | undefined,
  surroundings: Surroundings,
): Promise<number> {
  const registry = registryName(server);
  const { stdout, stderr } = surroundings;
  const given = await passwordOf(flags, surroundings);
  const { login } = await import("../../engine/index.js");
  const keptIn = engineSurroundings(surroundings);
  if (flags.username === undefined && given === undefined) {
    try {
      await login({ registry }, keptIn);
      stderr.write("Authenticating with existing credentials...\n");
      stdout.write("Login Succeeded\n");
      return 0;
    } catch (error) {
      // What is kept, if anything, is of no use: the user is asked.
      if (errorCode(error) !== "not-found" && errorCode(error) !== "denied") throw error;
    }
  }
  const { username, password } = await complete(flags.username, given, surroundings);
  const credential = { kind: "password", username, password } as const;
  const stored = await login({ registry, credential }, keptIn);
  if (stored?.kind === "file") stderr.write(unencrypted(stored.path));
  stdout.write("Login Succeeded\n");
  return 0;
}

/** `ashlar logout [SERVER]`. */
export async function logoutCommand(server: string | undefined, surroundings: Surroundings): Promise<number> {
  const registry = registryName(server);
  const { logout } = await import("../../engine/index.js");
  const wasIn = await logout({ registry }, engineSurroundings(surroundings));
  surroundings.stdout.write(wasIn ? `Removing login credentials for ${registry}\n` : `Not logged in to ${registry}\n`);
  return 0;
}

const DOCKER_HUB = "docker.io";
/** Characters of a password. */
const PASSWORD_LENGTH_MAX = 64 * 1024;

/** The registry as references name it; an address that leads there will do. */
function registryName(server: string | undefined): string {
  if (server === undefined) return DOCKER_HUB;
  const name = server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  if (!/^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/.test(name))
    throw new UsageError(`${JSON.stringify(server)} names no registry`);
  return name === "index.docker.io" || name === "registry-1.docker.io" ? DOCKER_HUB : name;
}

async function passwordOf(flags: LoginFlags, { stdin, stderr }: Surroundings): Promise<string | undefined> {
  const { username, password, passwordStdin = false } = flags;
  if (password !== undefined) {
    stderr.write("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
    if (passwordStdin) throw new UsageError("conflicting options: cannot specify both --password and --password-stdin");
    if (password === "") throw new UsageError("password is empty");
    return password;
  }
  if (!passwordStdin) return undefined;
  if (username === undefined) throw new UsageError("the --password-stdin option requires --username to be set");
  let text = "";
  for await (const chunk of stdin) {
    text += Buffer.from(chunk).toString("latin1");
    if (text.length > PASSWORD_LENGTH_MAX) throw new UsageError("the password on standard input is too long");
  }
  const given = Buffer.from(text, "latin1")
    .toString()
    .replace(/\r?\n$/, "");
  if (given === "") throw new UsageError("password is empty");
  return given;
}

async function complete(
  username: string | undefined,
  password: string | undefined,
  surroundings: Surroundings,
): Promise<{ readonly username: string; readonly password: string }> {
  if (username !== undefined && password !== undefined) return { username, password };
  if (!surroundings.stdin.isTTY)
    throw new EngineError("invalid", "Cannot perform an interactive login from a non TTY device", {
      hint: "name the user with --username, and give the password with --password-stdin",
    });
  await using prompt = openPrompt(surroundings);
  const name = username ?? (await prompt.ask("Username: "));
  if (name === "") throw new EngineError("invalid", "username is empty");
  const secret = password ?? (await prompt.askSecret("Password: "));
  if (secret === "") throw new EngineError("invalid", "password is empty");
  return { username: name, password: secret };
}

function unencrypted(file: string): string {
  return `\nWARNING! Your credentials are stored unencrypted in '${file}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n`;
}
