import fs from "node:fs";
import { changeDirectory, chrootHere } from "../../base/index.js";

/**
 * A directory that paths are resolved in: inside `enter`, "/" is that directory for every synchronous file call of this thread, so no
 * link in it can lead out. Entering costs two system calls. Nothing asynchronous may be started inside.
 */
export class Root implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens the directory PATH of the host. The caller disposes of it. */
  static open(path: string): Root {
    return new Root(fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY));
  }

  /** Runs WORK with this directory as "/" and as cwd, and goes back whatever happens. Calls may nest. */
  enter<T>(work: () => T): T {
    const outer = Root.#inside;
    Root.#go(this.#fd);
    Root.#inside = this.#fd;
    try {
      return work();
    } finally {
      Root.#inside = outer;
      if (outer === undefined) Root.#leave();
      else Root.#go(outer);
    }
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#fd);
  }

  static #inside: number | undefined;
  static #host: { readonly root: number; readonly cwd: number } | undefined;

  /** Must be called once on a thread whose root and cwd are its own (CLONE_FS unshared): where `enter` comes back to. CWD is the layers' directory. */
  static settle(cwd: string): void {
    if (Root.#host) {
      fs.closeSync(Root.#host.root);
      fs.closeSync(Root.#host.cwd);
    }
    const flags = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY;
    Root.#host = { root: fs.openSync("/", flags), cwd: fs.openSync(cwd, flags) };
    changeDirectory(Root.#host.cwd);
  }

  static #go(fd: number): void {
    changeDirectory(fd);
    chrootHere();
  }

  static #leave(): void {
    const host = Root.#host;
    if (!host) throw new Error("this thread has no root of its own");
    changeDirectory(host.root);
    chrootHere();
    changeDirectory(host.cwd);
  }
}
