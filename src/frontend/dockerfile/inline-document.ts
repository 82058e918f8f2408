import { fileState, type State, scratch } from "../../llb/index.js";

/** A file system with nothing in it but the body of a heredoc at PATH. */
export function inlineDocument(path: string, mode: number, content: string): State {
  const action = { kind: "mkfile", path, mode, data: Buffer.from(content), timestamp: -1 } as const;
  return fileState(scratch, [{ action }], { metadata: { name: "[internal] preparing inline document" } });
}
