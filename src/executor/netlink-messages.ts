import type { NetlinkRequest } from "../base/index.js";

/**
 * Messages of netlink(7): a header, a fixed part, attributes. Numbers have this machine's order of bytes, which is the little one wherever
 * runtimes of containers are common; nftables takes its own in the big one.
 */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

export const REQUEST = 1;
export const ACK = 4;
export const DUMP = 0x300;
export const EXCLUSIVE = 0x200;
export const CREATE = 0x400;
export const APPEND = 0x800;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
const ALIGNMENT = 4;

/** Numbers messages, so that no two of an engine have the same. */
export class Sequence {
  #next = 1;

  /** Each of BATCHES as a request. */
  requests(...batches: readonly (readonly Message[])[]): readonly NetlinkRequest[] {
    return batches.map((messages) => this.#request(messages));
  }

  /** MESSAGES, of which one at least is answered. */
  #request(messages: readonly Message[]): NetlinkRequest {
    const first = this.#next;
    let last = first;
    const encoded = messages.map((message) => {
      if ((message.flags & (ACK | DUMP)) !== 0) last = this.#next;
      return encode(message, this.#next++);
    });
    return { bytes: Buffer.concat(encoded), first, last };
  }
}

function encode({ type, flags, body }: Message, sequence: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(HEADER_BYTES + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, aligned(body)]);
}

/** An attribute and its padding. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const header = Buffer.alloc(ATTRIBUTE_HEADER_BYTES);
  header.writeUInt16LE(ATTRIBUTE_HEADER_BYTES + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, aligned(value)]);
}

/** An attribute that holds attributes. */
export function nested(type: number, ...parts: readonly Uint8Array[]): Buffer {
  return attribute(type | NESTED, Buffer.concat(parts));
}

export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** As nftables and addresses have it. */
export function u32be(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A message the kernel answered with: its type, its fixed part of FIXED bytes, and its attributes. */
export interface Answer {
  readonly type: number;
  readonly fixed: Buffer;
  readonly attributes: ReadonlyMap<number, Buffer>;
}

/** Takes an answer apart; undefined where it is too short to be one. */
export function parseAnswer(message: Uint8Array, fixedBytes: number): Answer | undefined {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const start = HEADER_BYTES + fixedBytes;
  if (bytes.length < start) return undefined;
  return {
    type: bytes.readUInt16LE(4),
    fixed: bytes.subarray(HEADER_BYTES, start),
    attributes: parseAttributes(bytes.subarray(start)),
  };
}

/** The attributes of a message or of a nest; the last one of a type counts. */
export function parseAttributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length));
    at += padded(length);
  }
  return found;
}

/** Text without its NUL. */
export function textOf(value: Buffer | undefined): string | undefined {
  return value?.toString("latin1").replace(/\0.*$/s, "");
}

function padded(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function aligned(value: Uint8Array): Uint8Array {
  const missing = padded(value.length) - value.length;
  return missing === 0 ? value : Buffer.concat([value, Buffer.alloc(missing)]);
}
