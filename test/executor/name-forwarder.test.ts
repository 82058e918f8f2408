import dgram from "node:dgram";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openListeningSocket, Scope } from "../../src/base/index.js";
import { openNameForwarder } from "../../src/executor/name-forwarder.js";

const LOCAL = "127.0.0.1";
/** All of 127.0.0.0/8 is this machine: the forwarder and its servers have the same port of different addresses. */
const SILENT = "127.0.0.3";
let scope: Scope;
let port: number;

/** A server that answers with what it was asked, in capitals. */
beforeEach(async () => {
  scope = new Scope();
  const streams = net.createServer((client) =>
    client.on("error", () => {}).on("data", (text) => client.end(text.toString("latin1").toUpperCase())),
  );
  await once(streams.listen(0, LOCAL), "listening");
  scope.defer(() => new Promise((resolve) => streams.close(resolve)));
  port = (streams.address() as AddressInfo).port;
  const datagrams = dgram.createSocket("udp4");
  datagrams.on("message", (text, { address, port: sender }) => {
    if (!text.includes("unanswered")) datagrams.send(text.toString("latin1").toUpperCase(), sender, address);
  });
  await new Promise<void>((resolve) => datagrams.bind(port, LOCAL, resolve));
  scope.defer(() => new Promise<void>((resolve) => datagrams.close(() => resolve())));
});
afterEach(() => scope[Symbol.asyncDispose]());

const forwarder = async (servers: readonly string[], limits: { readonly answerLimitMs?: number } = {}) => {
  const address = Buffer.from([127, 0, 0, 2]);
  const sockets = {
    datagram: openListeningSocket("datagram", address, port),
    stream: openListeningSocket("stream", address, port),
  };
  return scope.use(await openNameForwarder(sockets, { servers, port, ...limits }));
};

async function asked(text: string): Promise<string> {
  const socket = dgram.createSocket("udp4");
  try {
    socket.send(Buffer.from(text, "latin1"), port, "127.0.0.2");
    const [answer] = (await once(socket, "message")) as [Buffer];
    return answer.toString("latin1");
  } finally {
    socket.close();
  }
}

async function connected(text: string): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.2", allowHalfOpen: text !== "" });
  const said: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => said.push(chunk)).on("error", () => {});
  if (text !== "") socket.end(text);
  await new Promise((resolve) => socket.once("close", resolve));
  return Buffer.concat(said).toString("latin1");
}

it("questions are handed to a server and its answers back, as datagrams and over connections", async () => {
  await forwarder([LOCAL]);
  const questions = Array.from({ length: 40 }, (_, i) => `${String.fromCharCode(1 + i)}0 question ${i}`);
  expect(await Promise.all(questions.map(asked))).toEqual(questions.map((each) => each.toUpperCase()));
  expect(await connected("over a connection")).toBe("OVER A CONNECTION");
});

it("where the first server isn't there the next is asked", async () => {
  await forwarder(["127.0.0.4", "::1", LOCAL]);
  expect(await asked("10 question 1")).toBe("10 QUESTION 1");
  expect(await connected("over a connection")).toBe("OVER A CONNECTION");
});

it("where the first server says nothing the next is asked after a while", async () => {
  const silent = dgram.createSocket("udp4");
  await new Promise<void>((resolve) => silent.bind(port, SILENT, resolve));
  scope.defer(() => new Promise<void>((resolve) => silent.close(() => resolve())));
  await forwarder([SILENT, LOCAL], { answerLimitMs: 20 });
  expect(await asked("10 question 1")).toBe("10 QUESTION 1");
});

it("a question that nobody answers fails, and what is no question is left alone", async () => {
  await forwarder(["127.0.0.4"]);
  const socket = dgram.createSocket("udp4");
  socket.send("short", port, "127.0.0.2");
  socket.close();
  // The header of an answer by which the server failed: the question's number, its flags and "answer", and code 2.
  expect(await asked("\x12\x34\x01\x20 more of it")).toBe("\x12\x34\x81\x22 more of it");
  expect(await connected("over a connection")).toBe("");
});

it("closing it ends what is under way", async () => {
  const opened = await forwarder([LOCAL]);
  const waiting = dgram.createSocket("udp4");
  waiting.send("10 unanswered question", port, "127.0.0.2");
  const open = connected("");
  expect(await asked("10 question 1")).toBe("10 QUESTION 1");
  await opened[Symbol.asyncDispose]();
  waiting.close();
  expect(await open).toBe("");
});
