import { EngineError } from "../base/index.js";
import type { Surroundings } from "./surroundings.js";

/** Asks the user at the terminal, one question after another. Disposing of it gives the terminal back. */
export interface Prompt extends AsyncDisposable {
  /** The line that is typed after QUESTION. Errors: `canceled` if the input ends or the user stops it. */
  ask(question: string): Promise<string>;
  /** The same, without showing what is typed. */
  askSecret(question: string): Promise<string>;
}

/** Characters of an answer. */
const ANSWER_LENGTH_MAX = 4096;
/** What a terminal sends in raw mode for ^C, ^D and the key that takes back. */
const STOP = "\u0003";
const END = "\u0004";
const TAKE_BACK: ReadonlySet<string> = new Set(["\u007f", "\b"]);

/** A prompt at the terminal of SURROUNDINGS. */
export function openPrompt({ stdin, stdout }: Surroundings): Prompt {
  const chunks = stdin[Symbol.asyncIterator]();
  let pending = "";
  const readLine = async (): Promise<string> => {
    let line = "";
    for (;;) {
      for (const char of pending) {
        pending = pending.slice(char.length);
        if (char === "\n" || char === "\r") return line;
        if (char === STOP || char === END) throw new EngineError("canceled", "canceled");
        if (TAKE_BACK.has(char)) line = line.slice(0, -1);
        else line += char;
        if (line.length > ANSWER_LENGTH_MAX) throw new EngineError("invalid", "the answer is too long");
      }
      const { value, done } = await chunks.next();
      if (done) throw new EngineError("canceled", "canceled: the input ended");
      pending = Buffer.from(value).toString();
    }
  };
  return {
    async ask(question) {
      stdout.write(question);
      return (await readLine()).trim();
    },
    async askSecret(question) {
      stdout.write(question);
      stdin.setRawMode?.(true);
      try {
        return await readLine();
      } finally {
        stdin.setRawMode?.(false);
        stdout.write("\n");
      }
    },
    async [Symbol.asyncDispose]() {
      await chunks.return?.();
    },
  };
}
