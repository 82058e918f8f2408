import { unreachable } from "../base/index.js";
import type { OpNode } from "../llb/index.js";
import type { Op } from "../solver/index.js";
import type { ImagePlatform, OpEnvironment } from "./environment.js";
import { createExecOp } from "./exec.js";
import { createFileOp } from "./file.js";
import { createDiffOp, createMergeOp } from "./merge.js";
import type { FileResult } from "./result.js";
import { createSourceOp } from "./source.js";

/** What a vertex of a definition does. PLATFORM is this machine's, and that of vertices that name none. */
export function createOp(node: OpNode, platform: ImagePlatform, environment: OpEnvironment): Op<FileResult> {
  const { op } = node;
  switch (op.kind) {
    case "source":
      return createSourceOp(op, node.platform ?? platform, environment);
    case "exec":
      return createExecOp({ ...node, op }, platform, environment);
    case "file":
      return createFileOp({ ...node, op }, environment);
    case "merge":
      return createMergeOp(node.inputs.length, environment);
    case "diff":
      return createDiffOp(op, node.inputs.length, environment);
    default:
      return unreachable(op);
  }
}
