import fs from "node:fs";
import path from "node:path";
import { EngineError } from "../base/index.js";
import type { StateDirs } from "../snapshot/index.js";
import type { EtcFiles } from "./spec-mounts.js";

/** The directory of one running step, an OCI bundle: `<run>/<owner>/<number>`. */
export interface StepDirectory {
  /** Unique on the machine; a container id. */
  readonly id: string;
  readonly path: string;
  readonly etc: EtcFiles;
  readonly log: string;
  /** The runtime's own state. */
  readonly state: string;
  readonly config: string;
}

export interface StepFiles {
  readonly hosts: string;
  readonly resolvConf: Uint8Array;
}

const OWNER_ID = /^[A-Za-z0-9_.-]{1,128}$/;

/** Gives a fresh directory for each step of OWNER (unique on the machine). Throws EngineError `internal` for an owner's name that is no file name. */
export function stepDirectories(dirs: StateDirs, owner: string): (files: StepFiles) => StepDirectory {
  if (!OWNER_ID.test(owner) || owner.startsWith(".")) throw new EngineError("internal", `no owner's id: ${owner}`);
  let count = 0;
  return (files) => {
    const number = ++count;
    const directory = path.join(dirs.run, owner, String(number));
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const at = (name: string) => path.join(directory, name);
    const etc = { hosts: at("hosts"), resolvConf: at("resolv.conf") };
    writeWorldReadable(etc.hosts, files.hosts);
    writeWorldReadable(etc.resolvConf, files.resolvConf);
    return {
      id: `${owner}-${number}`,
      path: directory,
      etc,
      log: at("log"),
      state: at("state"),
      config: at("config.json"),
    };
  };
}

/** Removes the directory; the owner's own stays until it is swept. */
export function removeStepDirectory({ path: directory }: StepDirectory): void {
  fs.rmSync(directory, { recursive: true, force: true });
}

/** The step sees the file itself, whatever the engine's umask. */
function writeWorldReadable(file: string, content: string | Uint8Array): void {
  fs.writeFileSync(file, content, { flag: "wx" });
  fs.chmodSync(file, 0o644);
}
