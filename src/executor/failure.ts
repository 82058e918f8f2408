import { EngineError, redactCredentials } from "../base/index.js";
import type { Exit } from "./executor.js";

/** What a runtime says when the command, not the machine, is at fault: there is nothing but text to tell it by. */
const FAULTS_OF_THE_COMMAND = [
  /^exec: "/,
  /^chdir /,
  /^chdir to cwd /,
  /^mkdir .*: not a directory$/,
  /^executable file `/,
  /^open executable: /,
  /^exec container process /,
];

const RUNC_PREFIXES = [
  "runc run failed: ",
  "unable to start container process: ",
  "error during container init: ",
  "container_linux.go:380: starting container process caused: ",
];

/** Where the engine keeps what is mounted says nothing to anybody. */
const MOUNT_OF_OURS = /^error mounting "[^"]*" to rootfs at /;

/**
 * What a runtime's dying words mean: a command that cannot be started exits with 1, as BuildKit has it. Throws EngineError `failed` where
 * the words blame something else. Paths below ROOTFS are told as the step would see them.
 */
export function startFailure(runtime: string, words: string, rootfs: string): Exit {
  const reason = RUNC_PREFIXES.reduce(
    (text, prefix) => (text.startsWith(prefix) ? text.slice(prefix.length) : text),
    words,
  )
    .replace(MOUNT_OF_OURS, "mounting on ")
    .replaceAll(`${rootfs}/`, "/");
  if (FAULTS_OF_THE_COMMAND.some((fault) => fault.test(reason))) return { kind: "exited", code: 1, reason };
  throw new EngineError("failed", `${runtime} could not run the step: ${reason}`);
}

/** The sentence of a step that did not end well. */
export function exitMessage(args: readonly string[], exit: Exit): string {
  const what = `process ${JSON.stringify(redactCredentials(args.join(" ")))} did not complete successfully`;
  if (exit.kind === "signaled") return `${what}: killed by ${exit.signal}`;
  return exit.outOfMemory ? `${what}: cannot allocate memory` : `${what}: exit code: ${exit.code}`;
}
