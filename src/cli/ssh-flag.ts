import path from "node:path";
import type { SshSpec } from "../engine/index.js";
import { UsageError } from "./usage-error.js";

/** One --ssh: `default`, `ID`, `ID=SOCKET` or `ID=KEY[,KEY…]`. Without a path the agent that SSH_AUTH_SOCK names. */
export function parseSsh(text: string, env: Readonly<Record<string, string | undefined>>, cwd: string): SshSpec {
  const equals = text.indexOf("=");
  const id = (equals < 0 ? text : text.slice(0, equals)) || "default";
  const paths = equals < 0 ? [] : text.slice(equals + 1).split(",");
  const given = paths.filter((each) => each !== "");
  if (given.length < paths.length && paths.length > 1)
    throw new UsageError(`invalid value ${JSON.stringify(text)} for --ssh: one of its paths is empty`);
  if (given.length > 0) return { id, paths: given.map((each) => path.resolve(cwd, each)) };
  const socket = env.SSH_AUTH_SOCK;
  if (!socket)
    throw new UsageError(
      `--ssh ${text}: invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set, or name a key: --ssh ${id}=PATH`,
    );
  return { id, paths: [path.resolve(cwd, socket)] };
}
