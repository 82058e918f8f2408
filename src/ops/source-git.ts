import path from "node:path";
import { canonicalJson, digestOf, EngineError } from "../base/index.js";
import type { SourceOp } from "../llb/index.js";
import type { CacheMap, Op } from "../solver/index.js";
import type { GitRequest, GitTarget, GitWanted } from "../sources/index.js";
import type { OpEnvironment } from "./environment.js";
import { createResult, type FileResult } from "./result.js";
import { enquiry, transfer } from "./transfer.js";

/** The op of a repository's files. It counts by the commit, and by how that becomes files; not by the address it came from. */
export function createGitOp(op: SourceOp, environment: OpEnvironment): Op<FileResult> {
  const wanted = gitWanted(op);
  const { git, layers, plane, dirs } = environment;
  return {
    async cacheMap(context): Promise<CacheMap<FileResult>> {
      const target = await enquiry(environment, context, (options) => git.resolve(wanted, options));
      const preimage = identityOf(wanted.request, target);
      return { definition: digestOf(canonicalJson(preimage)), preimage, inputs: [], kept: true };
    },
    async exec(_inputs, context) {
      const { signal } = context;
      const target = await git.resolve(wanted, { signal });
      const workspace = await layers.create([]);
      try {
        const directory = path.join(dirs.layers, String(workspace.layer), "fs");
        await transfer(environment, context, async (options) => {
          await using tree = await git.checkout(wanted, target, directory, options);
          const { from, withoutLinks, mtime } = tree;
          await plane.run("settleCheckout", { workspace, from, withoutLinks, mtime }, { signal });
        });
        const tree = await layers.commit(workspace, { signal });
        return [createResult({ kind: "tree", tree }, environment)];
      } catch (error) {
        await layers.abandon(workspace);
        throw error;
      }
    },
  };
}

/** An annotated tag is as good as its commit, unless the tag itself is part of what is kept. */
function identityOf(request: GitRequest, { ref, object, commit }: GitTarget): unknown {
  const { keepGitDir, subdirectory, submodules, mtime } = request;
  const what = keepGitDir ? { object, ref } : { object: commit ?? object };
  return { git: { v: 1, ...what, keepGitDir, subdirectory, submodules, mtime } };
}

/** Reads a source `git://host/path#ref:subdirectory` with its attributes (BuildKit's solver/pb/attr.go). */
export function gitWanted({ identifier, attrs }: SourceOp): GitWanted {
  const [, location = "", fragment = ""] = /^git:\/\/([^#]*)(?:#(.*))?$/s.exec(identifier) ?? [];
  const colon = fragment.indexOf(":");
  const remote = attrs["git.fullurl"] ?? `https://${location}`;
  if (location === "") throw new EngineError("invalid", `${JSON.stringify(identifier)} names no repository`);
  const subdirectory = path.posix.join("/", colon < 0 ? "" : fragment.slice(colon + 1)).replace(/^\/+|\/+$/g, "");
  const request: GitRequest = {
    remote: isTransport(remote) ? remote : `https://${remote}`,
    ref: colon < 0 ? fragment : fragment.slice(0, colon),
    checksum: attrs["git.checksum"],
    fetchByCommit: attrs["git.fetchbycommit"] === "true",
    subdirectory,
    keepGitDir: attrs["git.keepgitdir"] === "true",
    submodules: attrs["git.skipsubmodules"] !== "true",
    mtime: attrs["git.mtime"] === "commit" ? "commit" : "checkout",
  };
  const auth = {
    header: attrs["git.authheadersecret"],
    token: attrs["git.authtokensecret"],
    ssh: attrs["git.mountsshsock"],
  };
  return { request, auth };
}

/** What git is given as an address is one of these, and never an option, a path of this machine or the name of a helper. */
function isTransport(remote: string): boolean {
  return (
    /^(?:https?|git|ssh):\/\/[^-]/i.test(remote) ||
    /^[a-zA-Z0-9_][a-zA-Z0-9_.-]*@[a-zA-Z0-9][a-zA-Z0-9.-]*:[^-]/.test(remote)
  );
}
