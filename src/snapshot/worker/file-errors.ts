import { EngineError, errorCode, systemCode } from "../../base/index.js";
import { type BytePath, toText } from "./bytes.js";

/** A failed call in the words users of Dockerfiles know: `mkdir /etc/passwd: not a directory`. */
export function fileError(call: string, path: BytePath, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const code = systemCode(error);
  if (code === undefined) return new EngineError("internal", `${call} ${shown(path)}: ${error}`, { cause: error });
  return new EngineError(errorCode(error), `${call} ${shown(path)}: ${reason(code)}`, { cause: error });
}

/** A failure that no system call reports, in the same form. CODE is an errno name. */
export function refused(call: string, path: BytePath, code: string): EngineError {
  return fileError(call, path, Object.assign(new Error(code), { code }));
}

/** Runs WORK; a system error becomes a sentence that names CALL and PATH. */
export function naming<T>(call: string, path: BytePath, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fileError(call, path, error);
  }
}

/** `"/foo": not found` */
export function notFound(path: BytePath): EngineError {
  return new EngineError("not-found", `${JSON.stringify(shown(path))}: not found`);
}

/** A path below some root as people write it. */
export function shown(path: BytePath): string {
  return toText(path.startsWith("/") ? path : `/${path}`);
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EEXIST: "file exists",
  ENAMETOOLONG: "file name too long",
  ELOOP: "too many levels of symbolic links",
  ENOTEMPTY: "directory not empty",
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EMLINK: "too many links",
  EROFS: "read-only file system",
  EINVAL: "invalid argument",
  EFBIG: "file too large",
  EIO: "input/output error",
};

function reason(code: string): string {
  return REASONS[code] ?? code;
}
