import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Repositories served by ssh to whoever has a key that is allowed. */
export interface SshServer extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
}

export interface SshServerOptions {
  /** For files of the server's own. */
  readonly directory: string;
  /** Private key of the host. */
  readonly hostKey: string;
  /** Public keys that open it, as of an `authorized_keys` file. */
  readonly allowed: readonly string[];
}

/** Makes a key pair FILE and FILE.pub. */
export function makeKey(file: string): void {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", path.basename(file), "-f", file]);
}

/** A server in this process, which runs what its clients ask for if that is git's own program. PORT 0 is any. */
export async function startSshServer({ hostKey, allowed }: SshServerOptions, port = 0): Promise<SshServer> {
  const { Server, utils }: Ssh2 = createRequire(import.meta.url)("ssh2");
  const keys = allowed.map((text) => utils.parseKey(text));
  const server = new Server({ hostKeys: [fs.readFileSync(hostKey)] }, (client) => {
    client.on("error", () => undefined);
    client.on("authentication", (attempt) => {
      const key = keys.find((candidate) => attempt.key && candidate.getPublicSSH().equals(attempt.key.data));
      if (key === undefined) return attempt.reject(["publickey"]);
      const { blob, signature } = attempt;
      if (signature && blob && key.verify(blob, signature) !== true) return attempt.reject();
      attempt.accept();
    });
    client.on("session", (accept) => {
      const session = accept();
      session.on("env", (yes) => yes?.());
      session.on("exec", (yes, no, { command }) => {
        if (/^git-upload-pack '[^']+'$/.test(command)) serve(yes(), command);
        else no();
      });
    });
  });
  const sockets = new Set<net.Socket>();
  server._srv.on("connection", (socket: net.Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    user: "git",
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function serve(channel: Channel, command: string): void {
  const child = spawn("/bin/sh", ["-c", command], {
    env: { PATH: process.env.PATH, GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "safe.directory", GIT_CONFIG_VALUE_0: "*" },
  });
  child.stdin.on("error", () => undefined);
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.on("close", (code) => {
    channel.exit(code ?? 1);
    channel.end();
  });
}

/** What the tests use of ssh2. */
interface Ssh2 {
  readonly Server: new (options: { hostKeys: readonly Buffer[] }, onClient: (client: Client) => void) => Listener;
  readonly utils: { parseKey(text: string): PublicKey };
}

interface PublicKey {
  getPublicSSH(): Buffer;
  verify(data: Buffer, signature: Buffer): boolean;
}

interface Listener {
  readonly _srv: net.Server;
  listen(port: number, address: string, onListening: () => void): void;
  address(): AddressInfo;
  close(onClosed: () => void): void;
}

interface Client {
  on(event: "error", listener: () => void): void;
  on(event: "authentication", listener: (attempt: Attempt) => void): void;
  on(event: "session", listener: (accept: () => Session) => void): void;
}

interface Attempt {
  readonly key?: { readonly data: Buffer };
  readonly blob?: Buffer;
  readonly signature?: Buffer;
  accept(): void;
  reject(methods?: readonly string[]): void;
}

interface Session {
  on(event: "env", listener: (accept?: () => void) => void): void;
  on(
    event: "exec",
    listener: (accept: () => Channel, reject: () => void, request: { readonly command: string }) => void,
  ): void;
}

interface Channel extends NodeJS.ReadWriteStream {
  readonly stderr: NodeJS.WritableStream;
  exit(code: number): void;
}

/**
 * OpenSSH's own server, in a mount namespace of its own with the users it needs: only root can start it. Nothing of the machine is
 * changed.
 */
export async function startSshd(
  program: string,
  { directory, hostKey, allowed }: SshServerOptions,
): Promise<SshServer> {
  fs.mkdirSync(directory, { mode: 0o700 });
  const at = (name: string) => path.join(directory, name);
  const port = await freePort();
  fs.writeFileSync(at("authorized"), `${allowed.join("\n")}\n`, { mode: 0o600 });
  fs.writeFileSync(
    at("passwd"),
    "root:x:0:0:root:/root:/bin/sh\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
  );
  fs.writeFileSync(at("shadow"), "root:*:20000:0:99999:7:::\n", { mode: 0o600 });
  fs.writeFileSync(
    at("config"),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${at("authorized")}`,
      "StrictModes no",
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PidFile none",
    ].join("\n"),
  );
  const script = `
    mount --bind ${at("passwd")} /etc/passwd; mount --bind ${at("shadow")} /etc/shadow
    mount -t tmpfs none /run; mkdir /run/sshd; exec "$@"`;
  const words = ["--mount", "--", "/bin/sh", "-euc", script, "sh", program, "-D", "-e", "-f", at("config")];
  const child = spawn("unshare", words, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  while (!said.includes("listening on")) {
    if (child.exitCode !== null) throw new Error(`sshd ended: ${said}`);
    await pause(10);
  }
  return {
    port,
    user: "root",
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
