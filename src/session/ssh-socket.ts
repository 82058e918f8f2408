import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { EngineError } from "../base/index.js";
import { framed, messages, REFUSED, REQUEST_IDENTITIES, SIGN_REQUEST } from "./ssh-wire.js";

/** Keys that can be listed and can sign, and nothing else: none can be added, removed or taken out. */
export interface SshAgent {
  /** A conversation with it, which the caller ends by disposing of it. Errors: `unavailable` where nobody answers. */
  open(): Promise<SshConversation>;
}

export interface SshConversation extends Disposable {
  /** The answer to a message that asks for the identities or for a signature; both begin with their type and have no length. */
  ask(request: Buffer): Promise<Buffer>;
}

/** A socket at which an agent is served, from the call on. Disposing of it hangs up on everybody and removes the socket and its directory. */
export interface SshSocket extends AsyncDisposable {
  readonly path: string;
}

/** Clients at once of one socket; more are turned away. */
const CLIENTS_MAX = 64;

/**
 * Serves AGENT at a socket in DIRECTORY, which is made and is the caller's user's alone. Clients may list keys and have them sign; adding,
 * removing, locking and extensions are refused, whatever the agent would do. Throws `unavailable` where no socket can be made.
 */
export function serveSshAgent(agent: SshAgent, directory: string): SshSocket {
  fs.mkdirSync(directory, { mode: 0o700 });
  const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  const clients = new Set<net.Socket>();
  const server = net.createServer((client) => {
    clients.add(client);
    client.on("error", () => {}).once("close", () => clients.delete(client));
    void serve(client, agent);
  });
  server.maxConnections = CLIENTS_MAX;
  const remove = () => {
    fs.closeSync(fd);
    fs.rmSync(directory, { recursive: true, force: true });
  };
  // By its directory's descriptor: a socket's own path has room for 107 bytes only.
  server.on("error", () => {}).listen({ path: `/proc/self/fd/${fd}/${NAME}` });
  if (!server.listening) {
    remove();
    throw new EngineError("unavailable", `no socket can be made in ${directory}`);
  }
  return {
    path: path.join(directory, NAME),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      remove();
    },
  };
}

const NAME = "agent";

/** Answers CLIENT, one message after the other, until it goes. */
async function serve(client: net.Socket, agent: SshAgent): Promise<void> {
  let conversation: SshConversation | undefined;
  try {
    for await (const message of messages(client)) {
      const isAllowed = message[0] === REQUEST_IDENTITIES || message[0] === SIGN_REQUEST;
      if (isAllowed) conversation ??= await agent.open();
      const answer = isAllowed && conversation ? await conversation.ask(message) : REFUSED;
      if (!client.write(framed(answer))) await drained(client);
    }
  } catch {
    // The agent is gone or the client is: either way there is nobody to tell but the client, by hanging up.
  } finally {
    conversation?.[Symbol.dispose]();
    client.destroy();
  }
}

function drained(client: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    client.once("drain", resolve).once("close", () => resolve());
  });
}
