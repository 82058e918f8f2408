import type { Native } from "./native.js";

/** A system call that waits for an answer (seccomp_unotify(2)). */
export interface Notification {
  readonly id: bigint;
  /** The calling thread, as this process numbers it; 0 where it can't be seen. */
  readonly tid: number;
  readonly number: number;
  /** AUDIT_ARCH_… */
  readonly arch: number;
  readonly args: readonly bigint[];
}

/** What the caller gets to see. */
export type Answer =
  /** The kernel does the call. */
  | { readonly kind: "continue" }
  | { readonly kind: "value"; readonly value: number }
  /** The errno, positive. */
  | { readonly kind: "error"; readonly errno: number };

export const CONTINUE: Answer = { kind: "continue" };
export const DONE: Answer = { kind: "value", value: 0 };

const NOTIFICATION_BYTES = 80;
const ANSWER_BYTES = 24;
const ARGUMENTS_AT = 32;
const ARGUMENTS = 6;
const RECEIVE = 0xc0502100;
const SEND = 0xc0182101;
const IS_VALID = 0x40082102;
const ADD_FD = 0x40182103;
const SET_FLAGS = 0x40082104;
/** Caller and supervisor take turns on one core (kernel 6.6): a call then costs a fraction of the time. */
const SYNC_WAKE_UP = 1;
const FLAG_CONTINUE = 1;
const O_CLOEXEC = 0o2000000;

/** The supervisor's end of a filter. */
export class Listener {
  readonly #native: Native;
  readonly #fd: number;

  constructor(native: Native, fd: number) {
    this.#native = native;
    this.#fd = fd;
    native.configure(fd, SET_FLAGS, SYNC_WAKE_UP);
  }

  /** The next call, which was made within so long; undefined where there was none, or its caller is gone. */
  next(limitMs: number): Notification | "ended" | undefined {
    const state = this.#native.wait(this.#fd, limitMs);
    if (state !== "ready") return state === "ended" ? "ended" : undefined;
    const data = Buffer.alloc(NOTIFICATION_BYTES);
    if (!this.#native.control(this.#fd, RECEIVE, data)) return undefined;
    return {
      id: data.readBigUInt64LE(0),
      tid: data.readUInt32LE(8),
      number: data.readInt32LE(16),
      arch: data.readUInt32LE(20),
      args: Array.from({ length: ARGUMENTS }, (_, i) => data.readBigUInt64LE(ARGUMENTS_AT + i * 8)),
    };
  }

  /** Whether the caller still waits, and its number means no other process yet. */
  isWaiting({ id }: Notification): boolean {
    const data = Buffer.alloc(8);
    data.writeBigUInt64LE(id);
    return this.#native.control(this.#fd, IS_VALID, data);
  }

  answer({ id }: Notification, answer: Answer): void {
    const data = Buffer.alloc(ANSWER_BYTES);
    data.writeBigUInt64LE(id, 0);
    if (answer.kind === "value") data.writeBigInt64LE(BigInt(answer.value), 8);
    if (answer.kind === "error") data.writeInt32LE(-answer.errno, 16);
    if (answer.kind === "continue") data.writeUInt32LE(FLAG_CONTINUE, 20);
    this.#native.control(this.#fd, SEND, data); // whoever has gone needs none
  }

  /** Gives the caller a copy of FD, by the number that is returned. */
  lend({ id }: Notification, fd: number, flags: number): number {
    const data = Buffer.alloc(ANSWER_BYTES);
    data.writeBigUInt64LE(id, 0);
    data.writeUInt32LE(fd, 12);
    data.writeUInt32LE(flags & O_CLOEXEC, 20);
    return this.#native.controlled(this.#fd, ADD_FD, data);
  }
}
