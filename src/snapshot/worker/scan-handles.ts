import fs from "node:fs";
import type { BytePath } from "./bytes.js";
import { native } from "./file-entry.js";

/** What `DirectoryHandles` needs of a directory. */
export interface HandleNode {
  readonly name: BytePath;
  readonly parent: HandleNode | undefined;
}

/**
 * Open directories on the way to the one last asked for. A directory is opened below its open parent and never through a link, so
 * that nobody who moves directories about meanwhile can lead a path out of the context.
 */
export class DirectoryHandles implements Disposable {
  readonly #stack: { readonly node: HandleNode; readonly fd: number }[];

  constructor(root: HandleNode, rootFd: number) {
    this.#stack = [{ node: root, fd: rootFd }];
  }

  /** The path of NAME in the directory, "" of the directory itself; good until the next call. */
  path(directory: HandleNode, name: BytePath): BytePath {
    const fd = this.#open(directory);
    return name === "" ? `/proc/self/fd/${fd}/.` : `/proc/self/fd/${fd}/${name}`;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#stack.splice(0)) fs.closeSync(fd);
  }

  #open(node: HandleNode): number {
    const top = this.#stack.at(-1);
    if (top?.node === node) return top.fd;
    const missing: HandleNode[] = [];
    let at: HandleNode | undefined = node;
    while (at && !this.#stack.some((open) => open.node === at)) {
      missing.push(at);
      at = at.parent;
    }
    while (this.#stack.length > 1 && this.#stack.at(-1)?.node !== at) {
      const open = this.#stack.pop();
      if (open) fs.closeSync(open.fd);
    }
    let fd = this.#stack.at(-1)?.fd ?? -1;
    for (const next of missing.reverse()) {
      fd = fs.openSync(native(`/proc/self/fd/${fd}/${next.name}`), OPEN_FLAGS);
      this.#stack.push({ node: next, fd });
    }
    return fd;
  }
}

const OPEN_FLAGS = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW;
