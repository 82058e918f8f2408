import type { BytePath } from "./bytes.js";
import type { JobContext } from "./context.js";
import type { Entry } from "./file-entry.js";
import { notFound } from "./file-errors.js";
import type { FileView, Xattr } from "./file-view.js";
import type { ContextScan, ScanNode } from "./scan-tree.js";

/** A build context as files to be read. */
export class ContextView implements FileView {
  readonly #scan: ContextScan;
  readonly #context: JobContext;

  constructor(scan: ContextScan, context: JobContext) {
    this.#scan = scan;
    this.#context = context;
  }

  lstat(path: BytePath): Entry | undefined {
    return this.#find(path)?.entry;
  }

  readLink(path: BytePath): BytePath {
    return this.#scan.readLink(this.#at(path));
  }

  list(path: BytePath): readonly BytePath[] {
    return this.#scan.list(this.#at(path)).map((node) => node.name);
  }

  xattrs(): readonly Xattr[] {
    return [];
  }

  open(path: BytePath): number {
    return this.#scan.open(this.#at(path));
  }

  sha256(path: BytePath): string {
    return this.#scan.sha256(this.#at(path), this.#context);
  }

  knowsContent(path: BytePath): boolean {
    return this.#at(path).sha256 !== undefined;
  }

  checkContent(path: BytePath, readSha256: string): void {
    this.#scan.checkContent(this.#at(path), readSha256);
  }

  #at(path: BytePath): ScanNode {
    const node = this.#find(path);
    if (!node) throw notFound(path);
    return node;
  }

  #last: { readonly path: BytePath; readonly node: ScanNode | undefined } | undefined;

  #find(path: BytePath): ScanNode | undefined {
    if (this.#last?.path === path) return this.#last.node;
    const node = this.#scan.find(path);
    this.#last = { path, node };
    return node;
  }
}
