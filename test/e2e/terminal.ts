import fs from "node:fs";
import path from "node:path";
import type { Running, RunOptions, World } from "./world.js";

/** A program that somebody sits at: `ended.stdout` is all that the terminal has shown. */
export interface Sitting extends Pick<Running, "ended"> {
  /** Settles once the terminal has shown TEXT, after what was waited for before; throws when the program ends first. */
  shows(text: string): Promise<void>;
  /** Presses keys. */
  type(keys: string): void;
  /** The program's own process. */
  pid(): number;
}

/** Runs what it is given at a terminal that script(1) makes, and writes its process down. */
const SIT = `
  line=
  for word; do line="$line '$(printf '%s' "$word" | sed "s/'/'\\\\\\\\''/g")'"; done
  exec script -qefc "echo \\$\\$ > '$PID_FILE'; stty cols 120 rows 40; exec$line" /dev/null
`;

/** Has START start a program with these options, and somebody sit at it. */
export function sitAt(world: World, start: (options: RunOptions) => Running): Sitting {
  const pidFile = path.join(fs.mkdtempSync(world.path("terminal-")), "pid");
  fs.chmodSync(path.dirname(pidFile), 0o777);
  const { child, ended } = start({
    under: ["sh", "-euc", SIT, "sh"],
    env: { PID_FILE: pidFile, TERM: "xterm" },
    keepsInput: true,
  });
  let text = "";
  let seen = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const shows = (wanted: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        const at = text.indexOf(wanted, seen);
        if (at < 0) return;
        seen = at + wanted.length;
        child.stdout?.off("data", look);
        resolve();
      };
      child.stdout?.on("data", look);
      look();
      ended.then(() => reject(new Error(`it ended before it showed ${JSON.stringify(wanted)}:\n${text}`)), reject);
    });
  return {
    shows,
    type: (keys) => void child.stdin?.write(keys),
    pid: () => Number(fs.readFileSync(pidFile, "utf8")),
    ended,
  };
}
