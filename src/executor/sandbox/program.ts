import fs from "node:fs";
import path from "node:path";
import { systemCode } from "../../base/index.js";
import { StartFailure } from "./start-failure.js";

const PASSWD_MAX_BYTES = 10 * 1024 * 1024;
const LINK_NONBLOCK = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;

/** The program's file: a name with a slash as it is, any other the first in PATH that may be run. Throws StartFailure. */
export function lookUpProgram(name: string, env: readonly string[]): string {
  if (name.includes("/")) {
    const fault = whyNot(name);
    if (fault === undefined) return name;
    throw new StartFailure(`exec: ${JSON.stringify(name)}: ${fault}`);
  }
  const directories = (variable(env, "PATH") ?? "").split(":");
  const files =
    name === "" ? [] : directories.filter((entry) => entry !== "").map((entry) => path.posix.join(entry, name));
  const found = files.find((file) => whyNot(file) === undefined);
  if (found === undefined) throw new StartFailure(`exec: ${JSON.stringify(name)}: executable file not found in $PATH`);
  return found;
}

/** ENV with HOME, taken from /etc/passwd of the root where it is missing; `/` for a user that is not there. */
export function withHome(env: readonly string[], uid: number): readonly string[] {
  return variable(env, "HOME") === undefined ? [...env, `HOME=${homeOf(uid)}`] : env;
}

function variable(env: readonly string[], name: string): string | undefined {
  return env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

function homeOf(uid: number): string {
  const line = readPasswd()
    .split("\n")
    .find((each) => each.split(":")[2] === String(uid));
  return line?.split(":")[5] || "/";
}

/** A FIFO or a device in its place says nothing. */
function readPasswd(): string {
  let fd: number;
  try {
    fd = fs.openSync("/etc/passwd", LINK_NONBLOCK);
  } catch {
    return "";
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile() || stat.size > PASSWD_MAX_BYTES) return "";
    return fs.readFileSync(fd, "utf8");
  } finally {
    fs.closeSync(fd);
  }
}

function whyNot(file: string): string | undefined {
  try {
    if (fs.statSync(file).isDirectory()) return "permission denied";
    fs.accessSync(file, fs.constants.X_OK);
    return undefined;
  } catch (error) {
    return systemCode(error) === "EACCES" ? "permission denied" : `stat ${file}: no such file or directory`;
  }
}
