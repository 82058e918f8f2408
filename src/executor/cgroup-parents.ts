import fs from "node:fs";
import path from "node:path";
import { systemCode } from "../base/index.js";
import { type Cgroups, cgroupDirectories } from "./cgroups.js";

/** The cgroups that one engine's steps run below, as their callers name them: those that runtimes have to make are taken away again. */
export class CgroupParents {
  readonly #cgroups: Cgroups;
  /** By directory: the steps that run below it. Only what was missing when the first of them began. */
  readonly #made = new Map<string, number>();

  constructor(cgroups: Cgroups) {
    this.#cgroups = cgroups;
  }

  /** Says that a step begins to run below PARENT; to be disposed of when its own cgroup is gone. */
  enter(parent: string): Disposable {
    const made = this.#directories(parent).filter((each) => this.#made.has(each) || !fs.existsSync(each));
    for (const each of made) this.#made.set(each, (this.#made.get(each) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        for (const each of made.reverse()) this.#leave(each);
      },
    };
  }

  #leave(directory: string): void {
    const others = (this.#made.get(directory) ?? 1) - 1;
    if (others > 0) {
      this.#made.set(directory, others);
      return;
    }
    this.#made.delete(directory);
    try {
      fs.rmdirSync(directory);
    } catch (error) {
      if (!LEFT_ALONE.has(systemCode(error) ?? "")) throw error;
    }
  }

  /** Each after what it is in. */
  #directories(parent: string): string[] {
    const names = path.posix
      .normalize(`/${parent}`)
      .split("/")
      .filter((name) => name !== "");
    return names.flatMap((_, i) => cgroupDirectories(this.#cgroups, names.slice(0, i + 1).join("/")));
  }
}

/** It is gone, it is somebody else's by now, or it was never ours to remove. */
const LEFT_ALONE: ReadonlySet<string> = new Set(["ENOENT", "EBUSY", "ENOTEMPTY", "EACCES", "EPERM", "EROFS"]);
