import dgram from "node:dgram";
import net, { isIPv6 } from "node:net";
import { Scope } from "../base/index.js";

/** Sockets that are open for questions, which the forwarder closes. */
export interface QuestionSockets {
  readonly datagram: number;
  readonly stream: number;
}

/** Where questions go: port 53 of servers that this machine reaches. */
export interface NameForwarderOptions {
  readonly servers: readonly string[];
  readonly port?: number;
  /** How long a server may take before the next is asked. */
  readonly answerLimitMs?: number;
}

const PORT = 53;
/** Resolvers themselves ask again after this long. */
const ANSWER_LIMIT_MS = 4000;
const CONNECTION_LIMIT_MS = 30_000;
/** Of one step; what comes beyond them is lost, as datagrams may be. */
const QUESTIONS_MAX = 256;
const CONNECTIONS_MAX = 32;
const QUESTION_MAX_BYTES = 4096;
const HEADER_BYTES = 12;
const FLAGS_OFFSET = 2;
const IS_ANSWER = 0x80;
const SERVER_FAILURE = 2;

/**
 * Hands questions for names (DNS, RFC 1035) that come in by SOCKETS to the first of this machine's servers that answers, and its answers
 * back, without looking into either. Closing it ends what is under way.
 */
export async function openNameForwarder(
  sockets: QuestionSockets,
  { servers, port = PORT, answerLimitMs = ANSWER_LIMIT_MS }: NameForwarderOptions,
): Promise<AsyncDisposable> {
  await using scope = new Scope();
  const addresses = servers.map((host): ServerAddress => ({ host, port, answerLimitMs }));
  scope.use(await takeDatagrams(sockets.datagram, addresses));
  scope.use(await takeConnections(sockets.stream, addresses));
  return scope.move();
}

interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly answerLimitMs: number;
}

async function takeDatagrams(fd: number, servers: readonly ServerAddress[]): Promise<AsyncDisposable> {
  const socket = dgram.createSocket("udp4");
  const underWay = new Set<Asking>();
  socket.on("message", (question, { address, port }) => {
    if (underWay.size >= QUESTIONS_MAX || question.length < HEADER_BYTES || question.length > QUESTION_MAX_BYTES)
      return;
    const asking = new Asking(question, servers, (answer) => {
      underWay.delete(asking);
      socket.send(answer, port, address);
    });
    underWay.add(asking);
  });
  // An answer that can't be delivered is nobody's concern: the step has stopped to wait for it.
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.bind({ fd }, resolve));
  return {
    async [Symbol.asyncDispose]() {
      for (const asking of underWay) asking[Symbol.dispose]();
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

/** One question on its way; ANSWERED gets what the first server says that says anything, else that none did. */
class Asking implements Disposable {
  readonly #question: Buffer;
  readonly #answered: (answer: Buffer) => void;
  #end: () => void = () => {};

  constructor(question: Buffer, servers: readonly ServerAddress[], answered: (answer: Buffer) => void) {
    this.#question = question;
    this.#answered = answered;
    this.#ask(servers);
  }

  #ask([server, ...others]: readonly ServerAddress[]): void {
    if (!server) {
      const later = setImmediate(this.#answered, failure(this.#question));
      this.#end = () => clearImmediate(later);
      return;
    }
    const { host, port, answerLimitMs } = server;
    const socket = dgram.createSocket(isIPv6(host) ? "udp6" : "udp4");
    const close = () => {
      this.#end = () => {};
      clearTimeout(timer);
      socket.removeAllListeners("message").close();
    };
    const next = () => {
      if (this.#end !== close) return;
      close();
      this.#ask(others);
    };
    const timer = setTimeout(next, answerLimitMs);
    this.#end = close;
    socket.once("error", next).on("error", () => {});
    socket.on("message", (answer) => {
      if (answer.length < HEADER_BYTES || answer.readUInt16BE() !== this.#question.readUInt16BE()) return;
      close();
      this.#answered(answer);
    });
    // Connected, it hears from this server only, and at once that there is none.
    socket.connect(port, host, (error?: Error) => {
      if (this.#end !== close) return;
      if (error) next();
      else socket.send(this.#question);
    });
  }

  [Symbol.dispose](): void {
    this.#end();
  }
}

function failure(question: Buffer): Buffer {
  const answer = Buffer.from(question);
  const [first = 0, second = 0] = answer.subarray(FLAGS_OFFSET);
  answer.set([first | IS_ANSWER, (second & 0xf0) | SERVER_FAILURE], FLAGS_OFFSET);
  return answer;
}

async function takeConnections(fd: number, servers: readonly ServerAddress[]): Promise<AsyncDisposable> {
  const open = new Set<net.Socket>();
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => {
    open.add(client.once("close", () => open.delete(client)));
    client.on("error", () => client.destroy());
    passOn(client, servers, open);
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen({ fd }, resolve));
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Connects CLIENT with the first of SERVERS that lets itself be connected. */
function passOn(client: net.Socket, [server, ...others]: readonly ServerAddress[], open: Set<net.Socket>): void {
  if (!server || client.destroyed) return void client.destroy();
  const upstream = net.connect({ host: server.host, port: server.port, allowHalfOpen: true });
  open.add(upstream.once("close", () => open.delete(upstream)));
  const next = () => {
    upstream.destroy();
    passOn(client, others, open);
  };
  upstream.setTimeout(server.answerLimitMs, next).once("error", next);
  upstream.once("connect", () => {
    upstream.removeListener("error", next);
    upstream.removeListener("timeout", next);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("error", () => to.destroy());
      from.once("close", () => to.destroy());
      from.setTimeout(CONNECTION_LIMIT_MS, () => from.destroy());
      from.pipe(to);
    }
    client.resume();
  });
}
