import fs from "node:fs";
import path from "node:path";

/**
 * Another process, to be named in a sentence: `process 1234 (ashlar build)`, or `(ashlar build, stopped)`. Of its command line only the
 * words before the first option are told: what comes then may be long, or secret.
 */
export function describeProcess(pid: number): string {
  const known = [commandOf(pid), isStopped(pid) ? "stopped" : ""].filter((text) => text !== "");
  return `process ${pid}${known.length === 0 ? "" : ` (${known.join(", ")})`}`;
}

const WORDS_MAX = 3;
const COMMAND_MAX_CHARS = 80;
/** Programs that run another one, which tells more. */
const INTERPRETERS = /^(node|nodejs|python[\d.]*|sh|bash)$/;

function commandOf(pid: number): string {
  const [program = "", ...rest] = read(pid, "cmdline").split("\0").filter(Boolean);
  const option = rest.findIndex((word) => word.startsWith("-"));
  const words = [path.basename(program), ...rest.slice(0, option < 0 ? undefined : option)];
  if (INTERPRETERS.test(words[0] ?? "") && words.length > 1) words.splice(0, 2, path.basename(words[1] ?? ""));
  const text = words.slice(0, WORDS_MAX).join(" ");
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, "?").slice(0, COMMAND_MAX_CHARS);
}

/** proc_pid_stat(5): the state comes after the name, which may hold anything. */
function isStopped(pid: number): boolean {
  const stat = read(pid, "stat");
  return /^[Tt]$/.test(stat.slice(stat.lastIndexOf(")") + 2).charAt(0));
}

/** Empty where it is gone, or not to be seen. */
function read(pid: number, name: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}
