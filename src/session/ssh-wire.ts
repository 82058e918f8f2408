/**
 * The data types of SSH (RFC 4251, section 5) and the framing of the agent protocol (draft-miller-ssh-agent, section 3): a message is its
 * length, its type and what belongs to it.
 */

/** Bytes of one message: OpenSSH's own limit. */
export const MESSAGE_BYTES_MAX = 256 * 1024;

const LENGTH_BYTES = 4;

/** The message types of the agent protocol that are passed on. */
export const REQUEST_IDENTITIES = 11;
export const IDENTITIES_ANSWER = 12;
export const SIGN_REQUEST = 13;
export const SIGN_RESPONSE = 14;

/** The message that refuses (SSH_AGENT_FAILURE). */
export const REFUSED = Buffer.from([5]);

/** A number as four bytes. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(LENGTH_BYTES);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Bytes or text after their length. */
export function string(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** A positive number, given big-endian, without needless zeroes and with the one that keeps it positive. */
export function mpint(value: Uint8Array): Buffer {
  const first = value.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? new Uint8Array() : value.subarray(first);
  return string((digits[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

/** Reads what `string` and `uint32` wrote. Every method gives undefined where too little is left. */
export class Reader {
  #rest: Buffer;

  constructor(bytes: Uint8Array) {
    this.#rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  uint32(): number | undefined {
    return this.#take(LENGTH_BYTES)?.readUInt32BE();
  }

  string(): Buffer | undefined {
    const length = this.uint32();
    return length === undefined ? undefined : this.#take(length);
  }

  #take(length: number): Buffer | undefined {
    if (length > this.#rest.length) return undefined;
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

/** MESSAGE, which starts with its type, as it goes over the wire. */
export function framed(message: Uint8Array): Buffer {
  return string(message);
}

/** The messages in a stream of bytes. Ends early, without a sentence, at an empty message or one that is longer than the limit. */
export async function* messages(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= LENGTH_BYTES) {
      const length = held.readUInt32BE();
      if (length === 0 || length > MESSAGE_BYTES_MAX) return;
      if (held.length < LENGTH_BYTES + length) break;
      const message = held.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      held = held.subarray(LENGTH_BYTES + length);
      yield message;
    }
  }
}
