import fs from "node:fs";
import net from "node:net";
import { EngineError, errorCode, messageOf, readRegularFile } from "../base/index.js";
import { parseSshKey, type SshKey } from "./ssh-keys.js";
import { type SshAgent, type SshConversation, type SshSocket, serveSshAgent } from "./ssh-socket.js";
import {
  framed,
  IDENTITIES_ANSWER,
  messages,
  REFUSED,
  REQUEST_IDENTITIES,
  Reader,
  SIGN_RESPONSE,
  string,
  uint32,
} from "./ssh-wire.js";

/** What a caller lends a build under an id: the socket of an agent, or the files of private keys. */
export interface SshSpec {
  readonly id: string;
  /** One socket, or one key file or more; the engine sees which. Absolute. */
  readonly paths: readonly string[];
}

/** The SSH agents a caller lends to a build. */
export interface SshAgents {
  /**
   * Serves the agent ID at a socket in DIRECTORY, which is made, until what it gives is disposed of; undefined if none of that id is lent.
   * Throws `unavailable` where no socket can be made.
   */
  open(id: string, directory: string): Promise<SshSocket | undefined>;
}

/** Bytes of a key file. */
const KEY_BYTES_MAX = 100 * 1024;

/**
 * The agents of SPECS; of several with one id the last counts. Fails at once: `not-found` for a file that isn't there, `invalid` for what
 * is neither a socket nor a private key or for a mixture of both, `unsupported` for a key with a passphrase.
 */
export async function openSshAgents(specs: readonly SshSpec[]): Promise<SshAgents> {
  const byId = new Map<string, SshAgent>();
  for (const { id, paths } of new Map(specs.map((spec) => [spec.id, spec])).values()) {
    byId.set(id, await openAgent(id, paths));
  }
  return {
    async open(id, directory) {
      const agent = byId.get(id);
      return agent && serveSshAgent(agent, directory);
    },
  };
}

async function openAgent(id: string, paths: readonly string[]): Promise<SshAgent> {
  if (paths.length === 0) throw invalid(id, "it names neither a socket nor a key");
  const sockets = paths.filter((path) => isSocket(id, path));
  const [socket] = sockets;
  if (socket === undefined) return keyAgent(await Promise.all(paths.map((path) => readKeyFile(id, path))));
  if (sockets.length < paths.length) throw invalid(id, "invalid combination of keys and sockets");
  if (sockets.length > 1) throw invalid(id, "only single socket allowed");
  return socketAgent(socket);
}

function isSocket(id: string, path: string): boolean {
  try {
    return fs.statSync(path).isSocket();
  } catch (cause) {
    const code = errorCode(cause);
    const reason = code === "not-found" ? "no such file or directory" : messageOf(cause);
    throw new EngineError(code, `SSH agent ${JSON.stringify(id)}: stat ${path}: ${reason}`, { cause });
  }
}

async function readKeyFile(id: string, path: string): Promise<SshKey> {
  try {
    return await parseSshKey((await readRegularFile(path, KEY_BYTES_MAX)).toString(), path);
  } catch (cause) {
    const hint = cause instanceof EngineError && cause.hint !== undefined ? { hint: cause.hint } : {};
    const sentence = `SSH agent ${JSON.stringify(id)}: ${messageOf(cause)}`;
    throw new EngineError(errorCode(cause), sentence, { cause, ...hint });
  }
}

function invalid(id: string, reason: string): EngineError {
  return new EngineError("invalid", `SSH agent ${JSON.stringify(id)}: ${reason}`);
}

/** An agent that holds KEYS. */
function keyAgent(keys: readonly SshKey[]): SshAgent {
  const conversation: SshConversation = {
    ask: async (request) => (request[0] === REQUEST_IDENTITIES ? identities(keys) : signature(keys, request)),
    [Symbol.dispose]: () => {},
  };
  return { open: async () => conversation };
}

function identities(keys: readonly SshKey[]): Buffer {
  const entries = keys.flatMap(({ blob, comment }) => [string(blob), string(comment)]);
  return Buffer.concat([Buffer.from([IDENTITIES_ANSWER]), uint32(keys.length), ...entries]);
}

function signature(keys: readonly SshKey[], request: Buffer): Buffer {
  const reader = new Reader(request.subarray(1));
  const [blob, data, flags] = [reader.string(), reader.string(), reader.uint32()];
  if (blob === undefined || data === undefined || flags === undefined) return REFUSED;
  const key = keys.find((each) => each.blob.equals(blob));
  if (!key) return REFUSED;
  return Buffer.concat([Buffer.from([SIGN_RESPONSE]), string(key.sign(data, flags))]);
}

/** How long an agent may take to let us in. Milliseconds. */
const CONNECT_LIMIT_MS = 2000;

/** The agent behind a socket of the caller's. */
function socketAgent(path: string): SshAgent {
  return {
    async open() {
      const socket = await connect(path);
      const replies = messages(socket);
      return {
        async ask(request) {
          socket.write(framed(request));
          const reply = await replies.next();
          if (reply.done) throw new EngineError("unavailable", `the SSH agent at ${path} does not answer`);
          return isAnswer(request, reply.value) ? reply.value : REFUSED;
        },
        [Symbol.dispose]: () => void socket.destroy(),
      };
    },
  };
}

function isAnswer([asked]: Buffer, [answer]: Buffer): boolean {
  return answer === (asked === REQUEST_IDENTITIES ? IDENTITIES_ANSWER : SIGN_RESPONSE);
}

function connect(path: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path });
    const fail = (cause?: unknown) => {
      socket.destroy();
      const why = cause === undefined ? "it does not let anybody in" : messageOf(cause);
      reject(new EngineError("unavailable", `failed to connect to the SSH agent at ${path}: ${why}`, { cause }));
    };
    socket.setTimeout(CONNECT_LIMIT_MS, fail);
    socket.once("error", fail).once("connect", () => {
      socket.setTimeout(0).off("error", fail);
      socket.on("error", () => {}); // whoever waits for an answer gets the end of the stream
      resolve(socket);
    });
  });
}
