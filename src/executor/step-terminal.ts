import tty from "node:tty";
import { EngineError, messageOf, openPseudoTerminal, resizeTerminal, systemCode } from "../base/index.js";
import type { RunOptions, Terminal } from "./executor.js";

/** Whether a step that runs so has a terminal. */
export function isTerminal(stdio: RunOptions["stdio"]): stdio is Terminal {
  return typeof stdio === "object";
}

/**
 * The terminal of one step: the step has the device, and what goes in and out there is shown on the caller's. Both sides keep their own
 * settings, and whatever becomes of the step, the caller's is as it was.
 */
export class StepTerminal implements Disposable {
  /** The device, to be opened for the step. */
  readonly path: string;
  readonly #stream: tty.ReadStream;
  readonly #terminal: Terminal;
  readonly #forgetResize: () => void;
  readonly #typed = (chunk: Buffer) => void this.#stream.write(chunk);

  private constructor(terminal: Terminal, path: string, fd: number) {
    this.path = path;
    this.#terminal = terminal;
    resizeTerminal(fd, terminal.size());
    this.#forgetResize = terminal.onResize(() => {
      if (!this.#stream.destroyed) resizeTerminal(fd, terminal.size());
    });
    this.#stream = new tty.ReadStream(fd);
  }

  /** Throws EngineError `unavailable` where the machine has no terminal to give. */
  static open(terminal: Terminal): StepTerminal {
    try {
      const { fd, path } = openPseudoTerminal();
      return new StepTerminal(terminal, path, fd);
    } catch (error) {
      throw new EngineError("unavailable", `making a terminal for the step: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Relays until nobody in the step has the device open any more; to be called once, when somebody has. */
  relay(): Promise<void> {
    const { input, output } = this.#terminal;
    return new Promise((resolve, reject) => {
      this.#stream
        .on("data", (chunk) => {
          if (output.write(chunk)) return;
          this.#stream.pause();
          output.once("drain", () => this.#stream.resume());
        })
        .on("error", (error) => (systemCode(error) === HUNG_UP ? resolve() : reject(error)))
        .on("close", () => resolve());
      input.on("data", this.#typed);
      input.resume();
    });
  }

  [Symbol.dispose](): void {
    this.#forgetResize();
    this.#terminal.input.off("data", this.#typed);
    this.#terminal.input.pause();
    this.#stream.destroy();
  }
}

/** What reading a terminal fails with that nobody has open. */
const HUNG_UP = "EIO";
